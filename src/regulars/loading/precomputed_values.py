"""Imports values that were computed offline, for profiles whose stored transactions are those of the computation."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pyarrow as pa
import structlog

from regulars.aggregations import dirty_profiles, fingerprint
from regulars.aggregations import table as table_module
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import REGISTRY
from regulars.core import countries
from regulars.core.field_type import FieldType
from regulars.core.uninterrupted import uninterrupted
from regulars.loading import refresh_dirty
from regulars.model import community as communities
from regulars.offline import values
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.errors import InputNotFoundError
from regulars.storage.copy_out import TIMESTAMP
from regulars.storage.database import Database
from regulars.verify import export
from regulars.verify.export import INTEGER, TEXT, ProfileRange

_log = structlog.get_logger("regulars.load")

_REQUIRED_COLUMNS = (
    "profile_id",
    "calculated_at",
    *(each.name for each in fingerprint.LOADING_COLUMNS),
    *table_module.VALUE_COLUMNS,
)


class PrecomputedValues:
    """Values of profiles from `regulars compute --with-fingerprints`, held in a DuckDB database until `close`."""

    def __init__(self, path: Path) -> None:
        """Reads a Parquet file or a folder of them.

        Raises InputNotFoundError if it can't be read, a column is missing, a profile occurs twice, or it was computed
        by other definitions.
        """
        self._engine = DuckDBEngine()
        self._path = path
        pattern = str(path / "*.parquet") if path.is_dir() else str(path)
        relation = f"read_parquet('{pattern.replace(chr(39), chr(39) * 2)}')"
        self._read(relation)

    def _read(self, relation: str) -> None:
        connection = self._engine.connection
        try:
            columns = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
        except duckdb.Error as error:
            raise InputNotFoundError(f"{self._path} can't be read as Parquet: {_first_line(error)}.") from None
        if missing := [name for name in _REQUIRED_COLUMNS if name not in columns]:
            raise InputNotFoundError(
                f"{self._path} has no column {', '.join(missing[:3])}: write it by "
                "`regulars compute --with-fingerprints`."
            )
        try:
            connection.execute(f"CREATE TEMP TABLE input AS SELECT {', '.join(_REQUIRED_COLUMNS)} FROM {relation}")
            ((rows, profiles, other_versions),) = self._engine.fetch(
                f"""SELECT count(*), count(DISTINCT profile_id),
                       count(*) FILTER (WHERE fingerprint NOT LIKE '{fingerprint.fingerprint_version()} %')
                FROM input"""
            )
        except (duckdb.Error, ValueError) as error:
            raise InputNotFoundError(f"{self._path} can't be read: {_first_line(error)}.") from None
        if rows != profiles:
            raise InputNotFoundError(f"{self._path} must have one row per profile. Found: {rows - profiles} more.")
        if other_versions:
            raise InputNotFoundError(
                f"{self._path} was computed by another release of Regulars, whose definitions may differ: "
                f"compute it again with this release, or load without it."
            )
        codes = sorted(set(countries.codes_by_name().values()))
        self._engine.create_lookup(
            "codes", ("alpha_3", "alpha_2"), [(countries.alpha_3(code) or "", code) for code in codes]
        )

    def close(self) -> None:
        """Closes the DuckDB database."""
        self._engine.connection.close()

    def candidates(self, dirty: pa.Table, now: datetime) -> pa.Table:
        """The dirty profiles whose values have not expired, with the time of the computation in UTC."""
        self._engine.connection.register("dirty", dirty)
        return self._engine.connection.sql(_CANDIDATES.format(now=values.timestamp_literal(now))).to_arrow_table()

    def matching_fingerprint(
        self, dirty: pa.Table, stored: pa.Table, locations: pa.Table, digits: int, now: datetime
    ) -> pa.Table:
        """The values, as columns of the staging table, of profiles whose fingerprint equals that of the store."""
        connection = self._engine.connection
        for name, table in {"dirty": dirty, "stored": stored, "locations": locations}.items():
            connection.register(name, table)
        columns = ",\n       ".join(
            f"{_to_stored(each, digits)} AS {each.name}" for each in table_module.STORED_AGGREGATIONS
        )
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE matched AS
SELECT dirty.profile_id, {values.timestamp_literal(now)} AS calculated_at,
       CAST(input.next_change_at AS TIMESTAMP) AS next_change_at, dirty.values_version, dirty.mark,
       {columns}
FROM input
JOIN dirty ON dirty.external_id = input.profile_id
JOIN stored ON stored.profile_id = dirty.profile_id
CROSS JOIN (SELECT map(list(external_id), list(location_id)) AS ids FROM locations) AS location
WHERE input.fingerprint = '{fingerprint.fingerprint_version()} ' || stored.fingerprint
  AND {" AND ".join(_KNOWN_LOCATIONS)}"""
        )
        return connection.sql(_MATCHING).to_arrow_table()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


_CANDIDATES = """
SELECT dirty.profile_id, CAST(input.calculated_at AS TIMESTAMP) AS calculated_at
FROM input
JOIN dirty ON dirty.external_id = input.profile_id
WHERE input.fingerprint IS NOT NULL
  AND CAST(input.calculated_at AS TIMESTAMP) <= {now}
  AND (input.next_change_at IS NULL OR CAST(input.next_change_at AS TIMESTAMP) > {now})
ORDER BY dirty.profile_id
"""


_LOCATION_ID = "list_extract(map_extract(location.ids, {}), 1)"


def _is_known(aggregation: Aggregation) -> str:
    column = f"input.{aggregation.name}"
    if aggregation.type is FieldType.LOCATION:
        return f"{_LOCATION_ID.format(column)} IS NOT NULL"
    return f"NOT list_contains(list_transform({column}, lambda name: {_LOCATION_ID.format('name')} IS NULL), TRUE)"


_KNOWN_LOCATIONS = [
    f"(input.{each.name} IS NULL OR {_is_known(each)})"
    for each in table_module.STORED_AGGREGATIONS
    if each.type in (FieldType.LOCATION, FieldType.LOCATION_LIST)
]
"""Each location that a profile's values name is one of the store."""


def _to_stored(aggregation: Aggregation, digits: int) -> str:
    """The SQL that converts a value from its output form to its stored form."""
    column = f"input.{aggregation.name}"
    match aggregation.type:
        case FieldType.MONEY:
            return f"CAST({column} * {10**digits} AS BIGINT)"
        case FieldType.PERCENT:
            return f"CAST({column} * 100 AS HUGEINT)"
        case FieldType.COUNTRY_ALPHA_3:
            return f"(SELECT any_value(alpha_2) FROM codes WHERE alpha_3 = {column})"
        case FieldType.LOCATION:
            return f"CASE WHEN {column} IS NOT NULL THEN {_LOCATION_ID.format(column)} END"
        case FieldType.LOCATION_LIST:
            return f"list_transform({column}, lambda name: {_LOCATION_ID.format('name')})"
        case FieldType.TIMESTAMP:
            return f"CAST({column} AS TIMESTAMP)"
        case _:
            return column


def _is_equal(name: str) -> str:
    if REGISTRY.by_name[name].type is FieldType.STRING_LIST:
        return f"""matched.{name} IS NOT DISTINCT FROM from_json(stored.{name}, '["VARCHAR"]')"""
    return f"CAST(matched.{name} AS VARCHAR) IS NOT DISTINCT FROM stored.{name}"


_COPIED_VALUES = [
    refresh_dirty.copy_expression(each.name, each.type.column_type) for each in table_module.STORED_AGGREGATIONS
]

_MATCHING = f"""
SELECT value.profile_id, value.calculated_at, value.next_change_at, value.values_version, value.mark,
       {", ".join(_COPIED_VALUES)}
FROM (
    SELECT matched.*
    FROM matched
    JOIN stored USING (profile_id)
    WHERE {" AND ".join(_is_equal(name) for name in fingerprint.FINGERPRINT_EXCLUDED)}
) AS value
ORDER BY value.profile_id
"""

_DIRTY = f"""
SELECT stored.profile_id, stored.values_version AS mark, cache_versions.values_version, profile.external_id
FROM profile_aggregations AS stored
JOIN cache_versions ON cache_versions.community_id = $1
JOIN profiles AS profile
    ON profile.community_id = $1
    AND profile.profile_id = stored.profile_id
    AND profile.external_id IS NOT NULL
WHERE stored.community_id = $1
  AND stored.profile_id BETWEEN $2::uuid AND $3::uuid
  AND {dirty_profiles.is_marked_by("$4::bigint", "stored.values_version")}
"""

# Of a deleted location and its successor with the same external id, either may be meant.
_LOCATIONS = """
SELECT CASE WHEN count(*) = 1 THEN min(id) END AS location_id, external_id
FROM locations
WHERE community_id = $1 AND external_id IS NOT NULL
GROUP BY external_id
"""

_DIRTY_COLUMNS = {**refresh_dirty.DIRTY_COLUMNS, "external_id": TEXT}
_LOCATION_COLUMNS = {"location_id": INTEGER, "external_id": TEXT}
_FINGERPRINT_COLUMNS = {
    "profile_id": TEXT,
    "fingerprint": TEXT,
    **dict.fromkeys(fingerprint.FINGERPRINT_EXCLUDED, TEXT),
}


def _fingerprint_statement() -> str:
    columns = [
        f"to_json({name}) AS {name}" if REGISTRY.by_name[name].type is FieldType.STRING_LIST else name
        for name in fingerprint.FINGERPRINT_EXCLUDED
    ]
    return f"""
SELECT profile_id, fingerprint, {", ".join(columns)}
FROM (
{fingerprint.fingerprint_statement()}
) AS fingerprints
"""


async def import_values(database: Database, community_id: int, load_id: int, precomputed: PrecomputedValues) -> int:
    """Stores precomputed values of the profiles that a load has marked dirty, if they were computed from the stored
    transactions; returns for how many. Others stay dirty. Called after the last row of the load.
    """
    imported = 0
    try:
        async for profile_range, _ in refresh_dirty.dirty_ranges(database, community_id, load_id):
            imported += await _import_range(database, community_id, load_id, profile_range, precomputed)
    except (duckdb.Error, asyncpg.InsufficientPrivilegeError) as error:
        # A value has an unexpected type, or the role may not create temporary tables.
        _log.warning("load.values_skipped", error=_first_line(error))
    return imported


async def _import_range(
    database: Database, community_id: int, load_id: int, profile_range: ProfileRange, precomputed: PrecomputedValues
) -> int:
    async with database.read_transaction(community_id) as scope:
        digits = (await communities.get_by_id(scope.connection, community_id)).minor_digits
        parameters = (community_id, profile_range.first, profile_range.last, load_id)
        dirty = await export.export_query(scope, _DIRTY, parameters, _DIRTY_COLUMNS)
        locations = await export.export_query(scope, _LOCATIONS, (community_id,), _LOCATION_COLUMNS)
        now = scope.now
        candidates = await uninterrupted(asyncio.to_thread(precomputed.candidates, dirty, now))
        fingerprints = [
            await export.export_query(
                scope, _fingerprint_statement(), _parameters(community_id, candidates, start), _FINGERPRINT_COLUMNS
            )
            for start in range(0, len(candidates), refresh_dirty.PROFILES_PER_WRITE)
        ]
    if not fingerprints:
        return 0
    stored = pa.concat_tables(fingerprints)
    table = await uninterrupted(
        asyncio.to_thread(precomputed.matching_fingerprint, dirty, stored, locations, digits, now)
    )
    for start in range(0, len(table), refresh_dirty.PROFILES_PER_WRITE):
        await refresh_dirty.write_values(database, community_id, table.slice(start, refresh_dirty.PROFILES_PER_WRITE))
    return len(table)


def _parameters(community_id: int, candidates: pa.Table, start: int) -> tuple[Any, ...]:
    some = candidates.slice(start, refresh_dirty.PROFILES_PER_WRITE)
    return community_id, some["profile_id"].to_pylist(), some["calculated_at"].cast(TIMESTAMP).to_pylist()
