"""Executes report requests: parser, compiler, dialects, columnar replica, result formats."""
