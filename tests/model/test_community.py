"""Updates of a community: values follow its time zone, and its currency is fixed after the first transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from api.transaction_client import create_profile, create_transaction, get_values, sale
from clubs import Club
from ingest.transaction_writes import stored_rows, transaction_write
from regulars.core.errors import ValidationError
from regulars.ingest.commit import commit
from regulars.ingest.transactions import write
from regulars.loading import loader
from regulars.loading.readers.rows import RawRow
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.model.community_update import update_community
from regulars.model.unit_of_work import UnitOfWork


async def change(club: Club, **fields: Any) -> Community:
    """Updates the club's community and returns it."""

    async def work(uow: UnitOfWork) -> Community:
        return await update_community(uow, **fields)

    return await commit(club.database, club.community.id, work)


async def values_version(club: Club) -> int:
    """What the club's values are computed by."""
    async with club.database.read_transaction(club.community.id) as scope:
        found: int = await scope.fetchval(
            "SELECT values_version FROM cache_versions WHERE community_id = $1", club.community.id
        )
        return found


async def test_an_update_changes_only_the_given_settings(club: Club) -> None:
    before = club.community
    changed = await change(club, name="New", country="sweden")
    assert (changed.name, changed.country) == ("New", "SE")
    assert (changed.timezone, changed.currency, changed.slug) == (before.timezone, before.currency, before.slug)
    assert changed.attributes == before.attributes
    async with club.database.unscoped_connection() as connection:
        assert await communities.get_by_id(connection, before.id) == changed


async def test_a_new_time_zone_changes_the_values_of_the_next_read(club: Club) -> None:
    mine = await create_profile(club, joined_at="2026-08-02 23:30:00")
    # Without a zone of its own, as from a file.
    await create_transaction(club, sale(10, "2026-10-01 23:30:00", profile_id=mine))
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "UPDATE transactions SET timezone = NULL, transacted_on = NULL WHERE community_id = $1", club.community.id
        )
    before = await get_values(club, mine)
    assert (before["dimension_join"], before["first_shop_date"]) == ("JC", "2026-10-01")
    await change(club, timezone="Pacific/Auckland")
    after = await get_values(club, mine)
    assert (after["dimension_join"], after["first_shop_date"]) == ("JN", "2026-10-02")
    assert after["first_shop_days"] == before["first_shop_days"]


@pytest.mark.parametrize(
    ("fields", "raised"),
    [
        ({"timezone": "Europe/Oslo"}, 1),
        ({"currency": "EUR"}, 1),
        ({"name": "New"}, 0),
        ({"country": "SE"}, 0),
        ({"timezone": "UTC", "currency": "NOK"}, 0),
        ({}, 0),
    ],
)
async def test_only_settings_that_values_depend_on_invalidate_them(
    club: Club, fields: dict[str, str], raised: int
) -> None:
    before = await values_version(club)
    await change(club, **fields)
    assert await values_version(club) == before + raised


async def test_the_currency_is_fixed_after_the_first_transaction(club: Club) -> None:
    changed = await change(club, currency="kwd")
    assert (changed.currency, changed.minor_digits) == ("KWD", 3)
    mine = await create_profile(club)
    await create_transaction(club, sale("1.005", profile_id=mine))
    assert str((await get_values(club, mine))["spend_all"]) == "1.005"
    with pytest.raises(ValidationError) as error:
        await change(club, currency="NOK")
    assert error.value.errors == {"currency": "is fixed after the first transaction: it is KWD"}
    assert (await change(club, currency="KWD", name="New")).name == "New"


async def test_invalid_settings_are_rejected_by_field(club: Club) -> None:
    with pytest.raises(ValidationError) as error:
        await change(club, country="Atlantis", timezone="Mars/Olympus", currency="XXY")
    assert error.value.errors.keys() == {"country", "timezone", "currency"}
    async with club.database.unscoped_connection() as connection:
        assert await communities.get_by_id(connection, club.community.id) == club.community


async def test_a_change_of_currency_waits_for_concurrent_writers(club: Club) -> None:
    changing: list[asyncio.Task[Community]] = []

    async def work(uow: UnitOfWork) -> None:
        await write(uow, [transaction_write(club)])
        changing.append(asyncio.create_task(change(club, currency="BHD")))
        await until_it_waits(club, changing[0])

    await commit(club.database, club.community.id, work)
    with pytest.raises(ValidationError, match="is fixed after the first transaction: it is NOK"):
        await changing[0]


async def test_a_change_of_personal_properties_waits_for_concurrent_writers(club: Club) -> None:
    changing: list[asyncio.Task[bool]] = []

    async def set_personal() -> bool:
        of = club.community
        new = NewCommunity(of.slug, of.name, of.country, of.timezone, of.currency, attributes={"personal": "pet"})
        async with club.database.unscoped_connection() as connection:
            return await communities.upsert(connection, new, club.clock())

    async def work(uow: UnitOfWork) -> None:
        changing.append(asyncio.create_task(set_personal()))
        await until_it_waits(club, changing[0])

    await commit(club.database, club.community.id, work)
    assert await changing[0]


_IS_WAITING = """
SELECT EXISTS (
    SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
)
"""


async def until_it_waits(club: Club, changing: asyncio.Task[Any]) -> None:
    """Returns when the change of a community waits for an advisory lock."""
    async with club.database.unscoped_connection() as connection:
        while not await connection.fetchval(_IS_WAITING):
            assert not changing.done()


def amount(total: float) -> dict[str, Any]:
    """A sale with that total."""
    return sale(total, external_id=str(total), items=[])


async def amounts(club: Club) -> list[int]:
    """Minor units of all transactions."""
    return [each for (each,) in await stored_rows(club, "amount")]


@pytest.mark.parametrize("path", ["", "/batch.json"])
async def test_a_transaction_validated_in_the_previous_currency_is_validated_again(club: Club, path: str) -> None:
    await club.server.group_committer.community(club.community.id)
    await change(club, currency="BHD")
    response = await club.http.post(f"/api/v3/transactions{path}", json=amount(10.005))
    assert response.is_success
    assert await amounts(club) == [10005]


async def test_a_file_read_in_the_previous_currency_is_rejected(club: Club) -> None:
    loop = asyncio.get_running_loop()

    def read() -> Iterator[RawRow]:
        asyncio.run_coroutine_threadsafe(change(club, currency="BHD"), loop).result()
        yield RawRow(1, b'{"external_id": "1", "transacted_at": "2026-10-01T10:00:00Z", "total": 10.005}')

    with pytest.raises(ValidationError, match="currency of the community was changed during the load"):
        await loader.load_and_finish(
            club.database, club.server.group_committer, club.community.id, "transactions", read
        )
    assert await amounts(club) == []
