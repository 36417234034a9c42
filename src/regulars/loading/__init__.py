"""Bulk loading: files are read, checked, written in batches and computed once."""
