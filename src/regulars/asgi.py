"""Creates the application in each server process, configured by environment variables and regulars.toml."""

import os
import shutil
import signal
import threading
from pathlib import Path

from starlette.types import ASGIApp

from regulars import settings
from regulars.api.app import create_app
from regulars.core.garbage_collection import freeze_startup_objects
from regulars.dashboard.registry import create_site
from regulars.observability import logs
from regulars.storage.database import Database
from regulars.web import open_file_limit
from regulars.web.connections import ConnectionLimiter
from regulars.web.context import AppContext
from regulars.web.process_environment import (
    METRICS_FOLDER_VARIABLE,
    OPERATIONS_SECRET_VARIABLE,
    PARENT_PID_VARIABLE,
)

PARENT_EXIT_GRACE_SECONDS = 8.0
"""How long a process may take to stop after its parent is gone: until then it occupies the port."""


def app() -> ASGIApp:
    """Creates the application of one process. The database must be migrated. Raises SettingError."""
    config = settings.load()
    logs.configure(config.log_format, config.log_level)
    folder = Path(os.environ[METRICS_FOLDER_VARIABLE]) if METRICS_FOLDER_VARIABLE in os.environ else None
    if PARENT_PID_VARIABLE in os.environ:
        _stop_with_parent(int(os.environ[PARENT_PID_VARIABLE]), folder)
    connection_limiter = ConnectionLimiter(
        config.port,
        open_file_limit.connection_limit(config.max_connections),
        send_seconds=config.send_timeout_seconds,
        min_bytes_per_second=config.min_bytes_per_second,
    )
    application = create_app(
        AppContext(config, Database(config.database_url, config.pool_max_size)),
        metrics_folder=folder,
        operations_secret=os.environ.get(OPERATIONS_SECRET_VARIABLE, ""),
        connection_limiter=connection_limiter,
        site=create_site,
    )
    freeze_startup_objects()
    return application


def _stop_with_parent(parent: int, folder: Path | None, grace_seconds: float = PARENT_EXIT_GRACE_SECONDS) -> None:
    """Stops this process when its parent is gone, and removes the shared folder.

    No other process would kill a worker that does not stop in time. The kernel does, by SIGALRM: Granian's handler of
    signals may wait for a lock while it holds the interpreter's, so that no Python code runs any more.
    """

    def watch() -> None:
        while os.getppid() == parent:
            pause.wait(1.0)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        signal.setitimer(signal.ITIMER_REAL, grace_seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    pause = threading.Event()
    threading.Thread(target=watch, name="parent", daemon=True).start()
