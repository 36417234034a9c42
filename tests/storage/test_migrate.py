"""A database is brought to the present schema: once, by one of many, and its values with its definitions."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import yoyo

from aggregations.case import ME, bought, case
from aggregations.stored import live, stored
from clubs import SetClock
from regulars.access import permits
from regulars.aggregations import store
from regulars.aggregations.reading import Reader
from regulars.ingest import idempotency
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.embedded import APP_ROLE
from regulars.storage.migrate import migrate, migrations, role_of


def bring_up(urls: tuple[str, str]) -> list[str]:
    """Migrates a database as the server does when it starts."""
    return migrate(urls[0], role_of(urls[1]), store.declared_columns())


def test_an_empty_database_gets_everything_and_then_nothing_more(empty_urls: tuple[str, str]) -> None:
    assert bring_up(empty_urls) == migrations()
    assert migrations() == sorted(migrations())
    assert bring_up(empty_urls) == []
    with psycopg.connect(empty_urls[0]) as owner:
        columns = owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'aggregations'::regclass AND attnum > 0"
        ).fetchall()
    assert {name for (name,) in columns} >= set(store.NAMES)


def test_of_many_that_start_at_once_one_migrates_and_the_others_wait(empty_urls: tuple[str, str]) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(bring_up, [empty_urls] * 4))
    assert sorted(applied) == [[], [], [], migrations()]


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
    empty_urls: tuple[str, str], clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(bring_up, empty_urls)
    world = case("", [bought("2026-10-01 12:00", "10")], {})
    clock.at = world.as_of
    async with Database(empty_urls[1], 2, clock) as database:
        await retention.keep(database, 7)
        first, _ = await stored(database, world.facts)
        second, _ = await stored(database, world.facts)

        async def epochs() -> list[int]:
            found = []
            for each in (first, second):
                async with database.reading(each.id) as scope:
                    found.append(await scope.fetchval("SELECT values_epoch FROM epochs"))
            return found

        await asyncio.to_thread(bring_up, empty_urls)
        assert await epochs() == [1, 1]
        async with database.writing(second.id) as scope:
            await scope.execute("UPDATE aggregations SET shop_count = 7")
        assert (await live(Reader(database), second, ME))["shop_count"] == 7
        monkeypatch.setattr(store, "definitions_version", lambda: "of another release")
        await asyncio.to_thread(bring_up, empty_urls)
        assert await epochs() == [2, 2]
        assert (await live(Reader(database), second, ME))["shop_count"] == 1
        await asyncio.to_thread(bring_up, empty_urls)
        assert await epochs() == [2, 2]


def test_the_app_s_role_has_no_power(database_urls: tuple[str, str]) -> None:
    assert role_of(database_urls[1]) == APP_ROLE


_ANSWERS = {
    "profile": '{"data":{"id":"01a23180-ddb6-745d-81bf-3bc9c65a7d5d","member_id":3}}',
    "address": '{"data":{"id":7,"city":"Oslo","profile_id":"01a23180-ddb6-745d-81bf-3bc9c65a7d5d"}}',
    "sale": '{"data":{"id":12,"external_id":"T-1","profile_id":null}}',
    "item": '{"data":{"id":13,"transaction_id":12,"name":"Tea"}}',
    "batch": '{"data":{"message":"1 loaded","batch_id":"01a23180-0000-745d-81bf-3bc9c65a7d5d"}}',
}


def test_responses_that_were_stored_under_plain_keys_are_found_and_say_whom_they_concern(
    empty_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = yoyo.read_migrations
    before = [name for name in migrations() if name < "0016"]
    with monkeypatch.context() as patched:
        patched.setattr(yoyo, "read_migrations", lambda folder: every(folder).filter(lambda each: each.id in before))
        assert bring_up(empty_urls) == before
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("SELECT keep_partition('idempotency_keys', '2026-11-01')")
        for key, answer in _ANSWERS.items():
            owner.execute(
                "INSERT INTO idempotency_keys VALUES (1, '2026-11-01', %s, '', 201, %s, '2026-11-01')",
                (key, answer.encode()),
            )
        bring_up(empty_urls)
        found = {
            key: owner.execute(
                """
                SELECT coalesce(profile_id, profile_ids[1])::text, transaction_id FROM idempotency_keys WHERE key = %s
                """,
                (idempotency.keyed(key, b"", b"", "community").key,),
            ).fetchone()
            for key in _ANSWERS
        }
    profile_id = "01a23180-ddb6-745d-81bf-3bc9c65a7d5d"
    assert found == {
        "profile": (profile_id, None),
        "address": (profile_id, 7),
        "sale": (None, 12),
        "item": (None, 12),
        "batch": (None, None),
    }


def test_tokens_of_communities_keep_the_profile_api_unless_they_were_made_with_permits(
    empty_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = yoyo.read_migrations
    before = [name for name in migrations() if name < "0021"]
    with monkeypatch.context() as patched:
        patched.setattr(yoyo, "read_migrations", lambda folder: every(folder).filter(lambda each: each.id in before))
        assert bring_up(empty_urls) == before
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute("INSERT INTO organizations (name, created_at) VALUES ('One', now()), ('Two', now())")
        owner.execute(
            """
            INSERT INTO communities (
                id, organization_id, customer_id, loyalty_club_id, slug, name, country, timezone, currency,
                minor_digits, created_at, updated_at
            )
            SELECT n, n, n, n, 'c' || n, 'C', 'NO', 'UTC', 'NOK', 2, now(), now() FROM generate_series(1, 2) AS n
            """
        )
        stored = {
            "one": (1, 1, []),
            "two": (2, 2, []),
            "reports of a community": (1, 1, ["Reporting:*"]),
            "reports": (2, None, ["Reporting:*"]),
            "nothing": (2, None, []),
        }
        for name, (organization_id, community_id, granted) in stored.items():
            owner.execute(
                """
                INSERT INTO tokens (organization_id, community_id, hash, hint, name, permits, created_at)
                VALUES (%s, %s, %s, '', %s, %s, now())
                """,
                (organization_id, community_id, name, name, granted),
            )
        bring_up(empty_urls)
        found: dict[str, list[str]] = dict(owner.execute("SELECT name, permits FROM tokens").fetchall())
    everything = list(permits.FULL_PROFILE_API)
    assert found == {name: granted for name, (*_, granted) in stored.items()} | {"one": everything, "two": everything}
