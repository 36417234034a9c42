"""Proof that live equals recomputed: every kept value against DuckDB's, every derived column against its row."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa

from regulars.aggregations.table import STORED_AGGREGATIONS, VALUE_COLUMNS, values_statement
from regulars.facts.registry import FACT_TYPES
from regulars.model import address_country
from regulars.storage.copy_out import TIMESTAMP
from regulars.storage.database import Database, Scope
from regulars.verify import export, timezone_check
from regulars.verify.export import BOOLEAN, DATE, INTEGER, TEXT, ExportedFacts, ProfileRange

MAX_PROFILES_PER_RANGE = 50_000
MAX_SALES_PER_RANGE = 500_000
"""What is compared at once bounds the memory that it takes: 640 MiB for so many sales."""

MAX_PROFILES_PER_STATEMENT = 2_000
"""So many profiles are computed at a past instant by one statement of the database."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is kept, or stated in another way, and is not what the facts say.

    `key` tells whose, `name` which.
    """

    key: str
    name: str
    stored: object
    recomputed: object
    stored_label: str = "is kept as"
    expected_label: str = "the facts say"

    def __str__(self) -> str:
        return f"{self.key}: {self.name} {self.stored_label} {self.stored!r}, {self.expected_label} {self.recomputed!r}"


# What a part holds at most is bounded by the sales as they are kept; a profile of more is a part by itself.
_PART = """
SELECT profile_id AS last, number
FROM (
    SELECT profile_id, number, sum(1 + sales) OVER (ORDER BY profile_id) AS weight
    FROM (
        SELECT own.profile_id, row_number() OVER (ORDER BY own.profile_id) AS number,
               coalesce(kept.shop_count, 0) AS sales
        FROM (
            SELECT profile_id
            FROM profiles
            WHERE community_id = $1 AND profile_id >= $2 AND deleted_at IS NULL
            ORDER BY profile_id
            LIMIT $3
        ) AS own
        LEFT JOIN profile_aggregations AS kept ON kept.community_id = $1 AND kept.profile_id = own.profile_id
    ) AS counted
) AS weighed
WHERE weight <= $4 OR number = 1
ORDER BY number DESC
LIMIT 1
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
WHERE community_id = $1 AND profile_id BETWEEN $2 AND $3
ORDER BY id
"""

_DERIVED = (files("regulars.verify") / "verify_derived.sql").read_text()

_COMPARED = (*VALUE_COLUMNS, "next_change_at")

_LEAST, _GREATEST = UUID(int=0), UUID(int=2**128 - 1)


async def verify(
    database: Database, community_id: int, as_of: datetime | None = None
) -> AsyncIterator[Discrepancy | int]:
    """Every difference between what is kept and what the facts say, and, after each part, the number of profiles
    looked at so far.

    With `as_of`, what is compared is not what is kept, but what is answered for that instant: of every profile.
    """
    first: UUID | None = _LEAST
    seen, is_explained = 0, False
    while first is not None:
        async with database.read_transaction(community_id) as scope:
            found = await scope.fetchrow(_PART, community_id, first, MAX_PROFILES_PER_RANGE, MAX_SALES_PER_RANGE)
            if found is None:
                break
            part = ProfileRange(first, found["last"])
            facts = await export.export_facts(scope, part)
            stated = await (_kept(scope, part) if as_of is None else _answered(scope, facts, as_of))
            addresses = await scope.fetch(_ADDRESSES, community_id, part.first, part.last)
            at = as_of or scope.now
        # By then the snapshot is given back, and what else runs here goes on.
        differing = await asyncio.to_thread(_differing, facts, stated, at, is_kept=as_of is None)
        if differing and not is_explained:
            is_explained = True
            for difference in await _zones(database, community_id):
                yield difference
        for difference in differing:
            yield difference
        for difference in _misplaced(addresses):
            yield difference
        seen += found["number"]
        yield seen
        first = None if part.last == _GREATEST else UUID(int=part.last.int + 1)
    async with database.read_transaction(community_id) as scope:
        locations = await scope.fetch(_LOCATIONS, community_id)
        derived = await scope.fetch(_DERIVED, community_id)
        for fact_type in FACT_TYPES:
            if fact_type.verify is not None:
                derived += await fact_type.verify(scope, as_of)
    for difference in _misplaced(locations):
        yield difference
    for row in derived:
        yield Discrepancy(row["key"], row["name"], row["stored"], row["recomputed"])


async def _zones(database: Database, community_id: int) -> list[Discrepancy]:
    """What may explain the differences of many profiles, so that it is said before them."""
    async with database.read_transaction(community_id) as scope:
        found = await timezone_check.timezone_differences(scope)
    return [
        Discrepancy(f"time zone {zone}", f"{at} UTC", f"{stored}", f"{engines}", "is to the database", "to DuckDB")
        for zone, at, stored, engines in found
    ]


def _misplaced(rows: Sequence[Any]) -> Iterator[Discrepancy]:
    for row in rows:
        fields = None if row["fields"] is None else msgspec.json.decode(row["fields"])
        for name, recomputed in address_country.country_and_state(fields, row["country_iso_3"]).items():
            if row[name] != recomputed:
                yield Discrepancy(row["key"], name, row[name], recomputed)


# What is stated ---------------------------------------------------------------------------------------------

_LISTS = {
    each.name: each.type.column_type.removesuffix("[]")
    for each in STORED_AGGREGATIONS
    if each.type.column_type.endswith("[]")
}

_ARROW = {"bigint": INTEGER, "numeric": TEXT, "text": TEXT, "date": DATE, "timestamptz": TIMESTAMP}

_STATED: dict[str, pa.DataType] = {
    "profile_id": TEXT,
    "is_missing": BOOLEAN,
    "is_claimed": BOOLEAN,
    "next_change_at": TIMESTAMP,
    # Lists travel as JSON.
    **{each.name: _ARROW.get(each.type.column_type, TEXT) for each in STORED_AGGREGATIONS},
}


def _stated(row: str) -> str:
    columns = [f"to_json({row}.{name})" if name in _LISTS else f"{row}.{name}" for name in VALUE_COLUMNS]
    return f"{row}.next_change_at, " + ", ".join(columns)


# What is due by the clock, or by a shared fact, is computed when it is read: nothing kept is claimed of it.
_KEPT = f"""
SELECT own.profile_id,
       kept.profile_id IS NULL AS is_missing,
       kept.values_version = cache_versions.values_version
           AND kept.calculated_at <= $4::timestamptz
           AND (kept.next_change_at IS NULL OR kept.next_change_at > $4::timestamptz) AS is_claimed,
       {_stated("kept")}
FROM profiles AS own
JOIN cache_versions ON cache_versions.community_id = own.community_id
LEFT JOIN profile_aggregations AS kept ON kept.community_id = $1 AND kept.profile_id = own.profile_id
WHERE own.community_id = $1 AND own.profile_id BETWEEN $2::uuid AND $3::uuid AND own.deleted_at IS NULL
"""


async def _kept(scope: Scope, part: ProfileRange) -> pa.Table:
    """The rows of values that are kept."""
    return await export.export_query(scope, _KEPT, (scope.community_id, part.first, part.last, scope.now), _STATED)


@cache
def _answer() -> str:
    return f"""
SELECT answer.profile_id, FALSE AS is_missing, TRUE AS is_claimed,
       {_stated("answer")}
FROM (
{values_statement()}
) AS answer
"""


async def _answered(scope: Scope, facts: ExportedFacts, as_of: datetime) -> pa.Table:
    """What a read at `as_of` would be answered."""
    profile_ids = facts.tables["fact_profiles"]["profile_id"].to_pylist()
    parts = []
    for start in range(0, len(profile_ids), MAX_PROFILES_PER_STATEMENT):
        some = profile_ids[start : start + MAX_PROFILES_PER_STATEMENT]
        arguments = (scope.community_id, some, [as_of] * len(some))
        parts.append(await export.export_query(scope, _answer(), arguments, _STATED))
    return pa.concat_tables(parts)


# What differs -----------------------------------------------------------------------------------------------


def _comparable(name: str) -> str:
    if name not in _LISTS:
        return f"stated.{name}"
    return f"""from_json(stated.{name}, '["{"BIGINT" if _LISTS[name] == "bigint" else "VARCHAR"}"]')"""


_DIFFERING = f"""
SELECT *
FROM (
    SELECT fresh.profile_id, stated.is_missing, stated.is_claimed,
           {", ".join(f"{_comparable(name)} AS stated_{name}, fresh.{name}" for name in _COMPARED)}
    FROM recomputed AS fresh
    JOIN stated ON stated.profile_id = fresh.profile_id
) AS compared
WHERE is_missing
   OR is_claimed AND ({" OR ".join(f"stated_{name} IS DISTINCT FROM {name}" for name in _COMPARED)})
ORDER BY profile_id
"""


def _differing(facts: ExportedFacts, stated: pa.Table, at: datetime, *, is_kept: bool) -> list[Discrepancy]:
    runner = export.recompute(facts, at)
    runner.connection.register("stated", stated)
    rows = export.fetch_dicts(runner, _DIFFERING)
    runner.connection.close()
    return [each for row in rows for each in _differences(row, "is kept as" if is_kept else "is answered as")]


def _differences(row: dict[str, Any], stated: str) -> list[Discrepancy]:
    key = f"profile {row['profile_id']}"
    if row["is_missing"]:
        return [Discrepancy(key, "aggregations", None, "a row")]
    return [
        Discrepancy(key, name, _value(name, row[f"stated_{name}"]), _value(name, row[name]), stated)
        for name in _COMPARED
        if row[f"stated_{name}"] != row[name]
    ]


_NUMBERS = {each.name for each in STORED_AGGREGATIONS if each.type.column_type == "numeric"}


def _value(name: str, value: Any) -> object:
    """A value as the database gives it."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return Decimal(value) if name in _NUMBERS and value is not None else value
