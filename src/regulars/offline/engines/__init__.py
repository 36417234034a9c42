"""The engines that compute over files: DuckDB and Spark."""
