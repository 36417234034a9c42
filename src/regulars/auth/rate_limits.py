"""Token buckets, kept by the database, so that they hold over all processes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from regulars.auth.errors import AccessDenied


class BucketKind(Enum):
    """What a bucket is for."""

    GENERAL = "general"
    REPORTING = "reporting"


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """How many tokens a bucket holds, and how many are added every second."""

    capacity: int
    refill_rate: int


@dataclass(frozen=True, slots=True)
class BucketOwner:
    """Whose bucket it is: the customer's where a request is about one, else the organization's."""

    organization_id: int
    customer_id: int | None = None


def bucket_owner(organization_id: int, customer_ids: Collection[int]) -> BucketOwner:
    """Whose bucket a request about these customers is charged to."""
    return BucketOwner(organization_id, next(iter(customer_ids)) if len(customer_ids) == 1 else None)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request has cost. `remaining` may be below 0: a request that passes is charged whole."""

    bucket: str
    remaining: int
    cost: int

    @property
    def headers(self) -> Mapping[str, str]:
        """What a client is told with every answer."""
        return {
            "ratelimit-bucket": self.bucket,
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-cost": str(self.cost),
        }

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers in the form of ASGI."""
        return [
            (b"ratelimit-bucket", self.bucket.encode()),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-cost", b"%d" % self.cost),
        ]


# Whether something was left before the charge is kept in the row, for what an update returns is the row after it.
_CHARGE = {
    kind: f"""
WITH held AS (
    SELECT coalesce({kind.value}_capacity, $6)::bigint AS capacity, coalesce({kind.value}_refill, $7)::bigint AS refill
    FROM organizations
    WHERE id = $1
)
INSERT INTO rate_limits AS kept (organization_id, customer_id, kind, remaining, granted, counted_at)
SELECT $1, $2, $3, capacity - $4, true, $5::timestamptz
FROM held
ON CONFLICT (organization_id, customer_id, kind) DO UPDATE
SET (remaining, granted, counted_at) = (
    SELECT filled.remaining - CASE WHEN filled.remaining > 0 THEN $4 ELSE 0 END,
           filled.remaining > 0,
           greatest(kept.counted_at, excluded.counted_at)
    FROM (
        SELECT least(
            capacity,
            kept.remaining
            + refill * greatest(0, extract(epoch FROM excluded.counted_at - kept.counted_at)::bigint)
        ) AS remaining
        FROM held
    ) AS filled
)
RETURNING remaining, granted, counted_at, (SELECT refill FROM held) AS refill
"""
    for kind in BucketKind
}


async def charge(
    connection: Any, owner: BucketOwner, kind: BucketKind, cost: int, now: datetime, usual: BucketConfig
) -> Charge:
    """Charges a request whole, if something remains; `usual` holds where the organization has set nothing else.

    Tokens are added as each second of `now` begins, so that waiting is told in whole seconds and is exact. Raises
    Denied, 429, which charges nothing, with the seconds until something remains in Retry-After.
    """
    second = now.replace(microsecond=0)
    row = await connection.fetchrow(
        _CHARGE[kind],
        owner.organization_id,
        owner.customer_id,
        kind.value,
        cost,
        second,
        usual.capacity,
        usual.refill_rate,
    )
    whose = ("organization", owner.organization_id) if owner.customer_id is None else ("customer", owner.customer_id)
    bucket = f"{whose[0]}:{whose[1]}:{kind.value}"
    remaining: int = row["remaining"]
    if row["granted"]:
        return Charge(bucket, remaining, cost)
    # The clock of another process may be ahead of ours.
    ahead = int((row["counted_at"] - second).total_seconds())
    seconds = -(-(1 - remaining) // row["refill"]) + ahead
    raise AccessDenied(
        429,
        f"The rate limit of {whose[0]} {whose[1]} is used up: try again in {seconds} s.",
        {**Charge(bucket, remaining, 0).headers, "retry-after": str(seconds)},
    )


_RECHARGE = """
UPDATE rate_limits
SET remaining = remaining + $4
WHERE organization_id = $1 AND customer_id IS NOT DISTINCT FROM $2 AND kind = $3
RETURNING remaining
"""


async def adjust_charge(connection: Any, owner: BucketOwner, kind: BucketKind, charged: Charge, cost: int) -> Charge:
    """Corrects the charge of a request once its cost is known: less if it failed before it ran, more if it was charged
    before it was parsed.
    """
    remaining = await connection.fetchval(
        _RECHARGE, owner.organization_id, owner.customer_id, kind.value, charged.cost - cost
    )
    return Charge(charged.bucket, remaining, cost)
