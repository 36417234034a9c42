"""The application opens the database, runs beside the HTTP server, and closes everything when it stops."""

import asyncio
from typing import Any

import pytest
import structlog

from regulars.api.app import create_app
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.connections import ConnectionLimiter
from regulars.web.context import AppContext


@pytest.mark.parametrize("run_jobs", [True, False])
async def test_the_application_starts_and_stops_with_the_server(
    own_database: Database, empty_urls: tuple[str, str], run_jobs: bool
) -> None:
    database = Database(empty_urls[1], 2)
    context = AppContext(Settings(), database)
    limiter = ConnectionLimiter(1, 10, send_seconds=60, min_bytes_per_second=100)
    app = create_app(context, run_jobs=run_jobs, connection_limiter=limiter)
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    with structlog.testing.capture_logs() as logged:
        lifespan = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, events.get, sent.put))
        await events.put({"type": "lifespan.startup"})
        assert (await sent.get())["type"] == "lifespan.startup.complete"
        async with database.unscoped_connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
        await events.put({"type": "lifespan.shutdown"})
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"
        await lifespan
    assert context.stop_event.is_set()
    assert database.pool is None or database.pool.is_closing()
    assert [each["event"] for each in logged if each["event"].startswith("server.")] == [
        "server.ready",
        "server.stopped",
    ]
