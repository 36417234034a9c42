"""Row-level security isolates communities even if a statement lacks the condition."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest_asyncio

from clubs import START, Club, ManualClock, create_club
from postgres_servers import on_both_servers
from regulars.aggregations.table import READ_STORED_ROWS, refresh_statement
from regulars.ingest import transaction_updates
from regulars.model.community import NewCommunity
from regulars.storage import personal_data
from regulars.storage.database import SESSION_SETTINGS, Database

pytestmark = on_both_servers

Row = dict[str, Any]

_TABLES = """
SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS is_forced, c.relispartition
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'community_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
ORDER BY c.relname
"""

_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) AS type
FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
    AND attidentity = '' AND attgenerated = ''
"""

_GENERATED = "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attgenerated <> ''"

_VALUES = {
    "integer": 1,
    "bigint": 1,
    "smallint": 1,
    "numeric": 1,
    "boolean": False,
    "text": "in",
    "uuid": "00000000-0000-0000-0000-000000000001",
    "date": START.date().isoformat(),
    "timestamp with time zone": START.isoformat(),
    "json": {},
    "jsonb": {},
    "text[]": [],
    "numeric[]": [],
    "bit": "0" * 1024,
    "xid8": "1",
    "bytea": "\\x00",
}


async def tables(database: Database) -> list[str]:
    """Every table that has a community, as the catalogue knows them."""
    async with database.unscoped_connection() as connection:
        return [row["relname"] for row in await connection.fetch(_TABLES) if not row["relispartition"]]


async def as_text(connection: Any) -> None:
    """Has JSON go in and out as text."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


@pytest_asyncio.fixture
async def filled(club: Club, other_club: Club, database_urls: tuple[str, str]) -> AsyncIterator[dict[str, Row]]:
    """A row of each table in either club; those of the other club, by table."""
    owner = await asyncpg.connect(database_urls[0])
    await as_text(owner)
    rows: dict[str, Row] = {}
    for each in (club, other_club):
        await owner.execute(
            f"SET regulars.community_id = '{each.community.id}';"
            f"SET regulars.organization_id = '{each.community.organization_id}'"
        )
        for table in await tables(club.database):
            stored = await owner.fetchrow(f"SELECT * FROM {table} WHERE community_id = $1", each.community.id)
            if stored is None:
                columns = await owner.fetch(_COLUMNS, table)
                row = {column["attname"]: _VALUES[column["type"]] for column in columns}
                row["community_id"] = each.community.id
                await owner.execute(insert_into(table, row), row)
            found = f"SELECT to_jsonb(t) FROM {table} AS t WHERE community_id = $1"
            row = await owner.fetchval(found, each.community.id)
            generated = {column["attname"] for column in await owner.fetch(_GENERATED, table)}
            rows[table] = {name: value for name, value in row.items() if name not in generated}
    yield rows
    await owner.close()


def insert_into(table: str, row: Row) -> str:
    """The statement that puts a row into a table."""
    names = ", ".join(row)
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, $1)"


@asynccontextmanager
async def within(database: Database, community_id: int | None) -> AsyncIterator[Any]:
    """A transaction of the app's role, within a community or none; nothing that is done stays."""
    async with database.unscoped_connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            if community_id is not None:
                await connection.execute(f"SET LOCAL regulars.community_id = '{community_id}'")
            yield connection
        finally:
            await transaction.rollback()


async def refused(connection: Any, statement: str, *values: object) -> bool:
    """Whether row-level security refuses a statement, or the role may do no such thing to the table at all."""
    try:
        async with connection.transaction():
            await connection.execute(statement, *values)
    except asyncpg.InsufficientPrivilegeError as error:
        return "row-level security" in str(error) or "permission denied for table" in str(error)
    return False


async def changed(connection: Any, statement: str) -> int | None:
    """How many rows a statement changed; None where the app's role may not do such a thing to the table at all."""
    try:
        async with connection.transaction():
            status: str = await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        if "permission denied for table" not in str(error):
            raise
        return None
    return int(status.rpartition(" ")[2])


async def test_every_table_of_a_community_forces_row_level_security(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(_TABLES)
    assert [row["relname"] for row in rows if not row["is_forced"]] == []
    assert {"profiles", "transactions", "profile_aggregations", "outbox", "tokens"} <= {row["relname"] for row in rows}


async def test_without_a_community_no_row_is_visible_or_writable(club: Club, filled: dict[str, Row]) -> None:
    for table, row in filled.items():
        async with within(club.database, None) as connection:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
            assert not await changed(connection, f"DELETE FROM {table}"), table
            assert not await changed(connection, f"UPDATE {table} SET community_id = community_id"), table
            assert await refused(connection, insert_into(table, row), row), table


async def test_within_a_community_no_row_of_another_is_visible_or_writable(
    club: Club, other_club: Club, filled: dict[str, Row]
) -> None:
    own, other = club.community.id, other_club.community.id
    for table, row in filled.items():
        # Tokens belong to an organization, and a community is none.
        count = 0 if table == "tokens" else 1
        async with within(club.database, own) as connection:
            seen = await connection.fetch(f"SELECT community_id FROM {table}")
            assert [each["community_id"] for each in seen] == [own] * count, table
            named = f"WHERE community_id = {other}"
            assert await connection.fetchval(f"SELECT count(*) FROM {table} {named}") == 0, table
            assert not await changed(connection, f"DELETE FROM {table} {named}"), table
            assert not await changed(connection, f"UPDATE {table} SET community_id = {own} {named}"), table
            assert await refused(connection, insert_into(table, row), row), table
            if count:
                assert await refused(connection, f"UPDATE {table} SET community_id = {other}"), table
                assert await changed(connection, f"DELETE FROM {table}") in (1, None), table


async def test_partitions_do_not_bypass_isolation(club: Club, filled: dict[str, Row]) -> None:
    async with club.database.unscoped_connection() as connection:
        partitions = [row["relname"] for row in await connection.fetch(_TABLES) if row["relispartition"]]
    assert partitions
    for table in partitions:
        async with within(club.database, club.community.id) as connection:
            try:
                async with connection.transaction():
                    assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
            except asyncpg.InsufficientPrivilegeError:
                continue


async def test_an_empty_setting_is_no_community(club: Club, filled: dict[str, Row]) -> None:
    async with within(club.database, None) as connection:
        await connection.execute("SET LOCAL regulars.community_id = ''")
        assert await connection.fetchval("SELECT count(*) FROM transactions") == 0


# Indexes under row-level security -----------------------------------------------------------------------

MANY_PROFILES = 4_000

_MANY_TRANSACTIONS = """
INSERT INTO transactions (
    community_id, id, external_id, profile_id, transacted_at, total, amount, direction, created_at, updated_at
)
SELECT $1, next_id(), 'many-' || n, md5((n % $3::int)::text)::uuid,
       $2::timestamptz - n * interval '1 minute', 1, 100, 1, $2, $2
FROM generate_series(1, 5 * $3::int) AS n
"""

_MANY_VALUES = """
INSERT INTO profile_aggregations (community_id, profile_id, calculated_at, next_change_at, values_version)
SELECT $1, md5(n::text)::uuid, $2, $2::timestamptz + n * interval '1 minute', 1
FROM generate_series(0, $3::int - 1) AS n
"""

_MANY_PROFILES = """
INSERT INTO profiles (community_id, profile_id, created_at, updated_at)
SELECT $1, md5(n::text)::uuid, $2, $2
FROM generate_series(0, $3::int - 1) AS n
"""

_BY_EXTERNAL_ID = """
SELECT id FROM transactions WHERE community_id = $1 AND external_id = ANY ($2::text[])
ORDER BY external_id FOR NO KEY UPDATE
"""


@pytest_asyncio.fixture
async def large(club: Club, other_club: Club, database_urls: tuple[str, str]) -> AsyncIterator[Club]:
    """A club with so many rows that no plan may read them all, beside a larger one."""
    owner = await asyncpg.connect(database_urls[0])
    for community_id, number in ((other_club.community.id, 5 * MANY_PROFILES), (club.community.id, MANY_PROFILES)):
        await owner.execute(f"SET regulars.community_id = '{community_id}'")
        for statement in (_MANY_TRANSACTIONS, _MANY_VALUES, _MANY_PROFILES):
            await owner.execute(statement, community_id, START, number)
    for table in ("transactions", "profile_aggregations", "profiles"):
        await owner.execute(f"VACUUM ANALYZE {table}")
    yield club
    for table in ("transactions", "profile_aggregations", "profiles"):
        for community_id in (other_club.community.id, club.community.id):
            await owner.execute(f"SET regulars.community_id = '{community_id}'")
            await owner.execute(f"DELETE FROM {table} WHERE community_id = $1", community_id)
        await owner.execute(f"VACUUM ANALYZE {table}")
    await owner.close()


def scans(plan: Any) -> dict[str, set[tuple[str, str]]]:
    """How a plan reads each table: (kind of scan, index)."""
    found: dict[str, set[tuple[str, str]]] = {}
    if "Relation Name" in plan:
        found[plan["Relation Name"]] = {(plan["Node Type"], plan.get("Index Name", ""))}
    elif "Index Name" in plan:
        found[""] = {(plan["Node Type"], plan["Index Name"])}
    for part in plan.get("Plans", []):
        for table, kinds in scans(part).items():
            found.setdefault(table, set()).update(kinds)
    return found


async def planned(club: Club, types: str, statement: str, *values: str) -> dict[str, set[tuple[str, str]]]:
    """How the app's role reads for a statement that is prepared once for all values."""
    async with within(club.database, club.community.id) as connection:
        for name, value in SESSION_SETTINGS.items():
            await connection.execute(f"SET LOCAL {name} = '{value}'")
        await connection.execute(f"PREPARE hot ({types}) AS {statement}")
        shown = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot ({', '.join(values)})")
        await connection.execute("DEALLOCATE hot")
        decoded = json.loads(bytes(shown) if not isinstance(shown, str) else shown)
    return scans(decoded[0]["Plan"])


ONE = "ARRAY[md5('7')::uuid]"


async def test_frequent_statements_use_indexes_under_row_level_security(large: Club) -> None:
    community_id = str(large.community.id)
    stored = await planned(large, "text, uuid[]", READ_STORED_ROWS, f"'{community_id}'", ONE)
    assert {kind for kind, _ in stored["profile_aggregations"]} <= {"Index Scan", "Bitmap Heap Scan"}

    now = f"ARRAY['{datetime.now(UTC):%Y-%m-%d}'::timestamptz]"
    refresh = await planned(
        large, "int, uuid[], timestamptz[], text[]", refresh_statement(), community_id, ONE, now, "ARRAY['cause']"
    )
    assert ("Index Only Scan", "transactions_history") in refresh["transactions"]
    assert "Seq Scan" not in {kind for kind, _ in refresh["transactions"]}
    assert "Seq Scan" not in {kind for kind, _ in refresh["profiles"]}

    for types, statement, *values in [
        ("int, text[]", _BY_EXTERNAL_ID, "ARRAY['many-7']"),
        ("int, text, bigint", transaction_updates._FIND, "'many-7'", "7"),
        *(
            ("int, uuid[]", statement, ONE)
            for statement in personal_data.depersonalize_statements()
            if "transaction" in statement
        ),
    ]:
        looked_up = await planned(large, types, statement, community_id, *values)
        assert "Seq Scan" not in {kind for kind, _ in looked_up.get("transactions", set())}, statement


async def test_the_refresh_reads_by_key_in_a_new_store(own_database: Database, clock: ManualClock) -> None:
    """A connection plans it once, perhaps before there are statistics: another index means a scan for each profile."""
    new = NewCommunity(slug="new-store", name="New", country="NO", timezone="UTC", currency="NOK")
    async for club in create_club(own_database, clock, new):
        now = "ARRAY['2026-11-01'::timestamptz]"
        refresh = await planned(
            club,
            *("int, uuid[], timestamptz[], text[]", refresh_statement()),
            *(str(club.community.id), ONE, now, "ARRAY['cause']"),
        )
        assert refresh["profiles"] == {("Index Scan", "profiles_pkey")}
        assert refresh["transactions"] == {("Index Only Scan", "transactions_history")}
        assert refresh["profile_aggregations"] == {("Index Scan", "profile_aggregations_pkey"), ("ModifyTable", "")}
