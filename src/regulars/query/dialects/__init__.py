"""The dialects of PostgreSQL, DuckDB and Spark."""
