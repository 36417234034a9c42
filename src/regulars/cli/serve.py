"""`regulars serve` and `regulars worker`: the server with its background jobs, or the jobs alone."""

import asyncio
import http.client
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import Parameter
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from regulars import bootstrap
from regulars.bootstrap import DatabaseUrls
from regulars.cli.options import CommonOptions, UsageError, load_settings
from regulars.observability import logs
from regulars.settings import Settings, variable_name
from regulars.storage import spill_folders
from regulars.web import open_file_limit, received_files
from regulars.web.process_environment import (
    METRICS_FOLDER_VARIABLE,
    OPERATIONS_SECRET_VARIABLE,
    PARENT_PID_VARIABLE,
)
from regulars.web.public_address import PublicAddress

STOP_TIMEOUT_SECONDS = 7
"""Time that a process may take to stop, including FINISH_SECONDS for accepted requests."""

CONNECTIONS_OF_JOBS = 4
"""Database connections of a worker beside those of its exports."""

BACKLOG = 4_096
"""Number of connections that may wait to be accepted: the maximum that Linux allows by default."""

_log = structlog.get_logger("regulars.serve")


def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on. 0 selects a free port.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Data directory of the embedded database.")] = None,
    workers: Annotated[int | None, Parameter(help="Number of processes that handle requests.")] = None,
) -> int:
    """Runs the server and its background jobs until it is stopped.

    Starts the embedded PostgreSQL unless REGULARS_DATABASE_URL is set.

    Example: `regulars serve --port 8080 --data-dir ./data --workers 2`
    """
    settings = load_settings(host=host, port=port, data_dir=data_dir, workers=workers)
    settings = with_free_ports(settings)
    received_files.remove_stale(settings)
    spill_folders.remove_stale()
    with bootstrap.prepare_database(settings) as urls:
        run_server(
            settings,
            urls,
            lambda address: _print(
                f"Regulars is listening at {address}, API documentation at {_documentation_url(settings, address)}"
            ),
        )
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


def worker(
    *,
    concurrency: Annotated[int | None, Parameter(help="Number of exports that it runs at the same time.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Runs the background jobs and the exports without the HTTP server, on any number of machines.

    Example: `REGULARS_DATABASE_URL=postgresql://... regulars worker --concurrency 2`
    """
    # Imported here, because `regulars serve` leaves the jobs to the processes that it starts.
    from regulars.jobs.scheduler import Scheduler

    settings = load_settings(common, export_concurrency=concurrency)
    if settings.export_concurrency < 0:
        raise UsageError(f"--concurrency is {settings.export_concurrency}. It must be at least 0.")
    # Each export occupies a connection while it reads.
    connections = settings.export_concurrency + CONNECTIONS_OF_JOBS
    settings = replace(settings, pool_max_size=max(settings.pool_max_size, connections))

    async def work(urls: DatabaseUrls) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with bootstrap.open_pool(urls, settings) as database:
            jobs = Scheduler(database, settings)
            jobs.start()
            _print("Regulars is running its background jobs.")
            await stopped.wait()
            await jobs.stop()

    with bootstrap.prepare_database(settings) as urls:
        asyncio.run(work(urls))
    return 0


def with_free_ports(settings: Settings) -> Settings:
    """Returns the settings with free ports in place of 0. Raises UsageError for a port that is not available."""
    if not 0 <= settings.port < 65_536:
        raise UsageError(f"--port is {settings.port}. Allowed: 0 to 65535.")
    if settings.workers < 1:
        raise UsageError(f"--workers is {settings.workers}. It must be at least 1.")
    PublicAddress(settings)
    settings = replace(settings, port=_free_port(settings.host, settings.port, "--host and --port"))
    if settings.operations_listen:
        # Imported only where it is configured, because it imports much of the application.
        from regulars.cli.operations_listener import format_address, parse_address

        host, port = parse_address(settings.operations_listen)
        port = _free_port(host, port, "REGULARS_OPERATIONS_LISTEN")
        settings = replace(settings, operations_listen=format_address(host, port))
    return settings


def _free_port(host: str, port: int, option: str) -> int:
    """Returns the port, or a free one for 0. Raises UsageError if it is not available."""
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(*address[:3]) as probe:
            # The processes of a server share its port, so the server itself would not notice that the port is in use.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
            found: int = probe.getsockname()[1]
            return found
    except OSError as error:
        raise UsageError(f"{host}:{port} is not available ({error.strerror}). Change {option}.") from None


def _documentation_url(settings: Settings, address: str) -> str:
    """Returns the URL of the API documentation."""
    base_url = f"http://{settings.operations_listen}" if settings.operations_listen else address
    return f"{base_url}/api/docs"


def run_server(settings: Settings, urls: DatabaseUrls, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT, then finishes accepted requests.

    Calls `on_ready` with the URL of the server once it responds.
    """
    secret = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="regulars-metrics-", dir=_memory_folder()) as shared, ExitStack() as stack:
        for name, value in _environment(settings, urls, shared, secret).items():
            os.environ[name] = value
        if settings.operations_listen:
            from regulars.cli.operations_listener import run_listener

            upstream = _local_host(settings.host), settings.port
            stack.enter_context(run_listener(settings.operations_listen, upstream, secret))
        _serve(settings, on_ready)
    _log.info("serve.stopped")


def _serve(settings: Settings, on_ready: Callable[[str], None]) -> None:
    open_file_limit.raise_soft_limit(open_file_limit.required_files(settings.max_connections))
    server = Granian(
        "regulars.asgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        factory=True,
        websockets=False,
        # If HTTP/2 is enabled too, a connection that never sends a byte is never closed.
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
    ready_thread = threading.Thread(target=_wait_until_ready, args=(settings, stopped, on_ready), daemon=True)
    ready_thread.start()
    try:
        server.serve()
    finally:
        stopped.set()
        ready_thread.join()


def _memory_folder() -> str | None:
    """Returns a directory in memory, so that writing never waits for a disk; None for the system default."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _environment(settings: Settings, urls: DatabaseUrls, shared: str, secret: str) -> dict[str, str]:
    """Returns the environment of the worker processes: settings, database URL and shared resources."""
    variables = {variable_name(each.name): str(getattr(settings, each.name)) for each in fields(settings)}
    return {
        **variables,
        variable_name("database_url"): urls.app,
        variable_name("migration_database_url"): "",
        PARENT_PID_VARIABLE: str(os.getpid()),
        METRICS_FOLDER_VARIABLE: shared,
        OPERATIONS_SECRET_VARIABLE: secret,
    }


def _local_host(host: str) -> str:
    """Returns the local address of a server that listens on a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _wait_until_ready(settings: Settings, stopped: threading.Event, on_ready: Callable[[str], None]) -> None:
    host = _local_host(settings.host)
    while not stopped.wait(0.05):
        connection = http.client.HTTPConnection(host, settings.port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            is_ready = connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            continue
        finally:
            connection.close()
        if is_ready:
            bracketed = f"[{host}]" if ":" in host else host
            with suppress(BrokenPipeError):
                on_ready(f"http://{bracketed}:{settings.port}")
            return
