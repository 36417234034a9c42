"""Updates counts, rollups and snapshots of members within the commit of a load: DuckDB aggregates the changes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from importlib.resources import files
from io import BytesIO

import pyarrow as pa
import pyarrow.csv

from regulars.core.uninterrupted import uninterrupted
from regulars.facts.members import stage_deltas
from regulars.model.member_dimensions import AGE_GROUP_STARTS
from regulars.model.unit_of_work import UnitOfWork
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.rollups import compaction, partitions, snapshots
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage.array_literals import array_literal
from regulars.storage.copy_out import TIMESTAMP
from regulars.storage.database import Database, Scope
from regulars.verify.export import DATE, INTEGER, TEXT, export_query

_SQL = files("regulars.loading") / "sql"
_SPANS = (_SQL / "member_spans.duckdb.sql").read_text()
_ROLLUPS = (_SQL / "member_rollups.duckdb.sql").read_text()
_LOAD_GROUPS = (_SQL / "group_rollups_load.sql").read_text()
_LOAD_BALANCE = (_SQL / "balance_rollups_load.sql").read_text()
_LOAD_SNAPSHOTS = (_SQL / "snapshot_rollups_load.sql").read_text()

_DELETE_SNAPSHOT_MEMBERS = """
DELETE FROM snapshot_members
WHERE community_id = $1 AND profile_id = ANY (ARRAY(SELECT profile_id FROM pg_temp.recounted))
"""

_MAY_CREATE_TEMPORARY = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"


async def can_update_rollups(database: Database) -> bool:
    """Whether the role of the server may create the temporary tables that `update_rollups` needs."""
    async with database.unscoped_connection() as connection:
        return bool(await connection.fetchval(_MAY_CREATE_TEMPORARY))


async def update_rollups(uow: UnitOfWork) -> None:
    """Recomputes the changed members, and adds what that changes to all counts, rollups and snapshots.

    An earlier statement has locked the profiles. The locks of compaction and of snapshots are held until the end of the
    transaction.
    """
    await stage_deltas(uow, uow.community, uow.dirty_members)
    zone = await compaction.lock(uow)
    await snapshots.lock(uow)
    recounted = await snapshots.profiles_with_new_memberships(uow, uow.dirty_members)
    if zone is None:
        # All buckets were just rebuilt, with the changes of these profiles.
        await snapshots.recount(uow, recounted)
        return
    last = snapshots.slot(uow.now)
    engine = DuckDBEngine()
    try:
        # The aggregation is short, and cheaper with one thread: PostgreSQL uses the other core.
        engine.connection.execute("SET threads = 1")
        await uow.execute(_CREATE_RECOUNTED)
        await uow.execute(_INSERT_RECOUNTED, array_literal(recounted))
        for name, relation in _RELATIONS.items():
            values = (uow.community_id, recounted) if "$1" in relation.statement else ()
            table = await export_query(uow, relation.statement, values, relation.columns)
            engine.connection.register(name, table)
        engine.connection.register("age_groups", _age_groups())
        engine.connection.execute("SET VARIABLE last = ?", [last.replace(tzinfo=None)])
        ((first,),) = engine.fetch("SELECT coalesce(min(instant), getvariable('last')) FROM events")
        days = (zone, first.replace(tzinfo=UTC), last)
        engine.connection.register("days", await export_query(uow, _DAYS, days, {"day": DATE, "instant": TIMESTAMP}))
        await uninterrupted(asyncio.to_thread(engine.connection.execute, _SPANS))
        instants = engine.connection.sql(_INSTANTS).to_arrow_table()
        engine.connection.register("buckets", await _buckets(uow, instants, zone))
        await uninterrupted(asyncio.to_thread(engine.connection.execute, _ROLLUPS))
        for name, columns in _INPUT_TABLES.items():
            await _create_temporary(uow, engine.connection.sql(f"FROM {name}").to_arrow_table(), name, columns)
    finally:
        engine.connection.close()
    await uow.execute(_LOAD_GROUPS, uow.community_id, uow.now)
    await uow.execute(_LOAD_BALANCE, uow.community_id)
    await uow.execute(_DELETE_SNAPSHOT_MEMBERS, uow.community_id)
    await uow.execute(_LOAD_SNAPSHOTS, uow.community_id, last)


# Exported from PostgreSQL -----------------------------------------------------------------------------------------


_CREATE_RECOUNTED = "CREATE TEMPORARY TABLE recounted (profile_id uuid) ON COMMIT DROP"
_INSERT_RECOUNTED = "INSERT INTO pg_temp.recounted SELECT * FROM unnest($1::text::uuid[])"


@dataclass(frozen=True, slots=True)
class _Relation:
    """A query to export: of profiles $2 of community $1, or of temporary tables of this transaction.

    Profiles are one parameter, which PostgreSQL hashes. Joined to unnest(), it may scan a community without statistics
    by any index.
    """

    statement: str
    columns: Mapping[str, pa.DataType]


_CONSENTS = {"consents_true": TEXT, "consents_false": TEXT}
_FIELDS = {"optin_channel": TEXT, "optin_subchannel": TEXT, "optin_platform": TEXT, "gender": TEXT}
_SNAPSHOT_DIMENSIONS = {**_FIELDS, "age": TEXT, "country": TEXT, **_CONSENTS}
_BALANCE_DIMENSIONS = {"type": TEXT, **_FIELDS, "age": TEXT, **_CONSENTS}


def _age_groups() -> pa.Table:
    """Returns the groups of age, each with the age at which it and its next one begin.

    Not made at import: the first array that Arrow converts from a list imports pandas, if it is installed.
    """
    starts = [*AGE_GROUP_STARTS.values(), None]
    return pa.table(
        {
            "age": pa.array(list(AGE_GROUP_STARTS), TEXT),
            "min_age": pa.array(starts[:-1], INTEGER),
            "next_min_age": pa.array(starts[1:], INTEGER),
        }
    )


_STATE = f"""{", ".join(_FIELDS)}, birth_date,
           substr((SELECT name FROM unnest(groups) AS name WHERE name LIKE 'country:%'), 9) AS country,
           {", ".join(_CONSENTS)}"""

_RELATIONS = {
    "group_changes": _Relation(
        "SELECT to_json(groups), at, delta FROM pg_temp.staged_groups",
        {"groups": TEXT, "instant": TIMESTAMP, "delta": INTEGER},
    ),
    "join_changes": _Relation(
        f"SELECT {', '.join(_BALANCE_DIMENSIONS)}, occurred_at, delta FROM pg_temp.staged_flows",
        {**_BALANCE_DIMENSIONS, "instant": TIMESTAMP, "delta": INTEGER},
    ),
    "states": _Relation(
        f"""
SELECT profile_id, nullif(valid_from, '-infinity'), valid_to, {_STATE}
FROM member_dimension_history
WHERE community_id = $1 AND profile_id = ANY ($2::uuid[]) AND groups <> '{{}}'
UNION ALL
SELECT profile_id, nullif(valid_from, '-infinity'), NULL, {_STATE}
FROM members
WHERE community_id = $1 AND profile_id = ANY ($2::uuid[]) AND groups <> '{{}}'
""",
        {
            "profile_id": TEXT,
            "valid_from": TIMESTAMP,
            "valid_to": TIMESTAMP,
            **_FIELDS,
            "birth_date": INTEGER,
            "country": TEXT,
            **_CONSENTS,
        },
    ),
    "events": _Relation(
        """
SELECT profile_id, membership_id, type, occurred_at
FROM membership_events
WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
""",
        {"profile_id": TEXT, "membership_id": INTEGER, "type": TEXT, "instant": TIMESTAMP},
    ),
    "counted": _Relation(
        f"""
SELECT s.profile_id, s.valid_from, nullif(s.valid_to, 'infinity'),
       {", ".join(f"counts.{name}" for name in _SNAPSHOT_DIMENSIONS)}
FROM snapshot_members AS s
JOIN snapshot_counts AS counts ON counts.community_id = $1 AND counts.dimensions_hash = s.dimensions_hash
WHERE s.community_id = $1 AND s.profile_id = ANY ($2::uuid[])
""",
        {"profile_id": TEXT, "valid_from": TIMESTAMP, "valid_to": TIMESTAMP, **_SNAPSHOT_DIMENSIONS},
    ),
}


_DAYS = """
SELECT CAST(day AS date), CAST(day AS timestamp) AT TIME ZONE $1::text
FROM generate_series(
    CAST($2::timestamptz AS date) - 2, CAST($3::timestamptz AS date) + 2, interval '1 day'
) AS day
"""

# Buckets -------------------------------------------------------------------------------------------------

_INSTANTS = """
SELECT instant FROM group_changes
UNION
SELECT instant FROM join_changes
UNION
SELECT instant FROM snapshot_deltas
"""

# By the same function as everywhere, so that buckets are the same.
_BUCKETS = """
SELECT instant, granularity, '"' || bucket || '"'
FROM (
    SELECT input.instant, granularities.granularity, granularities.retention_start,
           bucket_start(input.instant, granularities.granularity, $1) AS bucket
    FROM pg_temp.instants AS input
    JOIN unnest($2::text[], $3::timestamptz[]) AS granularities (granularity, retention_start)
        ON granularities.retention_start IS NULL OR input.instant >= granularities.retention_start
    OFFSET 0
) AS bucketed
WHERE retention_start IS NULL OR bucket >= retention_start
"""


async def _buckets(scope: Scope, instants: pa.Table, zone: str) -> pa.Table:
    """The bucket of each instant by granularity within its retention; buckets are quoted as array elements."""
    await _create_temporary(scope, instants.cast(pa.schema({"instant": TIMESTAMP})), "instants", "instant timestamptz")
    granularities = [interval.code for interval in ALL_INTERVALS]
    values = (zone, granularities, partitions.retention_starts(scope.now))
    return await export_query(scope, _BUCKETS, values, {"instant": TIMESTAMP, "granularity": TEXT, "bucket": TEXT})


# Imported into PostgreSQL -----------------------------------------------------------------------------------------

_LISTS = "granularities text[], buckets timestamptz[], deltas bigint[]"
_BALANCE_COLUMNS = ", ".join(f"{name} text" for name in _BALANCE_DIMENSIONS if name not in _CONSENTS)
_SNAPSHOT_COLUMNS = ", ".join(f"{name} text" for name in _SNAPSHOT_DIMENSIONS if name not in _CONSENTS)
_CONSENT_COLUMNS = "consents_true text[], consents_false text[]"

_INPUT_TABLES = {
    "group_rollup_input": f"grouping_type text, grouping_value text, delta bigint, {_LISTS}",
    "balance_rollup_input": f"dimension_set text, {_BALANCE_COLUMNS}, {_CONSENT_COLUMNS}, {_LISTS}",
    "snapshot_rollup_input": (
        f"{_SNAPSHOT_COLUMNS}, {_CONSENT_COLUMNS}, delta bigint, {_LISTS}, "
        "profile_ids uuid[], valid_froms timestamptz[], valid_tos timestamptz[]"
    ),
}


async def _create_temporary(scope: Scope, table: pa.Table, name: str, columns: str) -> None:
    """Creates a temporary table with the given rows for this transaction."""
    rows = BytesIO()
    pyarrow.csv.write_csv(table, rows, pyarrow.csv.WriteOptions(include_header=False))
    rows.seek(0)
    await scope.execute(f"CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DROP")
    await scope.connection.copy_to_table(name, source=rows, format="csv")
