"""PostgreSQL: the embedded server, connections, migrations, privileges and safety checks."""
