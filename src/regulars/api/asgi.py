"""The application as an ASGI server starts it, in each of its processes: all it needs is in the environment."""

import gc
import os
import shutil
import signal
import threading
from pathlib import Path

from starlette.types import ASGIApp

from regulars import settings
from regulars.api.app import create_app
from regulars.observability import logs
from regulars.storage.database import Database
from regulars.web import open_file_limit
from regulars.web.connections import ConnectionLimiter
from regulars.web.context import AppContext

PARENT_PID_VARIABLE = "REGULARS_SERVED_BY"
"""The process that serves; without it its workers end."""

OPERATIONS_SECRET_VARIABLE = "REGULARS_OPERATIONS_BY"  # noqa: S105 - the name of a variable
"""The secret by which the workers recognise requests of the operations listener."""

METRICS_FOLDER_VARIABLE = "REGULARS_METRICS_IN"
"""The folder of the metrics that its workers share."""


def app() -> ASGIApp:
    """The application of one process, as REGULARS_* variables and regulars.toml describe it.

    The database must be migrated. Raises SettingError.
    """
    found = settings.load()
    logs.configure(found.log_format, found.log_level)
    shared = Path(os.environ[METRICS_FOLDER_VARIABLE]) if METRICS_FOLDER_VARIABLE in os.environ else None
    if PARENT_PID_VARIABLE in os.environ:
        _end_with(int(os.environ[PARENT_PID_VARIABLE]), shared)
    connections = ConnectionLimiter(
        found.port,
        open_file_limit.connection_limit(found.max_connections),
        send_seconds=found.send_timeout_seconds,
        min_bytes_per_second=found.min_bytes_per_second,
    )
    server = AppContext(found, Database(found.database_url, found.pool_max_size))
    made = create_app(
        server,
        metrics_folder=shared,
        operations_secret=os.environ.get(OPERATIONS_SECRET_VARIABLE, ""),
        connection_limiter=connections,
    )
    freeze_startup_objects()
    return made


def freeze_startup_objects() -> None:
    """Leaves what is there now out of every garbage collection: modules, endpoints and documents stay to the end,
    and to look through them would hold up all requests for tens of milliseconds each time.
    """
    gc.collect()
    gc.freeze()


PARENT_EXIT_GRACE_SECONDS = 8.0
"""How long a process may take to stop after the one that serves is gone: until then it holds the port of the next."""


def _end_with(parent: int, shared: Path | None, seconds: float = PARENT_EXIT_GRACE_SECONDS) -> None:
    """Ends this process when the one that serves is gone, however it went, and clears up after it.

    Nobody else would kill a process that does not stop in time.
    """

    def watch() -> None:
        while os.getppid() == parent:
            gone.wait(1.0)
        if shared is not None:
            shutil.rmtree(shared, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)
        gone.wait(seconds)
        os._exit(1)

    gone = threading.Event()
    threading.Thread(target=watch, name="parent", daemon=True).start()
