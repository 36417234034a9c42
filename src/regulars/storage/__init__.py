"""PostgreSQL: embedded or by URL, its migrations, its safety."""
