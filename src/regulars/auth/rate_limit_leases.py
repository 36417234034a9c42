"""Rate limit of the Profile API: each process leases blocks of tokens, so that most requests need no round trip.

A process leases tokens from its organization's bucket and charges requests to the lease. The bucket records the
unexpired leases and refills up to its capacity minus the leased tokens, so that all processes together never hold more
than the capacity. The tokens of an expired lease are lost; the refill replaces them.
"""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from regulars.auth.errors import AccessDenied
from regulars.auth.rate_limits import BucketConfig, Charge
from regulars.storage.database import Database
from regulars.storage.errors import DATABASE_ERRORS

_log = structlog.get_logger("regulars.auth")

LEASE_DURATION = timedelta(seconds=10)
"""How long a process may spend the tokens of a lease."""

_RECORDED_LEASE_DURATION = timedelta(seconds=15)
"""How long the bucket records a lease: longer than LEASE_DURATION, because the clocks of processes differ."""

_RETRY_DELAY = timedelta(seconds=1)

_DISTANT_PAST = datetime(1, 1, 1, tzinfo=UTC)

# Tokens that processes hold still count towards the capacity, so they are not refilled.
#
# A lease is twice what the process has spent since its last one, at most a quarter of the capacity. An idle process
# leases half a percent, so that a hundred of them leave enough for busy ones. A lease takes at most half of the tokens.
_LEASE = """
WITH config AS (
    SELECT
        coalesce(general_burst, $6)::bigint AS capacity,
        coalesce(general_rate_per_second, $7)::bigint AS refill_rate
    FROM organizations
    WHERE id = $1
)
INSERT INTO rate_limits AS bucket (organization_id, customer_id, kind, tokens, is_allowed, refilled_at, leases)
SELECT $1, NULL, 'general', capacity, true, $2::timestamptz, '{}'
FROM config
ON CONFLICT (organization_id, customer_id, kind) DO UPDATE
SET (tokens, is_allowed, refilled_at, leases) = (
    SELECT
        refilled.tokens - new_lease.tokens,
        new_lease.tokens > 0,
        greatest(bucket.refilled_at, excluded.refilled_at),
        leased.other_leases || jsonb_build_object(
            $3::text, jsonb_build_array(new_lease.tokens + $4::bigint, $8::bigint)
        )
    FROM config
    CROSS JOIN LATERAL (SELECT extract(epoch FROM excluded.refilled_at)::bigint AS now) AS clock
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(tokens), 0)::bigint AS tokens,
            coalesce(sum(tokens) FILTER (WHERE holder <> $3 AND expires_at > clock.now), 0)::bigint AS other_tokens,
            coalesce(
                jsonb_object_agg(holder, value) FILTER (WHERE holder <> $3 AND expires_at > clock.now), '{}'
            ) AS other_leases,
            -- The last instant at which tokens were released: spent by this process, or in a lease that expired.
            greatest(
                $9::bigint, max(expires_at) FILTER (WHERE holder <> $3 AND expires_at <= clock.now)
            ) AS released_at
        FROM (
            SELECT key AS holder, value, (value ->> 0)::bigint AS tokens, (value ->> 1)::bigint AS expires_at
            FROM jsonb_each(bucket.leases)
        ) AS lease
    ) AS leased
    CROSS JOIN LATERAL (
        SELECT least(
            capacity - leased.other_tokens - $4,
            greatest(0, capacity - leased.tokens) + refill_rate * greatest(0, clock.now - leased.released_at),
            bucket.tokens
            + refill_rate * greatest(0, extract(epoch FROM excluded.refilled_at - bucket.refilled_at)::bigint)
        ) AS tokens
    ) AS refilled
    CROSS JOIN LATERAL (
        SELECT greatest(0, least(
            (refilled.tokens + 1) / 2,
            least(greatest(1, capacity / 4), greatest(1, capacity / 200, 2 * $5::bigint)) - $4
        )) AS tokens
    ) AS new_lease
)
RETURNING
    tokens,
    (leases -> $3 ->> 0)::bigint - $4 AS leased_tokens,
    refilled_at,
    (SELECT refill_rate FROM config) AS refill_rate
"""


@dataclass(slots=True)
class _Lease:
    """The tokens of one organization that this process may spend.

    `tokens` may be spent until `expires_at`; below `low_tokens` the next lease is requested in advance.
    `bucket_tokens` is what the bucket held after the last lease.
    """

    organization_id: int
    tokens: int = 0
    expires_at: datetime = _DISTANT_PAST
    low_tokens: int = 0
    spent: int = 0
    spent_at: datetime = _DISTANT_PAST
    bucket_tokens: int = 0
    denied_until: datetime = _DISTANT_PAST
    retry_at: datetime = _DISTANT_PAST
    renewal: "asyncio.Task[None] | None" = None

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
        self._leases: dict[int, _Lease] = {}

    def try_charge(self, organization_id: int) -> Charge | None:
        """Charges a request without waiting; returns None if tokens have to be leased first."""
        lease = self._leases.get(organization_id)
        now = self._database.clock()
        if lease is None or lease.tokens <= 0 or now >= lease.expires_at:
            return None
        lease.tokens -= 1
        lease.spent += 1
        lease.spent_at = now
        if lease.tokens < lease.low_tokens and lease.renewal is None and now >= lease.retry_at:
            self._start_renewal(lease)
        return Charge(lease.bucket, lease.bucket_tokens + lease.tokens, 1)

    def refund(self, organization_id: int) -> None:
        """Refunds the charge of a request that another handler takes over and charges again."""
        lease = self._leases[organization_id]
        lease.tokens += 1
        lease.spent -= 1

    async def charge(self, organization_id: int) -> Charge:
        """Charges a request.

        Raises AccessDenied: 429 if no token is left, with the seconds to wait in Retry-After; 503 if the database is
        unavailable. Nearly every request needs the database, and a limit that failed open would fail under the very
        load that it has to stop.
        """
        while (charge := self.try_charge(organization_id)) is None:
            lease = self._leases.setdefault(organization_id, _Lease(organization_id))
            now = self._database.clock()
            if now < lease.denied_until:
                raise _rate_limited(lease, now)
            try:
                # A cancelled request must not cancel the renewal, because others may wait for it.
                await asyncio.shield(lease.renewal or self._start_renewal(lease))
            except DATABASE_ERRORS:
                raise AccessDenied(
                    503, "The database is unavailable. Retry in a few seconds.", {"retry-after": "1"}
                ) from None
        return charge

    async def close(self) -> None:
        """Waits for renewals in progress."""
        renewals = [each.renewal for each in self._leases.values() if each.renewal is not None]
        await asyncio.gather(*renewals, return_exceptions=True)

    def _start_renewal(self, lease: _Lease) -> "asyncio.Task[None]":
        def finish(task: "asyncio.Task[None]") -> None:
            lease.renewal = None
            if not task.cancelled() and (error := task.exception()) is not None:
                lease.retry_at = self._database.clock() + _RETRY_DELAY
                _log.warning("rate_limit.lease_failed", organization=lease.organization_id, error=str(error))

        lease.renewal = asyncio.create_task(self._renew(lease))
        lease.renewal.add_done_callback(finish)
        return lease.renewal

    async def _renew(self, lease: _Lease) -> None:
        now = self._database.clock()
        if now >= lease.expires_at and lease.tokens > 0:
            lease.tokens = 0
            lease.spent_at = lease.expires_at
        spent = lease.spent
        row = await self._fetch_lease(lease, now)
        if row["leased_tokens"] is None:
            # The statement created the bucket, which is full, but leased nothing from it.
            row = await self._fetch_lease(lease, now)
        leased_tokens: int = row["leased_tokens"]
        lease.spent -= spent
        lease.tokens += leased_tokens
        lease.low_tokens = lease.tokens // 2
        lease.expires_at = now + LEASE_DURATION
        lease.bucket_tokens = row["tokens"]
        if lease.tokens == 0:
            second = now.replace(microsecond=0)
            # The clock of another process may run ahead of this one.
            clock_skew = int((row["refilled_at"] - second).total_seconds())
            seconds = max(1, -(-(1 - row["tokens"]) // row["refill_rate"])) + clock_skew
            lease.denied_until = second + timedelta(seconds=seconds)

    async def _fetch_lease(self, lease: _Lease, now: datetime) -> Any:
        async with self._database.unscoped_connection() as connection:
            return await connection.fetchrow(
                _LEASE,
                lease.organization_id,
                now.replace(microsecond=0),
                self._holder,
                lease.tokens,
                lease.spent,
                self._default.capacity,
                self._default.refill_rate,
                int((now + _RECORDED_LEASE_DURATION).timestamp()),
                int(lease.spent_at.timestamp()),
            )


def _rate_limited(lease: _Lease, now: datetime) -> AccessDenied:
    seconds = max(1, -int((now - lease.denied_until).total_seconds() // 1))
    return AccessDenied(
        429,
        f"Rate limit of organization {lease.organization_id} exceeded. Retry in {seconds} s.",
        {**Charge(lease.bucket, lease.bucket_tokens, 0).headers, "retry-after": str(seconds)},
    )
