"""Delivers the webhooks of all communities, in every process: matches events, and runs a worker per webhook with work."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from regulars.core.public_addresses import Network, parse_networks
from regulars.model import events
from regulars.settings import SettingError, Settings
from regulars.storage.database import Database
from regulars.webhooks import queue
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.matching import match_events
from regulars.webhooks.worker import DeliveryServices, OnAttempt, WebhookWorker

TICK_SECONDS = 0.05
"""Interval at which a process looks for events of its own commits."""

POLL_SECONDS = 5.0
"""Interval at which a process looks for events and due deliveries of all communities."""

MAX_ATTEMPTS = 512
"""Maximum number of concurrent attempts of a process."""

MAX_TRANSACTIONS = 2
"""Maximum number of concurrent transactions of a process's workers, so that requests get connections, too."""

_log = structlog.get_logger("regulars.webhooks")


def allowed_networks(settings: Settings) -> tuple[Network, ...]:
    """The setting webhook_allowed_networks. Raises SettingError."""
    try:
        return parse_networks(settings.webhook_allowed_networks)
    except ValueError as error:
        raise SettingError(
            f"webhook_allowed_networks is {settings.webhook_allowed_networks!r}, which is invalid: {error}. "
            f"Example: 127.0.0.0/8, 10.1.0.0/16."
        ) from None


class WebhookDispatcher:
    """Matches events and sends deliveries in one process. `on_attempt` is called after each attempt."""

    def __init__(
        self,
        database: Database,
        client: WebhookClient,
        on_attempt: OnAttempt = lambda delivery, attempt: None,
        owner: UUID | None = None,
    ) -> None:
        self._database = database
        self._services = DeliveryServices(
            database,
            client,
            asyncio.Semaphore(MAX_ATTEMPTS),
            asyncio.Semaphore(MAX_TRANSACTIONS),
            owner or uuid4(),
            on_attempt,
        )
        self._workers: dict[tuple[int, int], tuple[WebhookWorker, asyncio.Task[None]]] = {}
        self._is_stopping = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Delivers until `stopping` is set, then finishes running attempts."""
        next_poll = 0.0
        while not stopping.is_set():
            if time.monotonic() >= next_poll:
                next_poll = time.monotonic() + POLL_SECONDS
                await self._protected(self._poll, stopping.is_set)
            await self._dispatch_announced()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 0 if events.has_announced() else TICK_SECONDS)
        await self.close()

    async def _dispatch_announced(self) -> None:
        for community_id in events.take_announced():
            await self._protected(self.dispatch, community_id)

    async def _protected(self, work: Callable[..., object], *arguments: object) -> None:
        try:
            await work(*arguments)  # type: ignore[misc]
        except Exception:
            _log.exception("webhook.dispatch_failed")

    async def _poll(self, is_stopping: Callable[[], bool]) -> None:
        async with self._database.unscoped_connection() as connection:
            communities = [row["id"] for row in await connection.fetch("SELECT id FROM communities ORDER BY id")]
        for community_id in communities:
            if is_stopping():
                break
            await self._protected(self.dispatch, community_id)
            # Commits of this process do not wait for the end of the poll.
            await self._dispatch_announced()

    async def dispatch(self, community_id: int) -> None:
        """Matches the events of a community, and starts a worker for each of its webhooks with due deliveries."""
        await self.match(community_id)
        async with self._database.read_transaction(community_id) as scope:
            webhook_ids = await queue.webhooks_with_due(scope, self._services.owner)
        for webhook_id in webhook_ids:
            self._start(community_id, webhook_id)

    async def match(self, community_id: int) -> None:
        """Matches a batch of the events of a community, and starts or wakes the workers of webhooks with deliveries.

        If there may be more events, the other communities come first.
        """
        matched = await match_events(self._database, community_id)
        for webhook_id in matched.webhook_ids:
            self._start(community_id, webhook_id)
        if matched.has_more:
            events.announce(community_id)

    def _start(self, community_id: int, webhook_id: int) -> None:
        key = community_id, webhook_id
        if key in self._workers:
            self._workers[key][0].wake()
        elif not self._is_stopping:
            worker = WebhookWorker(self._services, community_id, webhook_id)
            task = asyncio.create_task(self._run(key, worker), name=f"webhook {webhook_id}")
            self._workers[key] = worker, task

    async def _run(self, key: tuple[int, int], worker: WebhookWorker) -> None:
        try:
            await worker.run()
        except Exception:
            _log.exception("webhook.delivery_failed", community=key[0], webhook=key[1])
        finally:
            del self._workers[key]
        if worker.is_woken:
            # It had nothing more to do when new deliveries came.
            self._start(*key)

    async def finish(self) -> None:
        """Waits until the workers have nothing more to do now."""
        while self._workers:
            await asyncio.wait([task for _, task in self._workers.values()])

    async def close(self) -> None:
        """Finishes running attempts and records them."""
        self._is_stopping = True
        for worker, _ in self._workers.values():
            worker.stop()
        await self.finish()


async def delete_expired(database: Database, retention_days: int, community_id: int) -> int:
    """Deletes deliveries of a community from the log after their retention; returns their number."""
    total = 0
    last_id: int | None = 0
    while last_id is not None:
        async with database.write_transaction(community_id) as scope:
            deleted, last_id = await queue.delete_expired(scope, scope.now - timedelta(days=retention_days), last_id)
        total += deleted
    return total
