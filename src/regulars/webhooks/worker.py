"""Sends the deliveries of one webhook: concurrently, but in order for each profile."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from regulars.storage.database import Database, Scope
from regulars.webhooks import queue
from regulars.webhooks.client import TIMEOUT_SECONDS, Attempt, WebhookClient, describe_failure
from regulars.webhooks.payloads import message_id
from regulars.webhooks.queue import LEASE_SECONDS, DueDelivery, Outcome, Target
from regulars.webhooks.retries import GIVE_UP_AFTER, delay_seconds, parse_retry_after
from regulars.webhooks.signing import signature_headers

MAX_CONCURRENT = 32
"""Maximum number of concurrent attempts of a webhook."""

INITIAL_CONCURRENT = 4
"""Concurrent attempts of a webhook until some have succeeded, so that many hanging receivers occupy few connections."""

BATCH_KEYS = 200
"""Maximum number of ordering keys that are fetched together."""

RECORD_INTERVAL_SECONDS = 0.025
"""Outcomes of this time are recorded together."""

MAX_WAIT_SECONDS = 1.0
"""Interval at which a worker extends its lease while it waits for a receiver, and after an error of the database."""

PAUSE_AFTER_FAILURES = 10
"""After this many failures in a row, a webhook is paused, and then tried with one delivery."""

_log = structlog.get_logger("regulars.webhooks")

OnAttempt = Callable[[DueDelivery, Attempt], None]


@dataclass(frozen=True, slots=True)
class DeliveryServices:
    """What the workers of a process share.

    `slots` limits its concurrent attempts, `transactions` those of the database; `owner` identifies it in leases.
    """

    database: Database
    client: WebhookClient
    slots: asyncio.Semaphore
    transactions: asyncio.Semaphore
    owner: UUID
    on_attempt: OnAttempt


async def attempt_delivery(services: DeliveryServices, target: Target, delivery: DueDelivery) -> Outcome:
    """Sends a delivery once and returns the outcome, with the time of the next attempt if it failed."""
    at = services.database.clock()
    body = delivery.body.encode()
    retry_after = None
    try:
        headers = signature_headers(target.secrets, message_id(delivery.event_id), at, body)
        attempt = await services.client.send(target.url, headers, body)
        services.on_attempt(delivery, attempt)
        if attempt.is_delivered:
            return Outcome(delivery, attempt, at, None)
        retry_after = parse_retry_after(attempt.retry_after, at)
    except Exception as error:
        # Without an outcome the delivery would stay due and be sent again immediately. Nothing here uses the database.
        _log.exception("webhook.attempt_failed", webhook_event=message_id(delivery.event_id))
        attempt = Attempt(None, 0.0, error=describe_failure(error))
    return Outcome(delivery, attempt, at, at + timedelta(seconds=delay_seconds(delivery.attempts + 1, retry_after)))


class WebhookWorker:
    """Sends the deliveries of one webhook while this process has its lease."""

    def __init__(self, services: DeliveryServices, community_id: int, webhook_id: int) -> None:
        self._services = services
        self._community_id = community_id
        self._webhook_id = webhook_id
        self._target: Target | None = None
        self._lease_ends_at = 0.0
        self._ready: deque[list[DueDelivery]] = deque()
        self._sending: dict[UUID, asyncio.Task[None]] = {}
        self._outcomes: list[Outcome] = []
        self._changed = asyncio.Event()
        self._concurrent = INITIAL_CONCURRENT
        self._failures = 0
        self._is_probing = False
        self._is_stopping = False
        self.is_woken = False
        """Whether there may be deliveries that it has not fetched."""

    def wake(self) -> None:
        """Notes that there may be new deliveries."""
        self.is_woken = True
        self._changed.set()

    def stop(self) -> None:
        """Starts no further attempts; running ones are finished and recorded."""
        self._is_stopping = True
        self._ready.clear()
        self._changed.set()

    async def run(self) -> None:
        """Sends due deliveries until there are none, the webhook is paused, or another process has it."""
        while not self._is_stopping:
            self._changed.clear()
            self.is_woken = False
            try:
                self._target = await self._exchange()
            except Exception:
                # The outcomes are recorded later; the lease ends unless the database is back in time.
                _log.exception("webhook.delivery_failed", community=self._community_id, webhook=self._webhook_id)
            else:
                if self._target is None:
                    break
                self._start()
                if not self._sending and not self._changed.is_set():
                    break
            await self._wait()
        self._ready.clear()
        if self._sending:
            await asyncio.wait(list(self._sending.values()))
        await self._finish()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), MAX_WAIT_SECONDS)
            if not self._is_stopping:
                await asyncio.sleep(RECORD_INTERVAL_SECONDS)

    async def _finish(self) -> None:
        async with (
            self._services.transactions,
            self._services.database.write_transaction(self._community_id) as scope,
        ):
            await self._record(scope, self._outcomes)
            self._outcomes = []
            await queue.release(scope, self._webhook_id, self._services.owner)

    async def _exchange(self) -> Target | None:
        """Records outcomes, extends the lease and fetches due deliveries, in one transaction; None if there is nothing
        more to do.
        """
        async with (
            self._services.transactions,
            self._services.database.write_transaction(self._community_id) as scope,
        ):
            outcomes, began = list(self._outcomes), time.monotonic()
            is_over = await self._record(scope, outcomes)
            target = None if is_over else await queue.lease(scope, self._webhook_id, self._services.owner)
            if target is not None:
                if self._target is None:
                    # The receiver failed before, so it gets one delivery first.
                    self._failures = target.consecutive_failures
                    self._is_probing = self._failures >= PAUSE_AFTER_FAILURES
                await self._fetch(scope, len(outcomes))
        del self._outcomes[: len(outcomes)]
        self._lease_ends_at = began + LEASE_SECONDS
        return target

    async def _fetch(self, scope: Scope, recorded: int) -> None:
        if len(self._ready) > BATCH_KEYS // 2 or (self._is_probing and (self._ready or self._sending)):
            return
        unrecorded = (each.delivery.ordering_key for each in self._outcomes[recorded:])
        keys = {*self._sending, *(each[0].ordering_key for each in self._ready), *unrecorded}
        due = await queue.fetch_due(scope, self._webhook_id, list(keys), 1 if self._is_probing else BATCH_KEYS)
        self._ready.extend([each[:1] for each in due[:1]] if self._is_probing else due)

    async def _record(self, scope: Scope, outcomes: Sequence[Outcome]) -> bool:
        """Records outcomes; returns whether the webhook is now paused or disabled."""
        if not outcomes:
            return False
        await queue.record(scope, self._webhook_id, outcomes)
        for each in outcomes:
            if (reason := _reason_to_disable(each)) is not None:
                await queue.disable(scope, self._webhook_id, reason)
                _log.warning("webhook.disabled", community=self._community_id, webhook=self._webhook_id)
                return True
        if self._failures >= PAUSE_AFTER_FAILURES:
            seconds = delay_seconds(self._failures - PAUSE_AFTER_FAILURES + 1)
            paused_until = scope.now + timedelta(seconds=seconds)
            await queue.set_failures(scope, self._webhook_id, self._failures, paused_until)
            return True
        if self._failures == 0 and self._is_probing:
            await queue.set_failures(scope, self._webhook_id, 0, None)
            self._is_probing = False
        return False

    def _start(self) -> None:
        """Starts attempts of ready deliveries, as many as may run concurrently."""
        while self._ready and len(self._sending) < self._concurrent and not self._is_stopping:
            deliveries = self._ready.popleft()
            key = deliveries[0].ordering_key
            self._sending[key] = asyncio.create_task(self._send_in_order(key, deliveries))

    async def _send_in_order(self, key: UUID, deliveries: Sequence[DueDelivery]) -> None:
        try:
            for each in deliveries:
                if not await self._send(each):
                    break
        finally:
            del self._sending[key]
            self._changed.set()
            self._start()

    async def _send(self, delivery: DueDelivery) -> bool:
        """Sends a delivery and notes the outcome; returns whether the next one of its key may be sent."""
        async with self._services.slots:
            # Another process may take the webhook over when the lease ends, so no attempt may still be running then.
            if self._target is None or time.monotonic() > self._lease_ends_at - TIMEOUT_SECONDS - 1.0:
                return False
            outcome = await attempt_delivery(self._services, self._target, delivery)
        is_delivered = outcome.due_at is None
        self._failures = 0 if is_delivered else self._failures + 1
        if self._failures >= PAUSE_AFTER_FAILURES:
            self._ready.clear()
        self._concurrent = min(self._concurrent + 1, MAX_CONCURRENT) if is_delivered else max(1, self._concurrent // 2)
        self._outcomes.append(outcome)
        self._changed.set()
        return is_delivered and not self._is_stopping


def _reason_to_disable(outcome: Outcome) -> str | None:
    if outcome.due_at is None:
        return None
    if outcome.attempt.is_gone:
        return "The receiver responds with status 410, which means that it wants no more deliveries."
    since = outcome.delivery.first_attempt_at or outcome.at
    if outcome.at - since >= GIVE_UP_AFTER:
        return f"Delivery {outcome.delivery.id} failed for {GIVE_UP_AFTER.days} days. {outcome.attempt.error}"
    return None
