"""Member dimensions: which profiles are members, and how reports group them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from api.profile_calls import create_profile, update_profile
from clubs import Club, ManualClock, create_club
from postgres_servers import of_database
from regulars.bootstrap import schema_statements
from regulars.facts.members import personal_properties
from regulars.jobs.refresh_due import refresh_community
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.rollups import partitions
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.migrate import migrate, role_of
from reports.test_maintenance import differences


async def member(club: Club) -> dict[str, Any]:
    """The only row of members."""
    async with club.database.read_transaction(club.community.id) as scope:
        [row] = await scope.fetch("SELECT * FROM members WHERE community_id = $1", club.community.id)
    return dict(row)


async def test_member_dimensions_follow_the_profile(club: Club) -> None:
    one = await create_profile(
        club,
        gender="female", birth_year=1987, birth_month=5, optin_channel="POS-2", mobile_phone="+46701234567",
        consents={"sms_marketing": True, "club": False}, sms_status="verified", push_status="enabled",
    )  # fmt: skip
    row = await member(club)
    assert row["is_member"]
    assert row["member_id"] == one["member_id"]
    assert (row["optin_platform"], row["birth_date"], row["country"]) == ("pos", 19870501, "SE")
    assert (row["consents_true"], row["consents_false"]) == (["sms_marketing"], ["club"])
    assert row["marketing"] == ["sms", "push", "anything"]
    await update_profile(club, one["id"], addresses=[{"country": "DK"}, {"country": "FI", "is_default": True}])
    assert (await member(club))["country"] == "FI"
    await club.http.delete(f"/api/v3/profiles/{one['id']}")
    assert not (await member(club))["is_member"]


async def test_personal_properties_are_left_out(club: Club) -> None:
    await create_profile(club, properties={"language": "nb", "E-Mail": "a@b.no", "First name": "Kari", "shoe_size": 38})
    assert bytes((await member(club))["properties"]) == b'{"language": "nb", "shoe_size": 38}'
    assert "shoesize" not in personal_properties(club.community)
    for named in ("shoe_size, pet", ["Shoe size"]):
        assert "shoesize" in personal_properties(replace(club.community, attributes={"personal": named}))


async def test_members_follow_a_change_of_the_personal_properties(club: Club) -> None:
    await create_profile(club, properties={"language": "nb", "shoe_size": 38})
    of = club.community
    new = NewCommunity(of.slug, of.name, of.country, of.timezone, of.currency)
    for personal, recomputed, shown in (
        ("Shoe size, pet", 1, {"language": "nb"}),
        ("Shoe size, pet", 0, {"language": "nb"}),
        ("pet", 1, {"language": "nb", "shoe_size": 38}),
    ):
        async with club.database.unscoped_connection() as connection:
            changed = replace(new, attributes={"personal": personal})
            assert await communities.upsert(connection, changed, club.clock()) is bool(recomputed)
        assert await refresh_community(club.database, of.id, lambda: False) == recomputed
        assert json.loads(bytes((await member(club))["properties"])) == shown
        assert await differences(club) == []


async def test_names_of_properties_are_compared_in_any_locale_of_the_database(
    empty_urls: tuple[str, str], clock: ManualClock
) -> None:
    owner = empty_urls[0]
    name = psycopg.conninfo.conninfo_to_dict(owner)["dbname"]
    with psycopg.connect(of_database(owner, "template1"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}".encode())
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'".encode())
    migrate(owner, role_of(empty_urls[1]), schema_statements())
    attributes = {"personal": "fødselsnummer, Kjøreklasse"}
    new = NewCommunity("club", "Club", "NO", "UTC", "NOK", attributes=attributes)
    properties = {
        "Fødsels\u2011nummer": 1, "FØDSELSNUMMER": 2, "kjøre_klasse": 3, "E-mail": 4, "Åre": 5, "Fdselsnummer": 6,
    }  # fmt: skip
    async with Database(empty_urls[1], 4, clock) as database:
        await retention.maintain_partitions(database, 7)
        await partitions.ensure(database)
        async for club in create_club(database, clock, new):
            await create_profile(club, properties=properties)
            assert json.loads(bytes((await member(club))["properties"])) == {"Åre": 5, "Fdselsnummer": 6}


async def test_a_depersonalised_profile_is_counted_as_before(club: Club) -> None:
    one = await create_profile(
        club, mobile_phone="+46701234567", gender="male", birth_year=1987, consents={"club": True}
    )
    before = await member(club)
    await club.http.post(f"/api/v3/profiles/{one['id']}/depersonalise")
    after = await member(club)
    assert after["country"] == "SE"
    assert after["groups"] == before["groups"]


async def test_a_join_in_the_future_takes_effect_at_its_time(club: Club) -> None:
    await create_profile(club, joined_at="2026-11-01 05:00:00")
    row = await member(club)
    assert not row["is_member"]
    assert row["next_change_at"] == club.clock.at + timedelta(hours=5)
    club.clock.advance(hours=5)
    await refresh_community(club.database, club.community.id, lambda: False)
    row = await member(club)
    assert row["is_member"]
    assert row["next_change_at"] is None


async def test_a_violated_constraint_is_not_taken_for_a_missing_partition(club: Club) -> None:
    async def work() -> int:
        raise asyncpg.CheckViolationError("type must be in or out")

    with pytest.raises(asyncpg.CheckViolationError, match="in or out"):
        await partitions.with_partitions(club.database, work)


async def test_a_missing_partition_is_created_and_the_work_repeated(club: Club) -> None:
    club.clock.advance(days=30_000)

    async def work() -> int:
        async with club.database.write_transaction(club.community.id) as scope:
            written = await scope.execute(
                "INSERT INTO group_rollups VALUES ($1, '5m', $2, 'gender', 'female', 1)",
                club.community.id,
                club.clock.at,
            )
        return int(written.rpartition(" ")[2])

    assert await partitions.with_partitions(club.database, work) == 1
