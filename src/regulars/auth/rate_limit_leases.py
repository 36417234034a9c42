"""The general rate limit: processes lease tokens from the database in blocks, so that no request waits for it.

A process leases some of an organization's tokens and spends them by itself. The bucket keeps account of what is leased
and not yet expired, and fills up to its capacity less that, so all processes together never hold more than the
capacity. A lease that expires is lost; refilling makes up for it.
"""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import structlog

from regulars.auth.errors import AccessDenied
from regulars.auth.rate_limits import BucketConfig, Charge
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.auth")

LEASE_DURATION = timedelta(seconds=10)
"""How long a process spends the tokens of a lease."""

_ACCOUNTED = timedelta(seconds=15)
"""How long the bucket counts them as leased: longer than LEASE, because the clocks of processes differ."""

_RETRY = timedelta(seconds=1)

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)

# Tokens that processes hold still count towards the capacity, so they do not make room for a refill.
#
# A lease is twice what the process has spent since its last one, at most a quarter of the capacity; an idle process
# leases half a percent, so that a hundred of them leave room for busy ones. A lease takes at most half of what is left.
_LEASE = """
WITH configured AS (
    SELECT
        coalesce(general_capacity, $6)::bigint AS capacity,
        coalesce(general_refill, $7)::bigint AS refill
    FROM organizations
    WHERE id = $1
)
INSERT INTO rate_limits AS bucket (organization_id, customer_id, kind, remaining, granted, counted_at, leases)
SELECT $1, NULL, 'general', capacity, true, $2::timestamptz, '{}'
FROM configured
ON CONFLICT (organization_id, customer_id, kind) DO UPDATE
SET (remaining, granted, counted_at, leases) = (
    SELECT
        filled.remaining - lease.tokens,
        lease.tokens > 0,
        greatest(bucket.counted_at, excluded.counted_at),
        held.others || jsonb_build_object($3::text, jsonb_build_array(lease.tokens + $4::bigint, $8::bigint))
    FROM configured
    CROSS JOIN LATERAL (SELECT extract(epoch FROM excluded.counted_at)::bigint AS now) AS clock
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(tokens), 0)::bigint AS tokens,
            coalesce(sum(tokens) FILTER (WHERE holder <> $3 AND until > clock.now), 0)::bigint AS of_others,
            coalesce(jsonb_object_agg(holder, value) FILTER (WHERE holder <> $3 AND until > clock.now), '{}') AS others,
            -- When tokens were last held that are not held any more: by this process, or by leases that expired.
            greatest($9::bigint, max(until) FILTER (WHERE holder <> $3 AND until <= clock.now)) AS released_at
        FROM (
            SELECT key AS holder, value, (value ->> 0)::bigint AS tokens, (value ->> 1)::bigint AS until
            FROM jsonb_each(bucket.leases)
        ) AS lease
    ) AS held
    CROSS JOIN LATERAL (
        SELECT least(
            capacity - held.of_others - $4,
            greatest(0, capacity - held.tokens) + refill * greatest(0, clock.now - held.released_at),
            bucket.remaining
            + refill * greatest(0, extract(epoch FROM excluded.counted_at - bucket.counted_at)::bigint)
        ) AS remaining
    ) AS filled
    CROSS JOIN LATERAL (
        SELECT greatest(0, least(
            (filled.remaining + 1) / 2,
            least(greatest(1, capacity / 4), greatest(1, capacity / 200, 2 * $5::bigint)) - $4
        )) AS tokens
    ) AS lease
)
RETURNING
    remaining,
    (leases -> $3 ->> 0)::bigint - $4 AS leased,
    counted_at,
    (SELECT refill FROM configured) AS refill
"""


@dataclass(slots=True)
class _Allowance:
    """The tokens of one organization that this process may spend."""

    organization_id: int
    left: int = 0
    until: datetime = _LONG_AGO
    low: int = 0
    spent: int = 0
    spent_at: datetime = _LONG_AGO
    remaining: int = 0
    denied_until: datetime = _LONG_AGO
    retry_at: datetime = _LONG_AGO
    leasing: "asyncio.Task[None] | None" = None

    @property
    def bucket(self) -> str:
        return f"organization:{self.organization_id}:general"


class LeasedRateLimiter:
    """Charges requests of the Profile API, one token each, to the bucket of their organization.

    `default` applies to organizations without a limit of their own.
    """

    def __init__(self, database: Database, default: BucketConfig) -> None:
        self._database = database
        self._default = default
        self._holder = secrets.token_hex(8)
        self._allowances: dict[int, _Allowance] = {}

    def try_charge(self, organization_id: int) -> Charge | None:
        """Charges a request without waiting; returns None where tokens have to be leased first."""
        allowance = self._allowances.get(organization_id)
        now = self._database.clock()
        if allowance is None or allowance.left <= 0 or now >= allowance.until:
            return None
        allowance.left -= 1
        allowance.spent += 1
        allowance.spent_at = now
        if allowance.left < allowance.low and allowance.leasing is None and now >= allowance.retry_at:
            self._start(allowance)
        return Charge(allowance.bucket, allowance.remaining + allowance.left, 1)

    def refund(self, organization_id: int) -> None:
        """Refunds the charge of a request that goes on to another handler, which charges it again."""
        allowance = self._allowances[organization_id]
        allowance.left += 1
        allowance.spent -= 1

    async def charge(self, organization_id: int) -> Charge:
        """Charges a request.

        Raises Denied: 429 where nothing is left, with the seconds to wait in Retry-After; 503 where the bucket can't be
        reached: nearly every request needs the database anyway, and a limit that fails open would fail under the load
        that it should stop.
        """
        while (charge := self.try_charge(organization_id)) is None:
            allowance = self._allowances.setdefault(organization_id, _Allowance(organization_id))
            now = self._database.clock()
            if now < allowance.denied_until:
                raise _denied(allowance, now)
            try:
                # A cancelled request does not cancel the lease, which others may wait for.
                await asyncio.shield(allowance.leasing or self._start(allowance))
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                raise AccessDenied(
                    503, "The database is not available: try again in a moment.", {"retry-after": "1"}
                ) from None
        return charge

    async def close(self) -> None:
        """Waits for running leases."""
        running = [each.leasing for each in self._allowances.values() if each.leasing is not None]
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, allowance: _Allowance) -> "asyncio.Task[None]":
        def done(task: "asyncio.Task[None]") -> None:
            allowance.leasing = None
            if not task.cancelled() and (error := task.exception()) is not None:
                allowance.retry_at = self._database.clock() + _RETRY
                _log.warning("rate_limit.lease_failed", organization=allowance.organization_id, why=str(error))

        allowance.leasing = asyncio.create_task(self._lease(allowance))
        allowance.leasing.add_done_callback(done)
        return allowance.leasing

    async def _lease(self, allowance: _Allowance) -> None:
        now = self._database.clock()
        if now >= allowance.until and allowance.left > 0:
            allowance.left = 0
            allowance.spent_at = allowance.until
        spent = allowance.spent
        row = await self._leased(allowance, now)
        if row["leased"] is None:
            # The bucket was created just now, and is full.
            row = await self._leased(allowance, now)
        leased: int = row["leased"]
        allowance.spent -= spent
        allowance.left += leased
        allowance.low = allowance.left // 2
        allowance.until = now + LEASE_DURATION
        allowance.remaining = row["remaining"]
        if allowance.left == 0:
            second = now.replace(microsecond=0)
            # The clock of another process may be ahead of ours.
            skew = int((row["counted_at"] - second).total_seconds())
            wait = max(1, -(-(1 - row["remaining"]) // row["refill"])) + skew
            allowance.denied_until = second + timedelta(seconds=wait)

    async def _leased(self, allowance: _Allowance, now: datetime) -> Any:
        async with self._database.unscoped_connection() as connection:
            return await connection.fetchrow(
                _LEASE,
                allowance.organization_id,
                now.replace(microsecond=0),
                self._holder,
                allowance.left,
                allowance.spent,
                self._default.capacity,
                self._default.refill_rate,
                int((now + _ACCOUNTED).timestamp()),
                int(allowance.spent_at.timestamp()),
            )


def _denied(allowance: _Allowance, now: datetime) -> AccessDenied:
    seconds = max(1, -int((now - allowance.denied_until).total_seconds() // 1))
    return AccessDenied(
        429,
        f"The rate limit of organization {allowance.organization_id} is used up: try again in {seconds} s.",
        {**Charge(allowance.bucket, allowance.remaining, 0).headers, "retry-after": str(seconds)},
    )
