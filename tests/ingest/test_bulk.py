"""Files are loaded in batches: good rows are kept, bad ones told, and the same file again changes nothing."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from clubs import Club
from regulars.facts import community as communities
from regulars.facts.refusals import NotFound, Refused
from regulars.facts.writing import Writing
from regulars.ingest import bulk, entities, files, together
from regulars.ingest.ahead import prepared
from regulars.ingest.bulk import Options, Summary
from regulars.ingest.rows import Line, Rejection


class Loading:
    """Loads texts as files into a club."""

    def __init__(self, club: Club, folder: Path) -> None:
        self.club = club
        self._folder = folder

    async def __call__(self, entity: str, content: str, name: str = "facts.csv", **options: Any) -> Summary:
        path = self._folder / name
        path.write_text(content)
        read = partial(files.source(path).rows, entities.columns_of(entity))
        return await bulk.load(
            self.club.database,
            self.club.server.committers,
            self.club.community.id,
            entity,
            read,
            Options(**options),
        )

    async def profiles(self, *external_ids: str) -> None:
        await self("profiles", "external_id\n" + "\n".join(external_ids))

    async def values(self, external_id: str) -> dict[str, Any]:
        profile_id = await self.fetchval("SELECT profile_id FROM profiles WHERE external_id = $2", external_id)
        answer = await self.club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")
        found: dict[str, Any] = msgspec.json.decode(answer.content)["data"]
        return found

    async def transactions(self) -> dict[str, dict[str, Any]]:
        found = msgspec.json.decode((await self.club.http.get("/api/v3/transactions?page[size]=500")).content)
        return {row["external_id"]: row for row in found["data"]}

    async def fetchval(self, statement: str, *values: object) -> Any:
        async with self.club.database.reading(self.club.community.id) as scope:
            return await scope.fetchval(
                statement.replace("WHERE", "WHERE community_id = $1 AND"), scope.community_id, *values
            )


@pytest.fixture
def load(club: Club, tmp_path: Path) -> Loading:
    return Loading(club, tmp_path)


def counts(summary: Summary) -> tuple[int, int, int]:
    return summary.loaded, summary.unchanged, summary.rejected


def reasons(summary: Summary) -> dict[int, str]:
    return {each.line: each.reason for each in summary.rejections}


# Transactions -----------------------------------------------------------------------------------------------


async def test_a_file_of_transactions_moves_the_values_of_its_profiles(load: Loading) -> None:
    await load.profiles("M1")
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,systems\n"
        "T1,M1,2026-10-01T12:00:00Z,100.00,pos\n"
        "T2,M1,2026-10-02T12:00:00Z,-40.00,pos\n"
        "T3,,2026-10-02T12:00:00Z,7.00,web\n",
    )
    assert counts(summary) == (3, 0, 0)
    values = await load.values("M1")
    assert (values["shop_count"], values["spend_all"], values["channel"]) == (1, 60.0, "CF")


async def test_the_same_file_again_changes_nothing(load: Loading) -> None:
    await load.profiles("M1")
    content = (
        "external_id,profile,transacted_at,total,sku,quantity\n"
        "T1,M1,2026-10-01,9,A,1\nT2,M1,2026-10-02,5,A,1\nT1,M1,2026-10-01,9,B,2\n"
    )
    assert counts(await load("transactions", content)) == (2, 0, 0)
    before = await load.transactions()
    load.club.clock.step(days=1)
    assert counts(await load("transactions", content)) == (0, 2, 0)
    assert await load.transactions() == before


async def test_a_later_file_replaces_a_transaction_with_all_its_items(load: Loading) -> None:
    await load.profiles("M1")
    header = "external_id,profile,transacted_at,total,sku\n"
    await load("transactions", header + "T1,M1,2026-10-01,9,A\nT1,M1,2026-10-01,9,B\nT2,M1,2026-10-01,1,A\n")
    again = await load("transactions", header + "T1,M1,2026-10-01,12,C\nT2,M1,2026-10-01,1,A\n")
    assert counts(again) == (1, 1, 0)
    transaction = (await load.transactions())["T1"]
    assert [item["sku"] for item in transaction["items"]] == ["C"]
    assert (await load.values("M1"))["spend_all"] == 13.0


async def test_lines_of_one_external_id_are_one_transaction_whose_total_counts_once(load: Loading) -> None:
    await load.profiles("M1")
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,sku,name,brand,quantity,price_sell,price_current,discount\n"
        "T1,M1,2026-10-01 10:00,30.00,A,Shirt,Tveitun,1,10,12,2\n"
        "T2,M1,2026-10-02 10:00,5.00,D,,,,,,\n"
        "T1,M1,2026-10-01T10:00,30,B,Scarf,Aune,2,10,10,\n",
    )
    assert counts(summary) == (2, 0, 0)
    transaction = (await load.transactions())["T1"]
    assert [(item["sku"], item["brand"], item["quantity"]) for item in transaction["items"]] == [
        ("A", "Tveitun", 1),
        ("B", "Aune", 2),
    ]
    assert transaction["items"][0]["discounts"][0]["amount"] == 2
    values = await load.values("M1")
    assert (values["spend_all"], values["purchased_brands"]) == (35.0, ["Aune", "Tveitun"])


async def test_lines_that_disagree_on_the_transaction_are_rejected_with_the_field(load: Loading) -> None:
    await load.profiles("M1")
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,location,sku\n"
        "T1,M1,2026-10-01,30,S1,A\n"
        "T2,M1,2026-10-01,1,S1,A\n"
        "T1,M1,2026-10-01,31,S2,B\n"
        "T1,M1,today,30,S1,C\n",
    )
    assert counts(summary) == (1, 0, 2)
    text = "differs from that of line 2: lines with one external_id are one transaction"
    assert summary.rejections[0].errors == {"location": text, "total": text}
    assert reasons(summary)[5].startswith("transacted_at must be a time")
    assert list(await load.transactions()) == ["T2"]


async def test_a_line_that_is_no_good_takes_its_transaction_with_it(load: Loading) -> None:
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,sku,quantity\n"
        "T1,,2026-10-01,30,A,1\n"
        "T1,,2026-10-01,30,B,many\n"
        "T2,,2026-10-01,1,A,1\n"
        "T3,,2026-10-01,1\n"
        "T3,,2026-10-01,1,A,1\n"
        "T4,,2026-10-01,1,A,0.1234567\n",
    )
    assert counts(summary) == (1, 0, 3)
    assert list(reasons(summary)) == [3, 5, 7]
    assert reasons(summary)[7] == "quantity must have at most 6 decimals"
    assert list(await load.transactions()) == ["T2"]


async def test_a_line_said_twice_is_one_transaction_with_its_items_once(load: Loading) -> None:
    line = '{"external_id": "T1", "transacted_at": "2026-10-01", "total": 5, "items": [{"sku": "A"}]}\n'
    other = line.replace('"A"', '"B"').replace("T1", "T2")
    summary = await load("transactions", line + line + other + other.replace('"B"', '"C"'), name="sales.ndjson")
    assert counts(summary) == (1, 0, 1)
    assert reasons(summary)[4].startswith("items differs from that of line 3")
    assert [item["sku"] for item in (await load.transactions())["T1"]["items"]] == ["A"]


async def test_items_come_as_a_list_or_in_columns(load: Loading) -> None:
    summary = await load(
        "transactions",
        '{"external_id": "T1", "transacted_at": "2026-10-01", "total": 5, "items": [{"sku": "A"}], "sku": "B"}\n'
        '{"external_id": "T2", "transacted_at": "2026-10-01", "total": 5, "items": [], "sku": "B"}\n'
        '{"external_id": "T3", "transacted_at": "2026-10-01", "total": 5, "sku": null}\n',
        name="sales.ndjson",
    )
    assert counts(summary) == (2, 0, 1)
    assert reasons(summary) == {1: "items come as a list or in columns of their own, not both"}
    rows = await load.transactions()
    assert ([item["sku"] for item in rows["T2"]["items"]], rows["T3"]["items"]) == (["B"], [])


async def test_rows_that_are_no_good_are_told_with_line_and_field(load: Loading) -> None:
    summary = await load(
        "transactions",
        '{"external_id": "T1", "transacted_at": "2026-10-01", "total": "much"}\n'
        '{"external_id": "T2", "transacted_at": "2026-10-01"}\n'
        '{"external_id": "T3", "total": 1}\n'
        '{"transacted_at": "2026-10-01", "total": 1}\n'
        '{"external_id": "T5", "profile": "nobody", "transacted_at": "2026-10-01", "total": 1}\n'
        "{\n"
        '{"external_id": "T7", "transacted_at": "2026-10-01", "total": 1}\n'
        '{"external_id": "T8", "transacted_at": "2026-10-01", "total": 1, "items": [{"quantity": 1e9}]}\n'
        + "["
        * 5_000,
        name="sales.ndjson",
    )
    assert counts(summary) == (1, 0, 8)
    found = reasons(summary)
    assert found.pop(6).startswith("is no JSON")
    assert found.pop(9).startswith("expected `object`")
    assert found == {
        1: "total invalid decimal string",
        2: "total is required",
        3: "transacted_at is required",
        4: "external_id is required: it tells a transaction that comes again from a new one",
        5: "profile there is no profile nobody",
        8: "items.0.quantity must be below 10000000 in size",
    }


async def test_unknown_profiles_are_made_where_that_is_asked_for(load: Loading) -> None:
    content = "external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\nT2,M1,2026-10-02,5\n"
    assert counts(await load("transactions", content)) == (0, 0, 2)
    assert counts(await load("transactions", content, create_profiles=True)) == (2, 0, 0)
    assert (await load.values("M1"))["shop_count"] == 2


async def test_a_transaction_has_no_more_lines_than_items_are_allowed(load: Loading) -> None:
    lines = [f"T1,,2026-10-01,5,A{number}" for number in range(together.MOST_LINES + 5)]
    far = ["T2,,2026-10-01,5,A", "T1,,2026-10-01,5,A"]
    header = "external_id,profile,transacted_at,total,sku\n"
    summary = await load("transactions", header + "\n".join([*lines, *far]))
    assert counts(summary) == (1, 0, 1)
    assert reasons(summary) == {2: "items must be at most 2000"}


async def test_a_time_without_an_offset_is_local(load: Loading) -> None:
    await load("locations", "external_id,timezone\nS1,Europe/Oslo\nS2,\n")
    await load(
        "transactions",
        "external_id,profile,transacted_at,total,timezone,location\n"
        "own,,2026-07-01 12:00,1,America/New_York,S1\n"
        "place,,2026-07-01 12:00,1,,S1\n"
        "club,,2026-07-01 12:00,1,,S2\n"
        "offset,,2026-07-01T12:00:00+05:00,1,America/New_York,S1\n"
        "midnight,,2026-07-01,1,,S1\n"
        "twice,,2026-10-25 02:30,1,Europe/Oslo,\n"
        "never,,2026-03-29 02:30,1,Europe/Oslo,\n",
    )
    assert {name: row["transacted_at"] for name, row in (await load.transactions()).items()} == {
        "own": "2026-07-01 16:00:00",
        "place": "2026-07-01 10:00:00",
        "club": "2026-07-01 12:00:00",
        "offset": "2026-07-01 07:00:00",
        "midnight": "2026-06-30 22:00:00",
        "twice": "2026-10-25 00:30:00",
        "never": "2026-03-29 01:30:00",
    }


async def test_batches_are_as_large_as_asked_and_told_one_by_one(load: Loading) -> None:
    told: list[int] = []
    rejected: list[Rejection] = []
    rows = "".join(f"T{number},,2026-10-01,{number or 'x'}\n" for number in range(25))
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total\n" + rows,
        batch_rows=10,
        progress=lambda so_far: told.append(so_far.rows),
        rejected=rejected.append,
    )
    assert counts(summary) == (24, 0, 1)
    assert told == [10, 20, 25]
    assert [each.line for each in rejected] == [2]


# Dry runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "content", "expected"),
    [
        (
            "transactions",
            "external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\nT2,M9,2026-10-01,5\nT3,,x,5\n",
            (1, 0, 2),
        ),
        ("profiles", "external_id,email\nM1,\nM2,ola@example.com\nM3,OLA@example.com\n", (1, 1, 1)),
    ],
)
async def test_a_dry_run_tells_what_would_be_and_keeps_nothing(
    load: Loading, entity: str, content: str, expected: tuple[int, int, int]
) -> None:
    await load.profiles("M1")
    assert counts(await load(entity, content, dry_run=True)) == expected
    assert await load.transactions() == {}
    assert await load.fetchval("SELECT count(*) FROM profiles WHERE true") == 1
    assert counts(await load(entity, content)) == expected


async def test_a_dry_run_of_what_is_there_is_unchanged(load: Loading) -> None:
    content = "external_id,profile,transacted_at,total\nT1,,2026-10-01,5\n"
    await load("transactions", content)
    assert counts(await load("transactions", content, dry_run=True)) == (0, 1, 0)


# Other entities ---------------------------------------------------------------------------------------------


async def test_profiles_are_made_and_changed_by_external_id(load: Loading) -> None:
    await load("locations", "external_id\nS1\n")
    content = (
        "external_id,first_name,joined_at,favorite_stores,consents,identities\n"
        'M1,Ola,2026-08-03,S1,"{""sms_marketing"": true}","[{""handle"": ""card"", ""identifier"": ""7""}]"\n'
        "M2,Kari,2026-08-03T10:00:00+02:00,,,\n"
        ",Nobody,,,,\n"
        "M4,,yesterday,,,\n"
        "M5,,2026-08-03,S9,,\n"
    )
    summary = await load("profiles", content)
    assert counts(summary) == (2, 0, 3)
    assert reasons(summary)[4] == "external_id is required: it tells a row that comes again from a new one"
    assert counts(await load("profiles", content)) == (0, 2, 3)
    assert counts(await load("profiles", "external_id,first_name\nM1,Ole\nM2,\n")) == (1, 1, 0)
    answer = await load.club.http.get("/api/v3/profiles?sort=external_id")
    first, second = msgspec.json.decode(answer.content)["data"]
    assert (first["first_name"], first["consents"]) == ("Ole", {"sms_marketing": True})
    assert len(first["favorite_stores"]) == 1
    assert (second["first_name"], second["joined_at"]) == ("Kari", "2026-08-03 08:00:00")


@pytest.mark.parametrize("bad", ["[1]", "{"])
async def test_rows_of_other_entities_must_fit_too(load: Loading, bad: str) -> None:
    summary = await load("profiles", f'{{"external_id": "M1"}}\n{bad}\n\0\n', name="m.ndjson")
    assert counts(summary) == (1, 0, 2)
    assert reasons(summary)[3] == "holds a NUL character"


async def test_locations_are_made_and_changed(load: Loading) -> None:
    content = 'external_id,name,address,tags\nS1,North,"{""iso"": ""NO""}","a,b"\nS2,South,"{""iso"": ""XX""}",\n'
    summary = await load("locations", content)
    assert counts(summary) == (1, 0, 1)
    assert reasons(summary)[3].startswith("address.iso must be a country")
    assert counts(await load("locations", content)) == (0, 1, 1)


async def test_products_are_found_by_halving_where_one_can_not_be_put(load: Loading) -> None:
    rows: list[dict[str, Any]] = [
        {"external_id": f"P{n}", "name": f"Shirt {n}", "variants": [{"sku": f"S{n}"}]} for n in range(7)
    ]
    rows[4]["brand_id"] = 999_999_999
    content = "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)
    summary = await load("products", content, name="products.ndjson")
    assert counts(summary) == (6, 0, 1)
    assert list(reasons(summary)) == [5]


async def test_products_come_with_their_brand_and_variants(load: Loading) -> None:
    content = (
        "external_id,name,brand,variants\n"
        'P1,Shirt,Tveitun,"[{""sku"": ""S1""}, {""sku"": ""S2""}]"\n'
        'P2,Scarf,"{""name"": ""Tveitun""}",\n'
    )
    assert counts(await load("products", content)) == (2, 0, 0)
    assert counts(await load("products", content)) == (0, 2, 0)
    answer = await load.club.http.get("/api/v3/products?sort=external_id")
    first, second = msgspec.json.decode(answer.content)["data"]
    assert (first["brand"]["name"], second["brand"]["name"]) == ("Tveitun", "Tveitun")
    assert [each["sku"] for each in first["variants"]] == ["S1", "S2"]


async def test_memberships_are_ins_and_outs_of_known_profiles(load: Loading) -> None:
    await load("profiles", "external_id,joined_at\nM1,2026-01-01\n")
    content = "external_id,profile,type,at\nJ1,M1,out,2026-02-01\nJ2,M1,in,2026-03-01 10:00\nJ3,M9,out,2026-02-01\n"
    summary = await load("memberships", content)
    assert counts(summary) == (2, 0, 1)
    assert counts(await load("memberships", content)) == (0, 2, 1)


async def test_rows_that_only_the_database_refuses_are_found_by_halving(club: Club) -> None:
    tries: list[int] = []

    async def put(writing: Writing, rows: Sequence[int]) -> list[entities.Outcome]:
        tries.append(len(rows))
        if len(tries) == 1:
            raise asyncpg.DeadlockDetectedError("once")
        return [str(await writing.fetchval("SELECT 10 / $1::int", row)) for row in rows]

    outcomes = await bulk._put_rows(club.database, club.community.id, put, Options(), [1, 0, 5])
    assert (outcomes[0], outcomes[2]) == ("10", "2")
    assert str(outcomes[1]) == ": The database does not take this: division by zero"
    assert tries == [3, 3, 1, 2, 1, 1]


async def test_a_missing_column_is_no_row_but_the_file(load: Loading) -> None:
    with pytest.raises(Refused, match="type: is a required column"):
        await load("memberships", "profile,at\nM1,2026-01-01\n")


async def test_there_must_be_a_community(load: Loading) -> None:
    with pytest.raises(NotFound):
        await bulk.load(load.club.database, load.club.server.committers, -1, "profiles", lambda: iter(()))


# Communities ------------------------------------------------------------------------------------------------


def rows_of(rows: Sequence[Mapping[str, object]]) -> Any:
    return lambda: (Line(number, msgspec.json.encode(row)) for number, row in enumerate(rows, 1))


async def test_communities_are_made_and_changed_by_slug(club: Club) -> None:
    slug = f"{club.community.slug}-new"
    row = {"slug": slug, "name": "New", "country": "NO", "timezone": "Europe/Oslo", "currency": "NOK"}
    wrong = {**row, "slug": f"{slug}-2", "currency": "XXQ"}
    rehearsal = await bulk.load_communities(club.database, rows_of([row, wrong, {}]), Options(dry_run=True))
    assert counts(rehearsal) == (1, 0, 2)
    assert counts(await bulk.load_communities(club.database, rows_of([row, wrong]))) == (1, 0, 1)
    assert counts(await bulk.load_communities(club.database, rows_of([row]))) == (0, 1, 0)
    changed = {**row, "timezone": "Europe/Stockholm", "attributes": {"chain": "New"}}
    assert counts(await bulk.load_communities(club.database, rows_of([changed]))) == (1, 0, 0)
    async with club.database.unscoped() as connection:
        found = await communities.by_slug(connection, slug)
    assert (found.timezone, found.attributes) == ("Europe/Stockholm", {"chain": "New"})


async def test_a_communitys_currency_is_fixed_after_the_first_transaction(load: Loading) -> None:
    mine = load.club.community
    row = {"slug": mine.slug, "name": "Club", "country": "NO", "timezone": "UTC", "currency": "SEK"}
    assert counts(await bulk.load_communities(load.club.database, rows_of([row]))) == (1, 0, 0)
    await load("transactions", "external_id,profile,transacted_at,total\nT1,,2026-10-01,5\n")
    summary = await bulk.load_communities(load.club.database, rows_of([{**row, "currency": "NOK"}]))
    assert reasons(summary) == {1: "currency is fixed after the first transaction: it is SEK"}


# What is prepared ahead -------------------------------------------------------------------------------------


async def test_what_is_prepared_ahead_is_closed_when_its_user_fails() -> None:
    closed: list[bool] = []

    def numbers() -> Any:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    async def until_three() -> None:
        async with prepared(numbers()) as upcoming:
            async for number in upcoming:
                if number == 3:
                    raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await until_three()
    assert closed == [True]


async def test_what_is_prepared_ahead_is_closed_when_its_user_is_cancelled() -> None:
    going_on = threading.Event()
    closed: list[bool] = []

    def numbers() -> Any:
        try:
            going_on.wait()
            yield 1
        finally:
            closed.append(True)

    async def all_of_them() -> None:
        async with prepared(numbers()) as upcoming:
            async for _ in upcoming:
                pass

    task = asyncio.create_task(all_of_them())
    await asyncio.sleep(0)
    task.cancel()
    asyncio.get_running_loop().call_soon(going_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


# Rows that need no file -------------------------------------------------------------------------------------


async def test_rows_that_are_known_to_be_single_are_not_looked_for_twice(load: Loading) -> None:
    reads: list[int] = []

    def read() -> Any:
        reads.append(1)
        yield Line(1, b'{"external_id": "T1", "transacted_at": "2026-10-01", "total": 5}')
        yield Rejection(2, {"": "is not UTF-8"})

    club = load.club
    summary = await bulk.load(
        club.database, club.server.committers, club.community.id, "transactions", read, Options(single=True)
    )
    assert (counts(summary), reads) == ((1, 0, 1), [1])


async def test_many_rejections_are_counted_and_the_first_are_kept(load: Loading) -> None:
    content = "external_id,birth_year\n" + "".join(f"M{number},0\n" for number in range(bulk.KEPT_REJECTIONS + 5))
    summary = await load("profiles", content, batch_rows=100)
    assert counts(summary) == (0, 0, bulk.KEPT_REJECTIONS + 5)
    assert [each.line for each in summary.rejections] == list(range(2, bulk.KEPT_REJECTIONS + 2))


async def test_after_many_rows_the_database_knows_how_many_there_are(load: Loading) -> None:
    rows = "".join(f"{load.club.community.slug}-{number}\n" for number in range(5 * bulk.MANY_ROWS))
    summary = await load("locations", "external_id\n" + rows, batch_rows=bulk.MANY_ROWS)
    assert counts(summary) == (5 * bulk.MANY_ROWS, 0, 0)
    async with load.club.database.unscoped() as connection:
        assert await connection.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'locations'") > 0
