"""`regulars serve` and `regulars worker`: the server with its jobs, or the jobs alone."""

import asyncio
import http.client
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import App, Parameter
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from regulars import bootstrap
from regulars.api.asgi import METRICS_FOLDER_VARIABLE, OPERATIONS_SECRET_VARIABLE, PARENT_PID_VARIABLE
from regulars.bootstrap import DatabaseUrls
from regulars.cli.operations_listener import format_address, parse_address, run_listener
from regulars.cli.options import CommonOptions, UsageError, load_settings
from regulars.jobs.scheduler import Scheduler
from regulars.observability import logs
from regulars.settings import Settings, variable_name
from regulars.storage import spill_folders
from regulars.web import open_file_limit, received_files
from regulars.web.public_address import PublicAddress

STOP_TIMEOUT_SECONDS = 7
"""How long a process may take to stop; requests that were accepted have FINISH_SECONDS of it."""

BACKLOG = 4_096
"""Connections that may wait to be accepted: the most that Linux allows by default."""

_log = structlog.get_logger("regulars.serve")


def add_to(app: App) -> None:
    """Adds the commands."""
    app.command(serve)
    app.command(worker)


def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes one that is free.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Data folder of the embedded database.")] = None,
    workers: Annotated[int | None, Parameter(help="Processes that answer requests.")] = None,
) -> int:
    """Runs the server and its jobs until it is stopped.

    With REGULARS_DATABASE_URL it has no database of its own.

    Example: `regulars serve --port 8080 --data-dir ./data --workers 2`
    """
    settings = load_settings(host=host, port=port, data_dir=data_dir, workers=workers)
    settings = with_free_ports(settings)
    received_files.remove_stale(settings)
    spill_folders.remove_stale()
    with bootstrap.prepare_database(settings) as found:
        run_server(
            settings,
            found,
            lambda address: _tell(f"Regulars answers at {address}, and tells how at {_operations(settings, address)}"),
        )
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


def worker(*, where: CommonOptions | None = None) -> int:
    """Runs the jobs alone, for machines that answer no requests.

    Example: `REGULARS_DATABASE_URL=postgresql://... regulars worker`
    """
    settings = load_settings(where)

    async def work(found: DatabaseUrls) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with bootstrap.open_pool(found, settings) as database:
            jobs = Scheduler(database, settings)
            jobs.start()
            _tell("Regulars works on its jobs.")
            await stopped.wait()
            await jobs.stop()

    with bootstrap.prepare_database(settings) as found:
        asyncio.run(work(found))
    return 0


def with_free_ports(settings: Settings) -> Settings:
    """The settings with a port that is free. Raises UsageError where it is taken."""
    if not 0 <= settings.port < 65_536:
        raise UsageError(f"There is no port {settings.port}: choose one from 1 to 65535.")
    if settings.workers < 1:
        raise UsageError("There must be at least 1 worker.")
    PublicAddress(settings)
    settings = replace(settings, port=_free_port(settings.host, settings.port, "--host and --port"))
    if settings.operations_listen:
        host, port = parse_address(settings.operations_listen)
        port = _free_port(host, port, "REGULARS_OPERATIONS_LISTEN")
        settings = replace(settings, operations_listen=format_address(host, port))
    return settings


def _free_port(host: str, port: int, named_by: str) -> int:
    """The port, or a free one for 0. Raises UsageError where it is taken."""
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(*address[:3]) as trial:
            # The server's processes share their port; without this trial it would be shared with others too.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address[4])
            found: int = trial.getsockname()[1]
            return found
    except OSError as error:
        raise UsageError(
            f"{host}:{port} can't be listened on ({error.strerror}): choose another by {named_by}."
        ) from None


def _operations(settings: Settings, address: str) -> str:
    """The address of the API's page."""
    at = f"http://{settings.operations_listen}" if settings.operations_listen else address
    return f"{at}/api/docs"


def run_server(settings: Settings, found: DatabaseUrls, answering: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; what was accepted by then is finished.

    `answering` is told the server's address once it answers.
    """
    secret = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="regulars-metrics-", dir=_in_memory()) as shared, ExitStack() as stack:
        for name, value in _environment(settings, found, shared, secret).items():
            os.environ[name] = value
        if settings.operations_listen:
            upstream = _reachable(settings.host), settings.port
            stack.enter_context(run_listener(settings.operations_listen, upstream, secret))
        _serve(settings, answering)
    _log.info("serve.stopped")


def _serve(settings: Settings, answering: Callable[[str], None]) -> None:
    open_file_limit.raise_soft_limit(open_file_limit.required_files(settings.max_connections))
    server = Granian(
        "regulars.api.asgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        factory=True,
        websockets=False,
        # Where HTTP/2 is possible too, a connection that never sends a byte is never closed.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=max(1, round(1000 * settings.header_timeout_seconds))),
        backlog=BACKLOG,
        backpressure=open_file_limit.accept_limit(settings.max_connections),
        log_level=LogLevels.warning,
        log_dictconfig=logs.dict_config(settings.log_format, settings.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT_SECONDS,
    )
    stopped = threading.Event()
    waiting = threading.Thread(target=_wait, args=(settings, stopped, answering), daemon=True)
    waiting.start()
    try:
        server.serve()
    finally:
        stopped.set()
        waiting.join()


def _in_memory() -> str | None:
    """Where files never wait for a disk, if there is such a place: None leaves it to the system."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _environment(settings: Settings, found: DatabaseUrls, shared: str, secret: str) -> dict[str, str]:
    """What the server's processes are told: the settings as they stand, the database, what they share."""
    told = {variable_name(each.name): str(getattr(settings, each.name)) for each in fields(settings)}
    return {
        **told,
        variable_name("database_url"): found.app,
        variable_name("migration_database_url"): "",
        PARENT_PID_VARIABLE: str(os.getpid()),
        METRICS_FOLDER_VARIABLE: shared,
        OPERATIONS_SECRET_VARIABLE: secret,
    }


def _reachable(host: str) -> str:
    """The local address at which a server that listens on a host can be reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _wait(settings: Settings, stopped: threading.Event, answering: Callable[[str], None]) -> None:
    host = _reachable(settings.host)
    while not stopped.wait(0.05):
        connection = http.client.HTTPConnection(host, settings.port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                bracketed = f"[{host}]" if ":" in host else host
                answering(f"http://{bracketed}:{settings.port}")
                return
        except OSError:
            continue
        finally:
            connection.close()
