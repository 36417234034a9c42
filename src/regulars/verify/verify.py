"""Verifies stored data: values against a recomputation by DuckDB, computed columns and rollups against their rows."""

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

from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.table import STORED_AGGREGATIONS, VALUE_COLUMNS
from regulars.facts.registry import FACT_TYPES
from regulars.model import address_country
from regulars.storage.copy_out import TIMESTAMP
from regulars.storage.database import Database, Scope
from regulars.verify import export, segment_check, timezone_check
from regulars.verify.export import BOOLEAN, DATE, INTEGER, TEXT, ExportedFacts, ProfileRange
from regulars.verify.segment_check import ExportedMemberships

MAX_PROFILES_PER_RANGE = 50_000
MAX_SALES_PER_RANGE = 500_000
"""Bounds the memory of a comparison: 640 MiB for this number of sales."""

MAX_PROFILES_PER_STATEMENT = 2_000
"""Number of profiles that one statement computes at a past instant."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A difference between a stored (or returned) value and the value that follows from the facts.

    `key` identifies the object, `name` the value.
    """

    key: str
    name: str
    stored: object
    recomputed: object
    stored_label: str = "is stored as"
    expected_label: str = "expected"

    def __str__(self) -> str:
        return f"{self.key}: {self.name} {self.stored_label} {self.stored!r}, {self.expected_label} {self.recomputed!r}"


# A range is bounded by the stored number of sales; a profile with more sales is a range of its p.
_NEXT_RANGE = """
SELECT profile_id AS last, number
FROM (
    SELECT profile_id, number, sum(1 + sales) OVER (ORDER BY profile_id) AS weight
    FROM (
        SELECT p.profile_id, row_number() OVER (ORDER BY p.profile_id) AS number,
               coalesce(stored.shop_count, 0) AS sales
        FROM (
            SELECT profile_id
            FROM profiles
            WHERE community_id = $1 AND profile_id >= $2 AND deleted_at IS NULL
            ORDER BY profile_id
            LIMIT $3
        ) AS p
        LEFT JOIN profile_aggregations AS stored ON stored.community_id = $1 AND stored.profile_id = p.profile_id
    ) AS counted
) AS weighted
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

_COMPUTED_COLUMNS = (files("regulars.verify") / "verify_derived.sql").read_text()

_COMPARED = (*VALUE_COLUMNS, "next_change_at")

_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)


async def verify(
    database: Database, community_id: int, as_of: datetime | None = None
) -> AsyncIterator[Discrepancy | int]:
    """Yields all discrepancies of a community, and, after each range, the number of profiles verified so far.

    With `as_of`, compares the values that a read at that instant returns, instead of the stored ones.
    """
    first: UUID | None = _LOWEST
    verified, are_timezones_checked = 0, False
    while first is not None:
        async with database.read_transaction(community_id) as scope:
            found = await scope.fetchrow(_NEXT_RANGE, community_id, first, MAX_PROFILES_PER_RANGE, MAX_SALES_PER_RANGE)
            if found is None:
                break
            profile_range = ProfileRange(first, found["last"])
            facts = await export.export_facts(scope, profile_range)
            actual = await (_stored(scope, profile_range) if as_of is None else _returned(scope, facts, as_of))
            memberships = None if as_of else await segment_check.export_memberships(scope, profile_range)
            addresses = await scope.fetch(_ADDRESSES, community_id, profile_range.first, profile_range.last)
            at = as_of or scope.now
        # The snapshot is released, and the event loop is not blocked.
        differences = await asyncio.to_thread(_compare, facts, actual, memberships, at, is_stored=as_of is None)
        if differences and not are_timezones_checked:
            are_timezones_checked = True
            for difference in await _timezone_differences(database, community_id):
                yield difference
        for difference in differences:
            yield difference
        for difference in _location_differences(addresses):
            yield difference
        verified += found["number"]
        yield verified
        first = None if profile_range.last == _HIGHEST else UUID(int=profile_range.last.int + 1)
    async with database.read_transaction(community_id) as scope:
        locations = await scope.fetch(_LOCATIONS, community_id)
        computed = await scope.fetch(_COMPUTED_COLUMNS, community_id)
        for fact_type in FACT_TYPES:
            if fact_type.verify is not None:
                computed += await fact_type.verify(scope, as_of)
    for difference in _location_differences(locations):
        yield difference
    for row in computed:
        yield Discrepancy(row["key"], row["name"], row["stored"], row["recomputed"])


async def _timezone_differences(database: Database, community_id: int) -> list[Discrepancy]:
    """Time zone differences, which are reported first because they may explain those of many profiles."""
    async with database.read_transaction(community_id) as scope:
        found = await timezone_check.timezone_differences(scope)
    return [
        Discrepancy(f"time zone {zone}", f"{at} UTC", f"{stored}", f"{in_duckdb}", "is in PostgreSQL", "in DuckDB")
        for zone, at, stored, in_duckdb in found
    ]


def _location_differences(rows: Sequence[Any]) -> Iterator[Discrepancy]:
    for row in rows:
        fields = None if row["fields"] is None else msgspec.json.decode(row["fields"])
        for name, recomputed in address_country.country_and_state(fields, row["country_iso_3"]).items():
            if row[name] != recomputed:
                yield Discrepancy(row["key"], name, row[name], recomputed)


# Stored or returned values ---------------------------------------------------------------------------------------------

_LISTS = {
    each.name: each.type.column_type.removesuffix("[]")
    for each in STORED_AGGREGATIONS
    if each.type.column_type.endswith("[]")
}

_ARROW = {"bigint": INTEGER, "numeric": TEXT, "text": TEXT, "date": DATE, "timestamptz": TIMESTAMP}

_ACTUAL_COLUMNS: dict[str, pa.DataType] = {
    "profile_id": TEXT,
    "is_missing": BOOLEAN,
    "is_current": BOOLEAN,
    "next_change_at": TIMESTAMP,
    # Lists are exported as JSON.
    **{each.name: _ARROW.get(each.type.column_type, TEXT) for each in STORED_AGGREGATIONS},
}


def _actual_columns(row: str) -> str:
    columns = [f"to_json({row}.{name})" if name in _LISTS else f"{row}.{name}" for name in VALUE_COLUMNS]
    return f"{row}.next_change_at, " + ", ".join(columns)


# Stale values are computed when they are read, so the stored ones are not compared.
_STORED_VALUES = f"""
SELECT p.profile_id,
       stored.profile_id IS NULL AS is_missing,
       stored.values_version = cache_versions.values_version
           AND stored.calculated_at <= $4::timestamptz
           AND (stored.next_change_at IS NULL OR stored.next_change_at > $4::timestamptz) AS is_current,
       {_actual_columns("stored")}
FROM profiles AS p
JOIN cache_versions ON cache_versions.community_id = p.community_id
LEFT JOIN profile_aggregations AS stored ON stored.community_id = $1 AND stored.profile_id = p.profile_id
WHERE p.community_id = $1 AND p.profile_id BETWEEN $2::uuid AND $3::uuid AND p.deleted_at IS NULL
"""


async def _stored(scope: Scope, profile_range: ProfileRange) -> pa.Table:
    """The stored values."""
    return await export.export_query(
        scope, _STORED_VALUES, (scope.community_id, profile_range.first, profile_range.last, scope.now), _ACTUAL_COLUMNS
    )


@cache
def _returned_statement() -> str:
    return f"""
SELECT answer.profile_id, FALSE AS is_missing, TRUE AS is_current,
       {_actual_columns("answer")}
FROM (
{values_statement()}
) AS answer
"""


async def _returned(scope: Scope, facts: ExportedFacts, as_of: datetime) -> pa.Table:
    """The values that a read at `as_of` returns."""
    profile_ids = facts.tables["fact_profiles"]["profile_id"].to_pylist()
    tables = []
    for start in range(0, len(profile_ids), MAX_PROFILES_PER_STATEMENT):
        batch = profile_ids[start : start + MAX_PROFILES_PER_STATEMENT]
        arguments = (scope.community_id, batch, [as_of] * len(batch))
        tables.append(await export.export_query(scope, _returned_statement(), arguments, _ACTUAL_COLUMNS))
    return pa.concat_tables(tables)


# Differences -----------------------------------------------------------------------------------------------


def _comparable(name: str) -> str:
    if name not in _LISTS:
        return f"actual.{name}"
    return f"""from_json(actual.{name}, '["{"BIGINT" if _LISTS[name] == "bigint" else "VARCHAR"}"]')"""


_DIFFERENT_ROWS = f"""
SELECT *
FROM (
    SELECT recomputed.profile_id, actual.is_missing, actual.is_current,
           {", ".join(f"{_comparable(name)} AS actual_{name}, recomputed.{name}" for name in _COMPARED)}
    FROM recomputed
    JOIN actual ON actual.profile_id = recomputed.profile_id
) AS compared
WHERE is_missing
   OR is_current AND ({" OR ".join(f"actual_{name} IS DISTINCT FROM {name}" for name in _COMPARED)})
ORDER BY profile_id
"""


def _compare(
    facts: ExportedFacts, actual: pa.Table, memberships: ExportedMemberships | None, at: datetime, *, is_stored: bool
) -> list[Discrepancy]:
    engine = export.recompute(facts, at)
    engine.connection.register("actual", actual)
    rows = export.fetch_dicts(engine, _DIFFERENT_ROWS)
    found = [each for row in rows for each in _differences(row, "is stored as" if is_stored else "is returned as")]
    if memberships is not None:
        found += (
            Discrepancy(f"profile {profile_id}", f"segment {name}", is_member, not is_member)
            for profile_id, name, is_member in segment_check.differences(engine, memberships, at)
        )
    engine.connection.close()
    return found


def _differences(row: dict[str, Any], actual: str) -> list[Discrepancy]:
    key = f"profile {row['profile_id']}"
    if row["is_missing"]:
        return [Discrepancy(key, "aggregations", None, "a row")]
    return [
        Discrepancy(key, name, _value(name, row[f"actual_{name}"]), _value(name, row[name]), actual)
        for name in _COMPARED
        if row[f"actual_{name}"] != row[name]
    ]


_NUMERIC = {each.name for each in STORED_AGGREGATIONS if each.type.column_type == "numeric"}


def _value(name: str, value: Any) -> object:
    """A value as the database returns it."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return Decimal(value) if name in _NUMERIC and value is not None else value
