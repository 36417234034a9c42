"""The app's role may do what is declared and no more, and what row-level security protects against is shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from clubs import Club
from postgres_servers import on_both_servers
from regulars.auth import tokens
from regulars.rollups import partitions as partitions_module
from regulars.rollups.intervals import Interval
from regulars.storage import privileges, retention
from regulars.storage.database import Database
from regulars.storage.embedded import APP_ROLE

pytestmark = on_both_servers

_DEFINERS = """
SELECT p.oid::regprocedure::text AS name, p.proconfig AS settings,
       has_function_privilege('public', p.oid, 'EXECUTE') AS is_public,
       has_function_privilege($1, p.oid, 'EXECUTE') AS is_granted
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
"""

_TABLES = """
SELECT c.relname AS name, c.relispartition AS is_partition,
       ARRAY(
           SELECT verb
           FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS verb
           WHERE has_table_privilege($1, c.oid, verb)
       ) AS verbs,
       ARRAY(
           SELECT a.attname::text
           FROM pg_attribute AS a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND has_column_privilege($1, c.oid, a.attnum, 'UPDATE')
       ) AS updated
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""


async def test_functions_that_run_as_the_owner_are_granted_to_the_app_s_role_only(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        found = await connection.fetch(_DEFINERS, APP_ROLE)
    assert {row["name"].replace('"', "") for row in found if row["is_granted"]} == privileges.FUNCTIONS
    assert [row["name"] for row in found if row["is_public"]] == []
    # Last is pg_temp: where it is not named, a caller's temporary tables are found first.
    pinned = "search_path=pg_catalog, public, pg_temp"
    assert [row["name"] for row in found if pinned not in (row["settings"] or ())] == []


async def test_no_function_is_granted_to_public(database_urls: tuple[str, str]) -> None:
    connection = await asyncpg.connect(database_urls[0])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        everyones = await connection.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND has_function_privilege('public', oid, 'EXECUTE')"
        )
        assert everyones == []
    finally:
        await transaction.rollback()
        await connection.close()


async def test_the_privileges_on_each_table_are_those_declared(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(_TABLES, APP_ROLE)
    tables = {row["name"]: row for row in rows if not row["is_partition"]}
    assert set(privileges.TABLES) <= set(tables)
    for name, row in tables.items():
        assert set(row["verbs"]) == privileges.TABLES.get(name, frozenset()), name
        columns = privileges.COLUMNS.get(name, {}).get("UPDATE", frozenset())
        assert "UPDATE" in row["verbs"] or set(row["updated"]) == columns, name
    # Steps of rollups are partitions as well. Direct access to one would need a policy of its own.
    assert {verb for row in rows if row["is_partition"] for verb in row["verbs"]} == set()


async def test_shared_tables_have_minimal_privileges(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(_TABLES, APP_ROLE)
        of_communities = {
            row["relname"]
            for row in await connection.fetch(
                "SELECT attrelid::regclass::text AS relname FROM pg_attribute WHERE attname = 'community_id'"
            )
        }
    may = {row["name"]: set(row["verbs"]) - {"SELECT"} for row in rows if row["name"] not in of_communities}
    assert {name: verbs for name, verbs in may.items() if verbs and not name.startswith("procrastinate_")} == {
        "audit_log": {"INSERT"},
        "communities": {"INSERT"},
        # Under row-level security of organizations.
        "export_schedules": {"INSERT", "UPDATE", "DELETE"},
        "exports": {"INSERT", "UPDATE", "DELETE"},
        "job_errors": {"INSERT", "DELETE"},
        "organizations": {"INSERT"},
        "webhook_replay_guard": {"INSERT", "UPDATE", "DELETE"},
        "rate_limits": {"INSERT", "UPDATE"},
        "roles": {"INSERT", "UPDATE", "DELETE"},
        "saved_views": {"INSERT", "DELETE"},
        "sign_in_failures": {"INSERT", "UPDATE", "DELETE"},
        "signing_keys": {"INSERT"},
        "user_sessions": {"INSERT", "UPDATE", "DELETE"},
        "users": {"INSERT", "UPDATE"},
    }
    assert may["schema_migrations"] == set()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE organizations SET min_cell_size = NULL",
        "UPDATE tokens SET revoked_at = NULL",
        "UPDATE audit_log SET actor_name = ''",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DELETE FROM tokens",
        "UPDATE communities SET organization_id = 1",
        "DELETE FROM communities",
        "UPDATE signing_keys SET secret = ''",
        "DELETE FROM signing_keys",
        "DELETE FROM rate_limits",
        "TRUNCATE transactions",
        "DELETE FROM schema_migrations",
        "SELECT setval('communities_id_seq', 1)",
        "SELECT last_value FROM communities_id_seq",
    ],
)
async def test_changes_of_shared_tables_are_rejected(statement: str, club: Club) -> None:
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "SELECT set_config('regulars.organization_id', $1, true)", str(club.community.organization_id)
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with scope.savepoint():
                await scope.execute(statement)


async def test_another_role_can_t_call_functions_of_the_owner(database_urls: tuple[str, str]) -> None:
    connection = await asyncpg.connect(database_urls[0])
    transaction = connection.transaction()
    await transaction.start()
    try:
        is_superuser = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if not is_superuser:
            pytest.skip("the owner of this server makes no roles; what PUBLIC may do is tested on both")
        await connection.execute("CREATE ROLE passing_by; GRANT USAGE ON SCHEMA public TO passing_by")
        await connection.execute("SET LOCAL ROLE passing_by")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT ensure_rollup_partitions('5m', 'day', '2100-01-01', '2100-01-02')")
    finally:
        await transaction.rollback()
        await connection.close()


async def test_a_statement_changes_its_own_community_only(club: Club, other_club: Club) -> None:
    async with club.database.write_transaction(club.community.id) as scope:
        status = await scope.execute("UPDATE communities SET name = 'Ours'")
        names = dict(await scope.fetch("SELECT id, name FROM communities"))
    assert status == "UPDATE 1"
    assert (names[club.community.id], names[other_club.community.id]) == ("Ours", "Other")


async def test_a_statement_with_the_hash_of_a_token_can_t_change_it(club: Club) -> None:
    # A hash that is known lets a token be seen; it does not let one be made for any organization.
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("SELECT set_config('regulars.token_hash', 'known', true)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with scope.savepoint():
                await scope.execute(
                    "INSERT INTO tokens (organization_id, hash, hint, name, permits, created_at)"
                    " VALUES ($1, 'known', 'rg_', 'x', '{}', $2)",
                    club.community.organization_id,
                    scope.now,
                )


async def partitions(connection: asyncpg.Connection) -> set[str]:
    """All partitions that hold rows."""
    rows = await connection.fetch("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    return {row["relname"] for row in rows}


async def test_partitions_within_their_retention_can_t_be_dropped(database: Database) -> None:
    now = datetime.now(UTC)
    async with database.unscoped_connection() as connection:
        for feed in retention.PARTITIONED_TABLES:
            for ago in (0, 1):
                await connection.execute("SELECT ensure_partition($1, $2)", feed, now.date() - timedelta(days=ago))
        retained: set[str] = set()
        for interval, unit in partitions_module.PARTITION_UNITS.items():
            first = partitions_module.retention_start(interval, now)
            await connection.execute("SELECT ensure_rollup_partitions($1, $2, $3, $4)", interval.code, unit, first, now)
            prefix = f"offer_rollups_{interval.code}_"
            retained |= {
                each
                for each in await partitions(connection)
                if each.startswith(prefix) and each[len(prefix) :] >= f"{first:%Y%m%d}"
            }
        far = datetime(2190, 1, 1, tzinfo=UTC)
        for interval, unit in partitions_module.PARTITION_UNITS.items():
            await connection.execute("SELECT ensure_rollup_partitions($1, $2, $3, $3)", interval.code, unit, far)
        for feed in retention.PARTITIONED_TABLES:
            await connection.execute("SELECT drop_partitions($1, $2)", feed, far.date())
        left = await partitions(connection)
    assert len(retained) > 15
    assert retained <= left
    for feed in retention.PARTITIONED_TABLES:
        assert {f"{feed}_{now.date() - timedelta(days=ago):%Y%m%d}" for ago in (0, 1)} <= left


async def test_rollups_are_retained_as_long_as_reports_use_them(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch("SELECT * FROM rollup_retention()")
    declared = {(each.code, unit, each.retention) for each, unit in partitions_module.PARTITION_UNITS.items()}
    assert {tuple(row.values()) for row in rows} == declared
    assert {each for each in Interval if each.retention is not None} == set(partitions_module.PARTITION_UNITS)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ensure_partition('transactions', '2030-01-01')", "unknown partitioned table transactions"),
        ("ensure_partition(NULL, '2030-01-01')", "unknown partitioned table"),
        ("ensure_partition('outbox', NULL)", "of outbox is out of range"),
        ("ensure_partition('outbox', '9999-01-01')", "of outbox is out of range"),
        ("ensure_partition('outbox', 'infinity')", "of outbox is out of range"),
        ("drop_partitions('offers', '2030-01-01')", "unknown partitioned table offers"),
        ("drop_partitions('outbox', 'infinity')", "of outbox is out of range"),
        ("drop_partitions('outbox', NULL)", "of outbox is out of range"),
        (
            "ensure_rollup_partitions('5m', 'year', '2030-01-01', '2030-01-02')",
            "rollups by 5m have no partitions by year",
        ),
        (
            "ensure_rollup_partitions('1w', 'day', '2030-01-01', '2030-01-02')",
            "rollups by 1w have no partitions by day",
        ),
        ("ensure_rollup_partitions(NULL, 'day', '2030-01-01', '2030-01-02')", "have no partitions by day"),
        (
            "ensure_rollup_partitions('5m', 'day', '2030-01-02', '2030-01-01')",
            "of partitions is invalid: within 2000 to 2199",
        ),
        ("ensure_rollup_partitions('5m', 'day', '2030-01-01', '2031-01-01')", "at most 200 partitions"),
        (
            "ensure_rollup_partitions('5m', 'day', '2030-01-01', 'infinity')",
            "of partitions is invalid: within 2000 to 2199",
        ),
        ("ensure_rollup_partitions('5m', 'day', NULL, '2031-01-01')", "of partitions is invalid: within 2000 to 2199"),
        ("revoke_token(1, 1, NULL)", "the time of the revocation is null"),
        ("set_organization_setting('x', 'name', 1)", "unknown organization setting name"),
        ("set_organization_setting('x', NULL, 1)", "unknown organization setting"),
    ],
)
async def test_functions_check_their_arguments(statement: str, message: str, database: Database) -> None:
    async with database.unscoped_connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match=message):
            await connection.execute(f"SELECT {statement}")


async def test_a_token_of_another_organization_is_not_revoked(club: Club, other_club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        token = (await tokens.list_for_organization(connection, club.community.organization_id))[0]
        organization_id = other_club.community.organization_id
        assert not await connection.fetchval("SELECT revoke_token($1, $2, now())", organization_id, token.id)
        # What the function has set to find its row does not outlive it.
        async with connection.transaction():
            await connection.execute("SELECT revoke_token($1, $2, now())", club.community.organization_id, token.id)
            assert await connection.fetchval("SELECT count(*) FROM tokens") == 0


def test_surplus_and_missing_privileges_are_found_and_corrected(empty_urls: tuple[str, str]) -> None:
    from storage.test_migrate import bring_up

    bring_up(empty_urls)
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        assert list(privileges.pending_changes(owner, APP_ROLE)) == []
        for statement in (
            f"GRANT UPDATE, TRUNCATE ON tokens TO {APP_ROLE}",
            f"GRANT UPDATE (organization_id) ON communities TO {APP_ROLE}",
            f"REVOKE INSERT ON transactions FROM {APP_ROLE}",
            f"GRANT UPDATE ON SEQUENCE communities_id_seq TO {APP_ROLE}",
            "GRANT EXECUTE ON FUNCTION analyze_grown_tables() TO PUBLIC",
            "GRANT SELECT ON profiles TO PUBLIC",
        ):
            owner.execute(statement.encode())
        with psycopg.connect(empty_urls[1]) as app:
            found = {
                (each.verb, each.name, *sorted(each.privileges), "PUBLIC" if each.is_public else "")
                for each in privileges.pending_changes(app, APP_ROLE)
            }
        assert found == {
            ("REVOKE", "tokens", "TRUNCATE", "UPDATE", ""),
            ("REVOKE", "communities", "UPDATE (organization_id)", ""),
            ("GRANT", "transactions", "INSERT", ""),
            ("REVOKE", "communities_id_seq", "UPDATE", ""),
            ("REVOKE", "analyze_grown_tables()", "EXECUTE", "PUBLIC"),
            ("REVOKE", "profiles", "SELECT", "PUBLIC"),
        }
        bring_up(empty_urls)
        assert list(privileges.pending_changes(owner, APP_ROLE)) == []


# What row-level security protects against -------------------------------------------------------------------


async def test_row_level_security_covers_a_missing_condition_but_not_injected_sql(club: Club, other_club: Club) -> None:
    for each in (club, other_club):
        made = await each.http.post("/api/v3/locations", json={"external_id": each.community.slug, "name": "Shop"})
        assert made.status_code == 201
    unfiltered = "SELECT external_id FROM locations"
    async with club.database.read_transaction(club.community.id) as scope:
        assert [row[0] for row in await scope.fetch(unfiltered)] == [club.community.slug]
        # A caller who can run SQL as the app's role can set another community.
        await scope.execute(f"SET LOCAL regulars.community_id = '{other_club.community.id}'")
        assert [row[0] for row in await scope.fetch(unfiltered)] == [other_club.community.slug]


async def test_the_app_s_role_can_t_disable_row_level_security(club: Club) -> None:
    for statement in (
        "ALTER TABLE locations DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_community ON locations",
        "CREATE OR REPLACE FUNCTION rollup_retention() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ):
        async with club.database.write_transaction(club.community.id) as scope:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with scope.savepoint():
                    await scope.execute(statement)


async def test_row_level_security_can_t_be_disabled_by_a_setting(club: Club) -> None:
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("SET LOCAL row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with scope.savepoint():
                await scope.fetch("SELECT * FROM locations")


def test_the_catalogue_is_read_once_however_many_objects_there_are(database_urls: tuple[str, str]) -> None:
    def loops_of(plan: dict[str, Any]) -> Iterator[int]:
        if plan["Node Type"] == "CTE Scan":
            yield plan["Actual Loops"]
        for each in plan.get("Plans", ()):
            yield from loops_of(each)

    with psycopg.connect(database_urls[1]) as connection:
        statement = f"EXPLAIN (ANALYZE, FORMAT JSON) {privileges.CATALOGUE}"
        row = connection.execute(statement.encode(), {"role": APP_ROLE}).fetchone()
    assert row is not None
    assert set(loops_of(row[0][0]["Plan"])) == {1}
