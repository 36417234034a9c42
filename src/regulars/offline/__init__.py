"""Values over files, tables and lakes: the definitions that run live, on DuckDB and Spark."""
