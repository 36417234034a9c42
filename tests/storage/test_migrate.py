"""A database is brought to the present schema: once, by one of many, and its values with its definitions."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from aggregations.case import ME, case, purchase
from aggregations.store_facts import read_live, store_facts
from clubs import ManualClock
from postgres_servers import on_both_servers
from regulars.aggregations import table
from regulars.aggregations.reader import ValueReader
from regulars.bootstrap import schema_statements
from regulars.model.member_dimensions import has_declared_functions
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.embedded import APP_ROLE
from regulars.storage.migrate import SchemaError, list_migrations, migrate, role_of

EVERYTHING = [*(each.name for each in list_migrations()), "procrastinate"]
"""The names of all migrations of an empty database."""


def bring_up(urls: tuple[str, str]) -> list[str]:
    """Migrates a database as the server does when it starts."""
    return migrate(urls[0], role_of(urls[1]), schema_statements())


def test_an_empty_database_is_migrated_once(empty_urls: tuple[str, str]) -> None:
    assert bring_up(empty_urls) == EVERYTHING
    assert sorted(EVERYTHING) == EVERYTHING
    assert bring_up(empty_urls) == []
    with psycopg.connect(empty_urls[0]) as owner:
        columns = owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'profile_aggregations'::regclass AND attnum > 0"
        ).fetchall()
    assert {name for (name,) in columns} >= set(table.VALUE_COLUMNS)


def test_concurrent_migrations_run_once(empty_urls: tuple[str, str]) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(bring_up, [empty_urls] * 4))
    assert sorted(applied) == [[], [], [], EVERYTHING]


def test_stored_reasons_that_quote_values_are_removed(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    (migration,) = (each for each in list_migrations() if each.name == "0028.stored_reasons")
    reasons = [
        "total is required.",
        "profile_id there is no profile with the [removed]kari.",
        "consents 'Kari' must be",
    ]
    rejected = [{"index": index, "message": text, "errors": {}} for index, text in enumerate(reasons)]
    with psycopg.connect(empty_urls[0]) as owner:
        for table_name in ("import_batches", "idempotency_keys"):
            owner.execute(f"ALTER TABLE {table_name} NO FORCE ROW LEVEL SECURITY")
        owner.execute("CREATE TABLE idempotency_keys_of_today PARTITION OF idempotency_keys DEFAULT")
        for key, stored in enumerate((rejected, [])):
            owner.execute(
                "INSERT INTO import_batches VALUES (1, gen_random_uuid(), 'transactions', %s, 0, %s, now())",
                (key, json.dumps(stored)),
            )
        for name, profile_ids in ((b"quotes", "{}"), (b"other", None)):
            owner.execute(
                "INSERT INTO idempotency_keys (community_id, day, key_hash, request_hash, status, response_body, "
                "created_at, profile_ids) VALUES (1, '2026-10-01', %s, '', 200, '', now(), %s)",
                (name, profile_ids),
            )
        owner.execute(migration.statements)
        keys = owner.execute("SELECT key_hash, status, profile_ids FROM idempotency_keys ORDER BY key_hash").fetchall()
        batches = owner.execute("SELECT rejected FROM import_batches ORDER BY accepted").fetchall()
    removed = "The reason was removed."
    assert keys == [(b"other", 200, None), (b"quotes", None, None)]
    assert [[each["message"] for each in stored] for (stored,) in batches] == [[reasons[0], removed, removed], []]


def test_the_app_s_role_can_use_tables_but_not_alter_them(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    with psycopg.connect(empty_urls[1], autocommit=True) as app:
        assert app.execute("SELECT count(*) FROM transactions").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("ALTER TABLE transactions DISABLE ROW LEVEL SECURITY")


@pytest.mark.parametrize(
    ("url", "role"),
    [
        ("postgresql://app@host/name", "app"),
        ("postgresql://app:secret@host/name", "app"),
        ("postgresql://a%40b@host/name", "a@b"),
        ("postgresql://host/name?user=app", "app"),
        ("postgresql://host/name", ""),
    ],
)
def test_the_role_is_parsed_from_a_url(url: str, role: str) -> None:
    assert role_of(url) == role


async def test_a_changed_definition_makes_every_profile_outdated(
    empty_urls: tuple[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(bring_up, empty_urls)
    world = case("", [purchase("2026-10-01 12:00", "10")], {})
    clock.at = world.as_of
    async with Database(empty_urls[1], 2, clock) as database:
        await retention.maintain_partitions(database, 7)
        first, _ = await store_facts(database, world.facts)
        second, _ = await store_facts(database, world.facts)

        async def versions() -> list[int]:
            found = []
            for each in (first, second):
                async with database.read_transaction(each.id) as scope:
                    found.append(await scope.fetchval("SELECT values_version FROM cache_versions"))
            return found

        await asyncio.to_thread(bring_up, empty_urls)
        assert await versions() == [1, 1]
        async with database.write_transaction(second.id) as scope:
            await scope.execute("UPDATE profile_aggregations SET shop_count = 7")
        assert (await read_live(ValueReader(database), second, ME))["shop_count"] == 7
        monkeypatch.setattr(table, "definitions_version", lambda: "of another release")
        await asyncio.to_thread(bring_up, empty_urls)
        assert await versions() == [2, 2]
        assert (await read_live(ValueReader(database), second, ME))["shop_count"] == 1
        await asyncio.to_thread(bring_up, empty_urls)
        assert await versions() == [2, 2]


def test_the_app_s_role_has_no_privileged_attributes(database_urls: tuple[str, str]) -> None:
    assert role_of(database_urls[1]) == APP_ROLE


def create_store_of_0_1_0(owner_url: str) -> None:
    """Creates the tables by which a database that version 0.1.0 migrated is recognised."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(
            """
            CREATE TABLE _yoyo_migration (
                migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), applied_at_utc timestamp
            )
            """
        )
        owner.execute("INSERT INTO _yoyo_migration VALUES ('1', '0001.tenants', now())")
        owner.execute("CREATE TABLE organizations (id int)")


@on_both_servers
def test_a_schema_of_0_1_0_is_refused_and_left_unchanged(empty_urls: tuple[str, str]) -> None:
    create_store_of_0_1_0(empty_urls[0])
    with pytest.raises(SchemaError, match=r"the tables of Regulars 0\.1\.0 were found\. Nothing was changed\."):
        bring_up(empty_urls)
    with psycopg.connect(empty_urls[0]) as owner:
        tables = owner.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert sorted(tables) == [("_yoyo_migration",), ("organizations",)]


def test_a_schema_with_a_changed_migration_is_refused(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("UPDATE schema_migrations SET checksum = 'other' WHERE name = '0003.profiles'")
    with pytest.raises(SchemaError, match=r"another 0003\.profiles was applied by an unreleased version"):
        bring_up(empty_urls)


def test_migrations_of_a_later_version_are_ignored(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("INSERT INTO schema_migrations VALUES ('9999.later', '', '9.9.9')")
    assert bring_up(empty_urls) == []


def test_each_migration_is_recorded_with_its_checksum_and_the_version(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    with psycopg.connect(empty_urls[0]) as owner:
        recorded = owner.execute("SELECT name, checksum, version FROM schema_migrations ORDER BY name").fetchall()
    ours = [(each.name, each.checksum, version("regulars")) for each in list_migrations()]
    assert recorded[: len(ours)] == ours
    assert {name.partition(" ")[0] for name, *_ in recorded[len(ours) :]} == {"procrastinate"}


def test_a_failed_migration_is_rolled_back_and_named_and_those_before_it_stay(empty_urls: tuple[str, str]) -> None:
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("CREATE TABLE brands (id int)")
        with pytest.raises(SchemaError, match=r"0004\.locations_and_products failed .* \"brands\" already exists"):
            bring_up(empty_urls)
        row = owner.execute("SELECT to_regclass('profiles') IS NULL, to_regclass('locations') IS NULL").fetchone()
        assert row == (False, True)
        owner.execute("DROP TABLE brands")
        assert bring_up(empty_urls) == EVERYTHING[3:]


_QUEUE = """
SELECT format('%s %s', proname, pg_get_function_identity_arguments(oid)) FROM pg_proc WHERE proname ~ '^procrastinate'
UNION ALL
SELECT format('%s.%s %s', attrelid::regclass, attname, atttypid::regtype)
FROM pg_attribute WHERE attrelid::regclass::text ~ '^procrastinate' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT enumlabel FROM pg_enum
ORDER BY 1
"""


def test_an_older_schema_of_the_job_queue_is_upgraded_by_its_library_s_migrations(
    empty_urls: tuple[str, str], database_urls: tuple[str, str]
) -> None:
    with psycopg.connect(database_urls[0]) as current:
        complete = current.execute(_QUEUE).fetchall()
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    newer = [f"procrastinate {each.stem}" for each in files if each.stem >= "03.02"]
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute(
            """
            CREATE TABLE schema_migrations (
                name text PRIMARY KEY, checksum text, version text, applied_at timestamptz DEFAULT now()
            )
            """
        )
        for each in files[: -len(newer)]:
            owner.execute(each.read_bytes())
            owner.execute("INSERT INTO schema_migrations VALUES (%s, '', '0.2.0')", [f"procrastinate {each.stem}"])
        assert owner.execute(_QUEUE).fetchall() != complete
        assert bring_up(empty_urls) == EVERYTHING[:-1] + newer
        assert owner.execute(_QUEUE).fetchall() == complete


def test_a_function_of_another_declaration_is_replaced(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("CREATE OR REPLACE FUNCTION optin_platform(channel text) RETURNS text LANGUAGE sql AS 'SELECT 1'")
        assert not has_declared_functions(owner)
        bring_up(empty_urls)
        assert has_declared_functions(owner)
