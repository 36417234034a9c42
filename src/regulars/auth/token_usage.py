"""Times of last use of tokens, collected by each process and written in batches."""

import asyncio
from datetime import datetime

import structlog

from regulars.auth.tokens import Token
from regulars.storage.database import Database
from regulars.storage.errors import DATABASE_ERRORS

_log = structlog.get_logger("regulars.auth")

FLUSH_INTERVAL_SECONDS = 60.0
"""Time between two writes."""


class TokenUsageRecorder:
    """Records when tokens were last used, and writes it once a minute. A crash loses the last minute."""

    def __init__(self, database: Database, flush_interval_seconds: float = FLUSH_INTERVAL_SECONDS) -> None:
        self._database = database
        self._seconds = flush_interval_seconds
        self._pending: dict[tuple[int, int], datetime] = {}
        self._flush_task: asyncio.Task[None] | None = None
        self._flush_now = asyncio.Event()

    def record(self, token: Token) -> None:
        """Records a use of a token."""
        self._pending[token.organization_id, token.id] = self._database.clock()
        if self._flush_task is None:
            self._flush_task = asyncio.create_task(self._flush_later())

    async def close(self) -> None:
        """Writes the uses that are not written yet."""
        self._flush_now.set()
        if self._flush_task is not None:
            await self._flush_task

    async def _flush_later(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._flush_now.wait()
        except TimeoutError:
            pass
        self._flush_task = None
        uses, self._pending = self._pending, {}
        try:
            async with self._database.unscoped_connection() as connection:
                await connection.execute(
                    "SELECT record_token_uses($1, $2, $3)",
                    [organization_id for organization_id, _ in uses],
                    [token_id for _, token_id in uses],
                    list(uses.values()),
                )
        except DATABASE_ERRORS as error:
            # Retried with the next write; a later use of the same token replaces this one.
            self._pending = uses | self._pending
            _log.warning("token.usage_not_written", error=str(error))
