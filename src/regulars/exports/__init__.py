"""Exports: the whole result of a report as a file, streamed from one snapshot of the database."""
