"""What a load changes in the counts, rollups and snapshots of members, added up by DuckDB in the load's own commit."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from importlib.resources import files
from io import BytesIO

import pyarrow as pa
import pyarrow.csv

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

_SPANS = (files("regulars.loading") / "member_spans.duckdb.sql").read_text()
_ROLLUPS = (files("regulars.loading") / "member_rollups.duckdb.sql").read_text()
_UNCOUNTED = """
DELETE FROM snapshot_members
WHERE community_id = $1 AND profile_id = ANY (ARRAY(SELECT profile_id FROM pg_temp.recounted))
"""

_PUT = {
    name: (files("regulars.loading") / f"put_{name}.sql").read_text()
    for name in ("told_groups", "told_joins", "told_alike")
}

_MAY = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"


async def can_update_rollups(database: Database) -> bool:
    """Whether the app's role may make the temporary tables that `count` takes."""
    async with database.unscoped_connection() as connection:
        return bool(await connection.fetchval(_MAY))


async def update_rollups(uow: UnitOfWork) -> None:
    """Derives who is a member anew, as `derive` does, and adds what that changes to all counts and snapshots.

    The caller holds the profiles' locks since an earlier statement; the locks of the folder and of snapshots are held
    from here until the transaction ends.
    """
    await stage_deltas(uow, uow.community, uow.dirty_members)
    zone = await compaction.lock(uow)
    await snapshots.lock(uow)
    recounted = await snapshots.profiles_with_new_memberships(uow, uow.dirty_members)
    if zone is None:
        # All buckets were made anew just now, with what these profiles have changed in them.
        await snapshots.recount(uow, recounted)
        return
    last = snapshots.slot(uow.now)
    runner = DuckDBEngine()
    try:
        # What it adds up is soon done, and costs less by one thread; the database has the other core.
        runner.connection.execute("SET threads = 1")
        await uow.execute(_MAKE_RECOUNTED)
        await uow.execute(_RECOUNTED, array_literal(recounted))
        for name, relation in _RELATIONS.items():
            values = (uow.community_id, recounted) if "$1" in relation.statement else ()
            table = await export_query(uow, relation.statement, values, relation.columns)
            runner.connection.register(name, table)
        runner.connection.register("age_groups", _AGE_GROUPS)
        runner.connection.execute("SET VARIABLE last = ?", [last.replace(tzinfo=None)])
        ((first,),) = runner.rows("SELECT coalesce(min(instant), getvariable('last')) FROM events")
        days = (zone, first.replace(tzinfo=UTC), last)
        runner.connection.register("days", await export_query(uow, _DAYS, days, {"day": DATE, "instant": TIMESTAMP}))
        await asyncio.to_thread(runner.connection.execute, _SPANS)
        instants = runner.connection.sql(_INSTANTS).to_arrow_table()
        runner.connection.register("buckets", await _buckets(uow, instants, zone))
        await asyncio.to_thread(runner.connection.execute, _ROLLUPS)
        for name, columns in _TOLD.items():
            await _put(uow, runner.connection.sql(f"FROM {name}").to_arrow_table(), name, columns)
    finally:
        runner.connection.close()
    await uow.execute(_PUT["told_groups"], uow.community_id, uow.now)
    await uow.execute(_PUT["told_joins"], uow.community_id)
    await uow.execute(_UNCOUNTED, uow.community_id)
    await uow.execute(_PUT["told_alike"], uow.community_id, last)


# From the store -----------------------------------------------------------------------------------------


_MAKE_RECOUNTED = "CREATE TEMPORARY TABLE recounted (profile_id uuid) ON COMMIT DROP"
_RECOUNTED = "INSERT INTO pg_temp.recounted SELECT * FROM unnest($1::text::uuid[])"


@dataclass(frozen=True, slots=True)
class _Relation:
    """What is copied from the database: of profiles $2 of community $1, or of this transaction's own tables.

    Profiles stand in the statement as a constant, of which the database makes a hash: while it knows nothing of a new
    community it may read all of it by any index, and then looks each row up.
    """

    statement: str
    columns: Mapping[str, pa.DataType]


_CONSENTS = {"consents_true": TEXT, "consents_false": TEXT}
_FIELDS = {"optin_channel": TEXT, "optin_subchannel": TEXT, "optin_platform": TEXT, "gender": TEXT}
_ALIKE = {**_FIELDS, "age": TEXT, "country": TEXT, **_CONSENTS}
_JOINS = {"type": TEXT, **_FIELDS, "age": TEXT, **_CONSENTS}

_AGES = [*AGE_GROUP_STARTS.values(), None]
_AGE_GROUPS = pa.table(
    {
        "age": pa.array(list(AGE_GROUP_STARTS), TEXT),
        "min_age": pa.array(_AGES[:-1], INTEGER),
        "next_min_age": pa.array(_AGES[1:], INTEGER),
    }
)

_STATE = f"""{", ".join(_FIELDS)}, birth_date,
           substr((SELECT name FROM unnest(groups) AS name WHERE name LIKE 'country:%'), 9) AS country,
           {", ".join(_CONSENTS)}"""

_RELATIONS = {
    "moved_groups": _Relation(
        "SELECT to_json(groups), at, n FROM pg_temp.moved_groups", {"groups": TEXT, "instant": TIMESTAMP, "n": INTEGER}
    ),
    "moved_joins": _Relation(
        f"SELECT {', '.join(_JOINS)}, at, n FROM pg_temp.moved_joins", {**_JOINS, "instant": TIMESTAMP, "n": INTEGER}
    ),
    "states": _Relation(
        f"""
SELECT profile_id, nullif(since, '-infinity'), until, {_STATE}
FROM member_states
WHERE community_id = $1 AND profile_id = ANY ($2::uuid[]) AND groups <> '{{}}'
UNION ALL
SELECT profile_id, nullif(state_since, '-infinity'), NULL, {_STATE}
FROM members
WHERE community_id = $1 AND profile_id = ANY ($2::uuid[]) AND groups <> '{{}}'
""",
        {
            "profile_id": TEXT,
            "since": TIMESTAMP,
            "until": TIMESTAMP,
            **_FIELDS,
            "birth_date": INTEGER,
            "country": TEXT,
            **_CONSENTS,
        },
    ),
    "events": _Relation(
        """
SELECT profile_id, membership_id, type, at
FROM membership_events
WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
""",
        {"profile_id": TEXT, "membership_id": INTEGER, "type": TEXT, "instant": TIMESTAMP},
    ),
    "counted": _Relation(
        f"""
SELECT s.profile_id, s.since, nullif(s.until, 'infinity'), {", ".join(f"alike.{name}" for name in _ALIKE)}
FROM snapshot_members AS s
JOIN snapshot_counts AS alike ON alike.community_id = $1 AND alike.alike = s.alike
WHERE s.community_id = $1 AND s.profile_id = ANY ($2::uuid[])
""",
        {"profile_id": TEXT, "since": TIMESTAMP, "until": TIMESTAMP, **_ALIKE},
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
SELECT instant FROM moved_groups
UNION
SELECT instant FROM moved_joins
UNION
SELECT instant FROM snapshot_edges
"""

# By the one function that says where buckets begin.
_BUCKETS = """
SELECT instant, granularity, '"' || bucket || '"'
FROM (
    SELECT told.instant, granularities.granularity, granularities.retention_start, bucket_start(told.instant, granularities.granularity, $1) AS bucket
    FROM pg_temp.instants AS told
    JOIN unnest($2::text[], $3::timestamptz[]) AS granularities (granularity, retention_start)
        ON granularities.retention_start IS NULL OR told.instant >= granularities.retention_start
    OFFSET 0
) AS bucketed
WHERE retention_start IS NULL OR bucket >= retention_start
"""


async def _buckets(scope: Scope, instants: pa.Table, zone: str) -> pa.Table:
    """In which bucket of each granularity instants are, as far as these are kept; buckets as they stand in lists."""
    await _put(scope, instants.cast(pa.schema({"instant": TIMESTAMP})), "instants", "instant timestamptz")
    granularities = [interval.code for interval in ALL_INTERVALS]
    values = (zone, granularities, partitions.retention_starts(scope.now))
    return await export_query(scope, _BUCKETS, values, {"instant": TIMESTAMP, "granularity": TEXT, "bucket": TEXT})


# Into the store -----------------------------------------------------------------------------------------

_LISTS = "granularities text[], buckets timestamptz[], numbers bigint[]"
_JOIN_COLUMNS = ", ".join(f"{name} text" for name in _JOINS if name not in _CONSENTS)
_ALIKE_COLUMNS = ", ".join(f"{name} text" for name in _ALIKE if name not in _CONSENTS)
_CONSENT_COLUMNS = "consents_true text[], consents_false text[]"

_TOLD = {
    "told_groups": f"grouping_type text, grouping_value text, n bigint, {_LISTS}",
    "told_joins": f"grain text, {_JOIN_COLUMNS}, {_CONSENT_COLUMNS}, {_LISTS}",
    "told_alike": (
        f"{_ALIKE_COLUMNS}, {_CONSENT_COLUMNS}, n bigint, {_LISTS}, "
        "profile_ids uuid[], sinces timestamptz[], untils timestamptz[]"
    ),
}


async def _put(scope: Scope, table: pa.Table, name: str, columns: str) -> None:
    """Makes a temporary table of this transaction of columns."""
    rows = BytesIO()
    pyarrow.csv.write_csv(table, rows, pyarrow.csv.WriteOptions(include_header=False))
    rows.seek(0)
    await scope.execute(f"CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DROP")
    await scope.connection.copy_to_table(name, source=rows, format="csv")
