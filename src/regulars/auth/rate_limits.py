"""Rate limits by token buckets in the database, shared by all processes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from regulars.auth.errors import AccessDenied


class BucketKind(Enum):
    """The API whose requests a bucket limits: GENERAL is the Profile API."""

    GENERAL = "general"
    REPORTING = "reporting"


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """The number of tokens that a bucket holds at most, and the number added per second."""

    capacity: int
    refill_rate: int


@dataclass(frozen=True, slots=True)
class BucketOwner:
    """The owner of a bucket: a customer, or the organization if `customer_id` is None."""

    organization_id: int
    customer_id: int | None = None


def bucket_owner(organization_id: int, customer_ids: Collection[int]) -> BucketOwner:
    """Returns the owner of the bucket that a request for these customers is charged to.

    A request for a single customer is charged to that customer, any other to the organization.
    """
    return BucketOwner(organization_id, next(iter(customer_ids)) if len(customer_ids) == 1 else None)


@dataclass(frozen=True, slots=True)
class Charge:
    """The cost of a request and the tokens left in its bucket.

    `remaining` may be negative: a request is allowed while at least one token is left, and is charged its full cost.
    """

    bucket: str
    remaining: int
    cost: int

    @property
    def headers(self) -> Mapping[str, str]:
        """The rate limit headers of the response."""
        return {
            "ratelimit-bucket": self.bucket,
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-cost": str(self.cost),
        }

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The rate limit headers as ASGI header pairs."""
        return [
            (b"ratelimit-bucket", self.bucket.encode()),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-cost", b"%d" % self.cost),
        ]


# The row stores whether the charge was allowed, because RETURNING sees only the row after the update.
_CHARGE = {
    kind: f"""
WITH config AS (
    SELECT
        coalesce({kind.value}_burst, $6)::bigint AS capacity,
        coalesce({kind.value}_rate_per_second, $7)::bigint AS refill_rate
    FROM organizations
    WHERE id = $1
)
INSERT INTO rate_limits AS bucket (organization_id, customer_id, kind, tokens, is_allowed, refilled_at)
SELECT $1, $2, $3, capacity - $4, true, $5::timestamptz
FROM config
ON CONFLICT (organization_id, customer_id, kind) DO UPDATE
SET (tokens, is_allowed, refilled_at) = (
    SELECT
        refilled.tokens - CASE WHEN refilled.tokens > 0 THEN $4 ELSE 0 END,
        refilled.tokens > 0,
        greatest(bucket.refilled_at, excluded.refilled_at)
    FROM (
        SELECT least(
            capacity,
            bucket.tokens
            + refill_rate * greatest(0, extract(epoch FROM excluded.refilled_at - bucket.refilled_at)::bigint)
        ) AS tokens
        FROM config
    ) AS refilled
)
RETURNING tokens, is_allowed, refilled_at, (SELECT refill_rate FROM config) AS refill_rate
"""
    for kind in BucketKind
}


async def charge(
    connection: Any, owner: BucketOwner, kind: BucketKind, cost: int, now: datetime, default: BucketConfig
) -> Charge:
    """Charges a request its full cost if at least one token is left.

    `default` applies where the organization has no limit of its own. Tokens are added at the start of each second of
    `now`, so that Retry-After, in whole seconds, is exact. Raises AccessDenied, 429, without charging anything.
    """
    second = now.replace(microsecond=0)
    row = await connection.fetchrow(
        _CHARGE[kind],
        owner.organization_id,
        owner.customer_id,
        kind.value,
        cost,
        second,
        default.capacity,
        default.refill_rate,
    )
    if owner.customer_id is None:
        owner_type, owner_id = "organization", owner.organization_id
    else:
        owner_type, owner_id = "customer", owner.customer_id
    bucket = f"{owner_type}:{owner_id}:{kind.value}"
    remaining: int = row["tokens"]
    if row["is_allowed"]:
        return Charge(bucket, remaining, cost)
    # The clock of another process may run ahead of this one.
    clock_skew = int((row["refilled_at"] - second).total_seconds())
    seconds = -(-(1 - remaining) // row["refill_rate"]) + clock_skew
    raise AccessDenied(
        429,
        f"Rate limit of {owner_type} {owner_id} exceeded. Retry in {seconds} s.",
        {**Charge(bucket, remaining, 0).headers, "retry-after": str(seconds)},
    )


_ADJUST_CHARGE = """
UPDATE rate_limits
SET tokens = tokens + $4
WHERE organization_id = $1 AND customer_id IS NOT DISTINCT FROM $2 AND kind = $3
RETURNING tokens
"""


async def adjust_charge(connection: Any, owner: BucketOwner, kind: BucketKind, charged: Charge, cost: int) -> Charge:
    """Replaces the cost of a charge that was made before the actual cost was known."""
    remaining = await connection.fetchval(
        _ADJUST_CHARGE, owner.organization_id, owner.customer_id, kind.value, charged.cost - cost
    )
    return Charge(charged.bucket, remaining, cost)
