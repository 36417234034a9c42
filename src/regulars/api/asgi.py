"""The application as an ASGI server starts it, in each of its processes: all it needs is in the environment."""

import os
import signal
import threading

from starlette.types import ASGIApp

from regulars import logs, settings
from regulars.api.app import application
from regulars.api.server import Server
from regulars.storage.database import Database

PARENT = "REGULARS_SERVED_BY"
"""The process that serves; without it its workers end."""


def app() -> ASGIApp:
    """The application of one process, as REGULARS_* variables and regulars.toml describe it.

    The database must be migrated. Raises SettingError.
    """
    found = settings.load()
    logs.configure(found.log_format, found.log_level)
    if PARENT in os.environ:
        _end_with(int(os.environ[PARENT]))
    return application(Server(found, Database(found.database_url, found.connections)))


def _end_with(parent: int) -> None:
    """Ends this process when the one that serves is gone, however it went."""

    def watch() -> None:
        while os.getppid() == parent:
            gone.wait(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    gone = threading.Event()
    threading.Thread(target=watch, name="parent", daemon=True).start()
