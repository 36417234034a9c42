"""Proof that live equals recomputed: every kept value against the facts, every derived column against its row."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from regulars.aggregations.store import NAMES, statement
from regulars.facts import places
from regulars.storage.database import Database

PROFILES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is kept and is not what the facts say; `key` tells whose, `name` which."""

    key: str
    name: str
    kept: object
    recomputed: object

    def __str__(self) -> str:
        return f"{self.key}: {self.name} is kept as {self.kept!r}, the facts say {self.recomputed!r}"


@cache
def _compared() -> str:
    differs = "\n    OR ".join(f"kept.{name} IS DISTINCT FROM fresh.{name}" for name in (*NAMES, "next_change_at"))
    columns = ",\n       ".join(f"kept.{name} AS kept_{name}, fresh.{name}" for name in (*NAMES, "next_change_at"))
    return f"""
WITH fresh AS MATERIALIZED (
{statement()}
)
SELECT fresh.profile_id, kept.profile_id IS NULL AS is_missing,
       {columns}
FROM fresh
LEFT JOIN aggregations AS kept ON kept.community_id = $1 AND kept.profile_id = fresh.profile_id
-- What is due by the clock, or by a shared fact, is computed when it is read: nothing kept is claimed of it.
WHERE kept.profile_id IS NULL
   OR kept.values_epoch = fresh.values_epoch
  AND kept.calculated_at <= fresh.calculated_at
  AND (kept.next_change_at IS NULL OR kept.next_change_at > fresh.calculated_at)
  AND (
    {differs}
  )
ORDER BY fresh.profile_id
"""


_PROFILES = """
SELECT profile_id
FROM profiles
WHERE community_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR profile_id > $2)
ORDER BY profile_id
LIMIT $3
"""

_LOCATIONS = """
SELECT 'location ' || id AS key, address AS fields, extra ->> 'country_iso_3' AS country_iso_3,
       country, iso_state, state
FROM locations
WHERE community_id = $1
ORDER BY id
"""

_ADDRESSES = """
SELECT 'address ' || id AS key, fields, fields ->> 'country_iso_3' AS country_iso_3, country, iso_state, state
FROM addresses
WHERE community_id = $1 AND profile_id = ANY ($2)
ORDER BY id
"""

_DERIVED = (files("regulars.aggregations") / "verify_derived.sql").read_text()


async def verify(
    database: Database, community_id: int, as_of: datetime | None = None
) -> AsyncIterator[Difference | int]:
    """Every difference between what is kept and what the facts say at `as_of` (now where None), and, after each
    part, the number of profiles looked at so far.
    """
    at = database.clock() if as_of is None else as_of
    last: Any = None
    seen = 0
    while True:
        async with database.reading(community_id) as scope:
            rows = await scope.fetch(_PROFILES, community_id, last, PROFILES_AT_ONCE)
            if not rows:
                break
            profile_ids = [row["profile_id"] for row in rows]
            found = await scope.fetch(_compared(), community_id, profile_ids, [at] * len(profile_ids))
            addresses = await scope.fetch(_ADDRESSES, community_id, profile_ids)
        for row in found:
            for difference in _differences(row):
                yield difference
        for difference in _misplaced(addresses):
            yield difference
        last = profile_ids[-1]
        seen += len(profile_ids)
        yield seen
    async with database.reading(community_id) as scope:
        locations = await scope.fetch(_LOCATIONS, community_id)
        derived = await scope.fetch(_DERIVED, community_id)
    for difference in _misplaced(locations):
        yield difference
    for row in derived:
        yield Difference(row["key"], row["name"], row["kept"], row["recomputed"])


def _misplaced(rows: Sequence[Any]) -> Iterator[Difference]:
    for row in rows:
        fields = None if row["fields"] is None else msgspec.json.decode(row["fields"])
        for name, recomputed in places.derived(fields, row["country_iso_3"]).items():
            if row[name] != recomputed:
                yield Difference(row["key"], name, row[name], recomputed)


def _differences(row: Any) -> list[Difference]:
    key = f"profile {row['profile_id']}"
    if row["is_missing"]:
        return [Difference(key, "aggregations", None, "a row")]
    return [
        Difference(key, name, row[f"kept_{name}"], row[name])
        for name in (*NAMES, "next_change_at")
        if row[f"kept_{name}"] != row[name]
    ]
