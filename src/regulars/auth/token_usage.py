"""The last uses of tokens: collected by each process, and written in batches."""

import asyncio
from datetime import datetime

import asyncpg
import structlog

from regulars.auth.tokens import Token
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.auth")

FLUSH_INTERVAL_SECONDS = 60.0
"""Seconds between two writes."""


class TokenUsageRecorder:
    """The last uses of tokens that are not written yet. A crash loses those of the last minute."""

    def __init__(self, database: Database, flush_interval_seconds: float = FLUSH_INTERVAL_SECONDS) -> None:
        self._database = database
        self._seconds = flush_interval_seconds
        self._unwritten: dict[tuple[int, int], datetime] = {}
        self._writing: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    def record(self, token: Token) -> None:
        """Records that a token is used now."""
        self._unwritten[token.organization_id, token.id] = self._database.clock()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_later())

    async def close(self) -> None:
        """Writes what is not written yet."""
        self._now.set()
        if self._writing is not None:
            await self._writing

    async def _write_later(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._now.wait()
        except TimeoutError:
            pass
        self._writing = None
        uses, self._unwritten = self._unwritten, {}
        try:
            async with self._database.unscoped_connection() as connection:
                await connection.execute(
                    "SELECT record_token_uses($1, $2, $3)",
                    [organization_id for organization_id, _ in uses],
                    [token_id for _, token_id in uses],
                    list(uses.values()),
                )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            # Retried with the next uses; a later use of the same token replaces them.
            self._unwritten = uses | self._unwritten
            _log.warning("token.uses_not_written", why=str(error))
