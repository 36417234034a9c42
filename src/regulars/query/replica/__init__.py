"""The columnar replica of members that a process caches."""
