"""The pages of a club of a test, served on a port for a browser."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from regulars.api.app import create_app
from regulars.dashboard.registry import create_site
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.context import AppContext


@contextmanager
def serve_pages(database_url: str, create: Any) -> Iterator[tuple[str, Any]]:
    """Serves the pages of a database in a thread with its own event loop.

    `create` is a coroutine function that is called with the database before; yields the address and what it returns.
    """
    ready, stop = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def run(folder: Path) -> None:
        database = Database(database_url, 4)
        await database.open()
        context = AppContext(Settings(data_dir=folder), database)
        found["created"] = await create(database)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        app = create_app(context, run_jobs=False, site=create_site)
        server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGINL, log_enabled=False)
        serving = asyncio.ensure_future(server.serve())
        found["address"] = f"http://127.0.0.1:{port}"
        await _answers(port)
        ready.set()
        await asyncio.to_thread(stop.wait)
        server.stop()  # type: ignore[no-untyped-call]
        await serving
        await context.close()
        await database.close()

    def work() -> None:
        with TemporaryDirectory() as folder:
            try:
                asyncio.run(run(Path(folder)))
            except BaseException as error:
                found["error"] = error
            finally:
                ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(60)
        if "error" in found:
            raise found["error"]
        yield found["address"], found["created"]
    finally:
        stop.set()
        thread.join(30)


async def _answers(port: int) -> None:
    """Waits until the server accepts connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
