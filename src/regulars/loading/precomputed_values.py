"""Values computed over a lake, taken over at the end of a load where the store has the facts that they are of."""

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

_NEEDED = (
    "profile_id",
    "calculated_at",
    *(each.name for each in fingerprint.LOADING_COLUMNS),
    *table_module.VALUE_COLUMNS,
)


class PrecomputedValues:
    """Values of profiles as `regulars.compute` with `for_loading` wrote them, in an engine that is closed with them."""

    def __init__(self, path: Path) -> None:
        """Reads a file or a folder of Parquet.

        Raises InputNotFoundError for what can't be read, lacks a column, tells of one profile twice, or was computed by
        other definitions.
        """
        self._runner = DuckDBEngine()
        self._path = path
        pattern = str(path / "*.parquet") if path.is_dir() else str(path)
        relation = f"read_parquet('{pattern.replace(chr(39), chr(39) * 2)}')"
        self._read(relation)

    def _read(self, relation: str) -> None:
        connection = self._runner.connection
        try:
            there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
        except duckdb.Error as error:
            raise InputNotFoundError(f"{self._path} is no Parquet that can be read: {_first_line(error)}.") from None
        if lacking := [name for name in _NEEDED if name not in there]:
            raise InputNotFoundError(
                f"{self._path} lacks {', '.join(lacking[:3])}: let `regulars compute --for-loading` write it."
            )
        try:
            connection.execute(f"CREATE TEMP TABLE given AS SELECT {', '.join(_NEEDED)} FROM {relation}")
            ((number, profiles, others),) = self._runner.rows(
                f"""SELECT count(*), count(DISTINCT profile_id),
                       count(*) FILTER (WHERE evidence NOT LIKE '{fingerprint.fingerprint_version()} %')
                FROM given"""
            )
        except (duckdb.Error, ValueError) as error:
            raise InputNotFoundError(f"{self._path} can't be read: {_first_line(error)}.") from None
        if number != profiles:
            raise InputNotFoundError(f"{self._path} must tell of each profile once.")
        if others:
            raise InputNotFoundError(
                f"{self._path} was computed by another release of Regulars, whose definitions may differ: "
                f"compute it anew, or load without it."
            )
        codes = sorted(set(countries.codes_by_name().values()))
        self._runner.make_pairs(
            "codes", ("alpha_3", "alpha_2"), [(countries.alpha_3(code) or "", code) for code in codes]
        )

    def close(self) -> None:
        """Gives back what they take."""
        self._runner.connection.close()

    def candidates(self, marked: pa.Table, now: datetime) -> pa.Table:
        """Of marked profiles those with values that are still true by the clock, with their instants in UTC."""
        self._runner.connection.register("marked", marked)
        return self._runner.connection.sql(_CANDIDATES.format(now=values.timestamp_literal(now))).to_arrow_table()

    def matching_fingerprint(
        self, marked: pa.Table, told: pa.Table, places: pa.Table, digits: int, now: datetime
    ) -> pa.Table:
        """The columns of `store.COMPUTED` of those whose evidence is the store's, `told`."""
        connection = self._runner.connection
        for name, table in {"marked": marked, "told": told, "places": places}.items():
            connection.register(name, table)
        stored = ",\n       ".join(
            f"{_stored(each, digits)} AS {each.name}" for each in table_module.STORED_AGGREGATIONS
        )
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE matched AS
SELECT marked.profile_id, {values.timestamp_literal(now)} AS calculated_at,
       CAST(given.next_change_at AS TIMESTAMP) AS next_change_at, marked.values_version, marked.mark,
       {stored}
FROM given
JOIN marked ON marked.external_id = given.profile_id
JOIN told ON told.profile_id = marked.profile_id
CROSS JOIN (SELECT map(list(external_id), list(location_id)) AS ids FROM places) AS place
WHERE given.evidence = '{fingerprint.fingerprint_version()} ' || told.evidence"""
        )
        return connection.sql(_MATCHING).to_arrow_table()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


_CANDIDATES = """
SELECT marked.profile_id, CAST(given.calculated_at AS TIMESTAMP) AS calculated_at
FROM given
JOIN marked ON marked.external_id = given.profile_id
WHERE given.evidence IS NOT NULL
  AND CAST(given.calculated_at AS TIMESTAMP) <= {now}
  AND (given.next_change_at IS NULL OR CAST(given.next_change_at AS TIMESTAMP) > {now})
ORDER BY marked.profile_id
"""


def _stored(of: Aggregation, digits: int) -> str:
    """A value as it goes out, as the store keeps it."""
    column = f"given.{of.name}"
    id_of = "list_extract(map_extract(place.ids, {}), 1)"
    match of.type:
        case FieldType.MONEY:
            return f"CAST({column} * {10**digits} AS BIGINT)"
        case FieldType.PERCENT:
            return f"CAST({column} * 100 AS HUGEINT)"
        case FieldType.COUNTRY_ALPHA_3:
            return f"(SELECT any_value(alpha_2) FROM codes WHERE alpha_3 = {column})"
        case FieldType.LOCATION:
            return f"CASE WHEN {column} IS NOT NULL THEN {id_of.format(column)} END"
        case FieldType.LOCATION_LIST:
            return f"list_transform({column}, lambda name: {id_of.format('name')})"
        case FieldType.TIMESTAMP:
            return f"CAST({column} AS TIMESTAMP)"
        case _:
            return column


def _agrees(name: str) -> str:
    if REGISTRY.by_name[name].type is FieldType.STRING_LIST:
        return f"""matched.{name} IS NOT DISTINCT FROM from_json(told.{name}, '["VARCHAR"]')"""
    return f"CAST(matched.{name} AS VARCHAR) IS NOT DISTINCT FROM told.{name}"


_MATCHING = f"""
SELECT value.profile_id, value.calculated_at, value.next_change_at, value.values_version, value.mark,
       {", ".join(refresh_dirty.copy_expression(each.name, each.type.column_type) for each in table_module.STORED_AGGREGATIONS)}
FROM (
    SELECT matched.*
    FROM matched
    JOIN told USING (profile_id)
    WHERE {" AND ".join(_agrees(name) for name in fingerprint.FINGERPRINT_EXCLUDED)}
) AS value
ORDER BY value.profile_id
"""

_MARKED = f"""
SELECT kept.profile_id, kept.values_version AS mark, cache_versions.values_version, own.external_id
FROM profile_aggregations AS kept
JOIN cache_versions ON cache_versions.community_id = $1
JOIN profiles AS own ON own.community_id = $1 AND own.profile_id = kept.profile_id AND own.external_id IS NOT NULL
WHERE kept.community_id = $1
  AND kept.profile_id BETWEEN $2::uuid AND $3::uuid
  AND {dirty_profiles.is_marked_by("$4::bigint", "kept.values_version")}
"""

_PLACES = """
SELECT id AS location_id, external_id
FROM locations
WHERE community_id = $1 AND external_id IS NOT NULL
"""

_MARKED_COLUMNS = {**refresh_dirty.DIRTY_COLUMNS, "external_id": TEXT}
_PLACE_COLUMNS = {"location_id": INTEGER, "external_id": TEXT}
_TOLD_COLUMNS = {"profile_id": TEXT, "evidence": TEXT, **dict.fromkeys(fingerprint.FINGERPRINT_EXCLUDED, TEXT)}


def _told() -> str:
    columns = [
        f"to_json({name}) AS {name}" if REGISTRY.by_name[name].type is FieldType.STRING_LIST else name
        for name in fingerprint.FINGERPRINT_EXCLUDED
    ]
    return (
        f"SELECT profile_id, evidence, {', '.join(columns)}\nFROM (\n{fingerprint.fingerprint_statement()}\n) AS found"
    )


async def import_values(database: Database, community_id: int, load_id: int, precomputed: PrecomputedValues) -> int:
    """Writes given values for the profiles that a load has marked and whose facts are those that they were computed
    from; gives how many. The others are left marked. The load marks no more by then.
    """
    taken = 0
    try:
        async for part, _ in refresh_dirty.dirty_ranges(database, community_id, load_id):
            taken += await _take(database, community_id, load_id, part, precomputed)
    except (duckdb.Error, asyncpg.InsufficientPrivilegeError) as error:
        # A value of another type than it should be, or a role that may make no temporary table.
        _log.warning("load.values_not_taken", why=_first_line(error))
    return taken


async def _take(database: Database, community_id: int, load: int, part: ProfileRange, given: PrecomputedValues) -> int:
    async with database.read_transaction(community_id) as scope:
        digits = (await communities.get_by_id(scope.connection, community_id)).minor_digits
        marked = await export.export_query(scope, _MARKED, (community_id, part.first, part.last, load), _MARKED_COLUMNS)
        places = await export.export_query(scope, _PLACES, (community_id,), _PLACE_COLUMNS)
        now = scope.now
        wanted = await asyncio.to_thread(given.candidates, marked, now)
        told = [
            await export.export_query(scope, _told(), _asked(community_id, wanted, start), _TOLD_COLUMNS)
            for start in range(0, len(wanted), refresh_dirty.PROFILES_PER_WRITE)
        ]
    if not told:
        return 0
    table = await asyncio.to_thread(given.matching_fingerprint, marked, pa.concat_tables(told), places, digits, now)
    for start in range(0, len(table), refresh_dirty.PROFILES_PER_WRITE):
        await refresh_dirty.write_values(database, community_id, table.slice(start, refresh_dirty.PROFILES_PER_WRITE))
    return len(table)


def _asked(community_id: int, wanted: pa.Table, start: int) -> tuple[Any, ...]:
    some = wanted.slice(start, refresh_dirty.PROFILES_PER_WRITE)
    return community_id, some["profile_id"].to_pylist(), some["calculated_at"].cast(TIMESTAMP).to_pylist()
