"""Whatever is kept and is not what the facts say is found; where all is well, nothing is."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from aggregations.case import ME, Case, at, bought, case
from aggregations.stored import stored, stored_now
from clubs import SetClock
from oracle import Address, Item, Location, Product
from regulars.aggregations import verify as module
from regulars.aggregations.verify import Difference, verify
from regulars.storage.database import Database

ITEM = Item(product_id=1, brand="B", price_sell=Decimal("20"), discounts=(Decimal("1"),))
WORLD = case(
    "",
    [
        bought("2026-10-01 12:00", "0.25", 1, currency="USD", currency_rate=Decimal("0.5"), items=(ITEM,)),
        bought("2026-10-02 12:00", "-10", 2, timezone="Europe/Oslo", systems=("Web",)),
    ],
    {},
    locations=[Location(1, country="NO", iso_state="NO-03"), Location(2)],
    products=[Product(1, "Acme")],
    addresses=(Address("SE", state="Skåne"),),
)


async def found(database: Database, community_id: int) -> list[Difference]:
    """The differences, once the number of profiles is seen to be told."""
    told = [each async for each in verify(database, community_id)]
    assert [each for each in told if isinstance(each, int)] == [1]
    return [each for each in told if isinstance(each, Difference)]


async def kept(database: Database, clock: SetClock, world: Case = WORLD) -> tuple[int, list[int]]:
    """A community that holds the world, and its transactions' ids."""
    community, facts = await stored_now(database, clock, world)
    return community.id, sorted(facts.transactions)


async def test_where_all_is_well_nothing_is_found(database: Database, clock: SetClock) -> None:
    community_id, _ = await kept(database, clock)
    assert await found(database, community_id) == []


@pytest.mark.parametrize(
    ("breaking", "differences"),
    [
        ("UPDATE aggregations SET spend_all = 1", ["profile {me}: spend_all is kept as 1, the facts say -988"]),
        ("UPDATE aggregations SET channel = 'CM'", ["profile {me}: channel is kept as 'CM', the facts say None"]),
        (
            "UPDATE aggregations SET next_change_at = '2027-05-01'",
            ["profile {me}: next_change_at is kept as {may}, the facts say {november}"],
        ),
        ("DELETE FROM aggregations", ["profile {me}: aggregations is kept as None, the facts say 'a row'"]),
        (
            "UPDATE transactions SET amount = 13 WHERE id = {first}",
            [
                "profile {me}: spend_12m is kept as -988, the facts say -987",
                "transaction {first}: amount is kept as '13', the facts say '12'",
            ],
        ),
        (
            "UPDATE transactions SET sign = 0 WHERE id = {second}",
            ["transaction {second}: sign is kept as '0', the facts say '-1'"],
        ),
        (
            "UPDATE transactions SET shop_date = '2026-10-03' WHERE id = {second}",
            ["transaction {second}: shop_date is kept as '2026-10-03', the facts say '2026-10-02'"],
        ),
        (
            "UPDATE transactions SET channels = 3 WHERE id = {second}",
            ["transaction {second}: channels is kept as '3', the facts say '2'"],
        ),
        (
            "UPDATE transactions SET list_value = NULL WHERE id = {first}",
            ["transaction {first}: list_value is kept as None, the facts say '10'"],
        ),
        (
            "UPDATE transactions SET discount = 1 WHERE id = {first}",
            ["transaction {first}: discount is kept as '1', the facts say '0.5'"],
        ),
        (
            "UPDATE transactions SET sold_brands = NULL WHERE id = {first}",
            ["""transaction {first}: sold is kept as '{{"(1,)"}}', the facts say '{{"(1,B)"}}'"""],
        ),
        (
            "UPDATE locations SET country = 'SE' WHERE id = 1",
            ["location 1: country is kept as 'SE', the facts say 'NO'"],
        ),
        ("UPDATE addresses SET state = NULL", ["state is kept as None, the facts say 'Skåne'"]),
        (
            "DELETE FROM locations WHERE id = 2",
            ["transaction {second}: location_id is kept as '2', the facts say None"],
        ),
        (
            "DELETE FROM transactions WHERE id = {first}",
            ["transaction_id is kept as '{first}', the facts say None"],
        ),
        (
            "UPDATE transaction_claims SET transaction_id = 7",
            ["claim 1: transaction_id is kept as '7', the facts say None"],
        ),
        (
            "UPDATE profiles SET deleted_at = now()",
            ["profile {me}: aggregations is kept as 'a row', the facts say None"],
        ),
    ],
)
async def test_what_is_broken_is_found(
    breaking: str, differences: list[str], database: Database, database_urls: tuple[str, str], clock: SetClock
) -> None:
    community_id, (first, second) = await kept(database, clock)
    names = {"me": ME, "first": first, "second": second, "may": repr(at("2027-05-01")), "november": "datetime"}
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        claim = """
            INSERT INTO transaction_claims (community_id, id, profile_id, receipt_ref, transacted_at, timezone, total,
                location_external_code, transaction_id, created_at, updated_at)
            SELECT %s, 1, %s, 'r', now(), 'UTC', 1, 's', %s, now(), now()
        """
        owner.execute(claim, [community_id, ME, second])
        condition = f"{'AND' if 'WHERE' in breaking else 'WHERE'} community_id = {community_id}"
        owner.execute(f"{breaking.format(**names)} {condition}".encode())
    told = [str(each) async for each in verify(database, community_id) if isinstance(each, Difference)]
    for expected in differences:
        assert any(expected.format(**names) in each for each in told), told


async def test_a_profile_that_is_gone_is_missed(
    database: Database, database_urls: tuple[str, str], clock: SetClock
) -> None:
    community_id, _ = await kept(database, clock)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("DELETE FROM profiles WHERE community_id = %s", [community_id])
    told = [each async for each in verify(database, community_id)]
    assert sorted((each.key.split()[0], each.name) for each in told if isinstance(each, Difference)) == [
        ("address", "profile_id"),
        ("profile", "aggregations"),
        ("transaction", "profile_id"),
        ("transaction", "profile_id"),
    ]
    assert not any(isinstance(each, int) for each in told)


async def test_what_is_due_is_no_difference(
    database: Database, database_urls: tuple[str, str], clock: SetClock
) -> None:
    community_id, _ = await kept(database, clock)
    clock.at = at("2028-01-01")
    assert await found(database, community_id) == []
    clock.at = WORLD.as_of
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("UPDATE epochs SET values_epoch = 7 WHERE community_id = %s", [community_id])
        owner.execute("UPDATE aggregations SET spend_all = 1 WHERE community_id = %s", [community_id])
    assert await found(database, community_id) == []


async def test_profiles_are_looked_at_part_by_part(
    database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROFILES_AT_ONCE", 1)
    clock.at = at("2026-11-01")
    club = case("", [], {}).facts
    profiles = {key: type(club.profiles[ME])(key) for key in (ME, ME.__class__(int=1), ME.__class__(int=2))}
    community, _ = await stored(database, type(club)(club.community, {}, {}, profiles, {}))
    assert [each async for each in verify(database, community.id)] == [1, 2, 3]
