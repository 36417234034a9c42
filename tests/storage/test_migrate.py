"""A database is brought to the present schema: once, by one of many, and its values with its definitions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from aggregations.case import ME, case, purchase
from aggregations.store_facts import read_live, store_facts
from clubs import ManualClock
from postgres_servers import on_both_servers
from regulars.aggregations import table
from regulars.aggregations.reader import ValueReader
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.embedded import APP_ROLE
from regulars.storage.migrate import SchemaError, list_migrations, migrate, role_of


def bring_up(urls: tuple[str, str]) -> list[str]:
    """Migrates a database as the server does when it starts."""
    return migrate(urls[0], role_of(urls[1]), table.column_statements())


def test_an_empty_database_gets_everything_and_then_nothing_more(empty_urls: tuple[str, str]) -> None:
    assert bring_up(empty_urls) == list_migrations()
    assert list_migrations() == sorted(list_migrations())
    assert bring_up(empty_urls) == []
    with psycopg.connect(empty_urls[0]) as owner:
        columns = owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'aggregations'::regclass AND attnum > 0"
        ).fetchall()
    assert {name for (name,) in columns} >= set(table.VALUE_COLUMNS)


def test_of_many_that_start_at_once_one_migrates_and_the_others_wait(empty_urls: tuple[str, str]) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(bring_up, [empty_urls] * 4))
    assert sorted(applied) == [[], [], [], list_migrations()]


def test_the_app_s_role_may_use_what_there_is_and_change_no_table(empty_urls: tuple[str, str]) -> None:
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
def test_the_role_of_a_url_is_read_from_it(url: str, role: str) -> None:
    assert role_of(url) == role


async def test_a_changed_definition_has_every_profile_computed_anew(
    empty_urls: tuple[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(bring_up, empty_urls)
    world = case("", [purchase("2026-10-01 12:00", "10")], {})
    clock.at = world.as_of
    async with Database(empty_urls[1], 2, clock) as database:
        await retention.maintain_partitions(database, 7)
        first, _ = await store_facts(database, world.facts)
        second, _ = await store_facts(database, world.facts)

        async def epochs() -> list[int]:
            found = []
            for each in (first, second):
                async with database.read_transaction(each.id) as scope:
                    found.append(await scope.fetchval("SELECT values_epoch FROM epochs"))
            return found

        await asyncio.to_thread(bring_up, empty_urls)
        assert await epochs() == [1, 1]
        async with database.write_transaction(second.id) as scope:
            await scope.execute("UPDATE aggregations SET shop_count = 7")
        assert (await read_live(ValueReader(database), second, ME))["shop_count"] == 7
        monkeypatch.setattr(table, "definitions_version", lambda: "of another release")
        await asyncio.to_thread(bring_up, empty_urls)
        assert await epochs() == [2, 2]
        assert (await read_live(ValueReader(database), second, ME))["shop_count"] == 1
        await asyncio.to_thread(bring_up, empty_urls)
        assert await epochs() == [2, 2]


def test_the_app_s_role_has_no_power(database_urls: tuple[str, str]) -> None:
    assert role_of(database_urls[1]) == APP_ROLE


RELEASE_0_1_0 = [
    "0001.tenants",
    "0002.facts",
    "0003.derived",
    "0004.buckets",
    "0005.members",
    "0006.access",
    "0007.jobs",
    "0008.purchases",
    "0009.sendings",
    "0010.links",
    "0011.offers",
    "0012.providers",
    "0013.lookups",
    "0014.sending_days",
    "0016.idempotency_callers",
    "0016.member_handles",
    "0017.provider_tokens",
    "0020.commit_markers",
    "0020.privileges",
    "0021.permits",
    "0022.community_ids",
]
"""The migrations of version 0.1.0."""


def create_store_of_0_1_0(owner_url: str, applied: Sequence[str] = RELEASE_0_1_0) -> None:
    """Creates the tables by which a database that version 0.1.0 migrated is recognised."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(
            """
            CREATE TABLE _yoyo_migration (
                migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), applied_at_utc timestamp
            )
            """
        )
        owner.execute("CREATE TABLE organizations (id int)")
        for name in applied:
            owner.execute("INSERT INTO _yoyo_migration VALUES (%s, %s, now())", (name, name))


@on_both_servers
@pytest.mark.parametrize("applied", [RELEASE_0_1_0, RELEASE_0_1_0[:1]])
def test_a_schema_of_0_1_0_is_refused_and_left_as_it_is(empty_urls: tuple[str, str], applied: list[str]) -> None:
    create_store_of_0_1_0(empty_urls[0], applied)
    found = rf"created by Regulars 0\.1\.0 \(found {len(applied)} of its migrations, 0001\.tenants to {applied[-1]}\)"
    with pytest.raises(SchemaError, match=found):
        bring_up(empty_urls)
    with psycopg.connect(empty_urls[0]) as owner:
        tables = owner.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert sorted(tables) == [("_yoyo_migration",), ("organizations",)]


def test_migrations_of_a_later_version_are_ignored(empty_urls: tuple[str, str]) -> None:
    bring_up(empty_urls)
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('later', '9999.later')")
    assert bring_up(empty_urls) == []
