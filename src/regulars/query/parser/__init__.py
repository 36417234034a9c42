"""Parses requests: the report, its fields, filters and time range."""
