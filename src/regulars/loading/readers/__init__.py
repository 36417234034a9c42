"""Readers of files: CSV, NDJSON and Parquet, compressed or not, as rows."""
