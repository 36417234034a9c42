"""Purchases in reports equal a plain recount, for random changes, compacted or not."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from api.transaction_client import V3, create_profile, create_transaction, item_fields, sale
from clubs import Club, ManualClock, create_club
from hypothesis_settings import SEED, examples
from regulars.facts import purchases
from regulars.model.community import NewCommunity
from regulars.query import local_buckets
from regulars.query.query import Comparison, LogicalNode
from regulars.reports.transactions import TRANSACTIONS_STATS
from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage.database import Database
from regulars.verify.verify import Discrepancy, verify
from reports.purchase_recount import PurchaseRecount
from reports.transaction_queries import query_statistics, query_timeseries

_numbers = itertools.count(1)
OSLO = ZoneInfo("Europe/Oslo")
FIELDS = [
    None, "location", "channel", "brand", "gender", "age", "dimension_frequency", "dimension_recency",
    "dimension_join",
]  # fmt: skip
LENGTHS = {Interval.MINUTES_5: 0.4, Interval.HOUR: 5, Interval.DAY: 140, Interval.WEEK: 700, Interval.MONTH: 900}


@pytest_asyncio.fixture
async def oslo(database: Database, clock: ManualClock) -> AsyncIterator[Club]:
    """A club whose clocks were put back a week ago."""
    name = f"oslo-buys-{next(_numbers)}"
    async for made in create_club(database, clock, NewCommunity(name, "Oslo", "NO", "Europe/Oslo", "NOK")):
        yield made


class World:
    """A club in which things are bought, one commit each, and a plain recount of it."""

    def __init__(self, club: Club, seed: int) -> None:
        self.club = club
        self.random = random.Random(seed)
        self.bought = PurchaseRecount(club.community)
        self.members: list[str] = []
        self.places: list[int] = []
        self.receipts = 0

    async def begin(self) -> None:
        """Places and the first members."""
        for kind in ("online", "store", None):
            body = {"external_code": f"M{len(self.places)}", "name": "A place", "type": kind}
            answer = await self.club.http.post(f"{V3}/locations", json=body)
            assert answer.status_code == 201, answer.text
            self.places.append(answer.json()["data"]["id"])
        for _ in range(3):
            await self.join()

    async def join(self) -> None:
        """A profile becomes a member."""
        pick = self.random
        born = {"birth_year": pick.choice([1950, 1987, 2015]), "birth_month": pick.choice([None, 2, 11])}
        self.members.append(await create_profile(self.club, gender=pick.choice([None, "female", "male"]), **born))

    def some_time(self) -> str:
        """Now, recently, long ago, or soon."""
        minutes = self.random.choice([-40, 0, 3, 70, 200, 2_000, 11_000, 12_000, 60_000, 900_000])
        at = self.club.clock.at - timedelta(minutes=minutes, seconds=self.random.randint(0, 50))
        return at.strftime("%Y-%m-%d %H:%M:%S")

    def transaction(self) -> dict[str, Any]:
        """Something that may be bought."""
        pick = self.random
        more: dict[str, Any] = {
            "items": [
                item_fields(
                    brand=pick.choice([None, "A", "B", "C"]),
                    price_sell=pick.choice(["10", "0.05", "3.333"]),
                    quantity=pick.choice([1, 2, -1]),
                    is_void=pick.random() < 0.2,
                )
                for _ in range(pick.randint(1, 3))
            ],
            "is_void": pick.random() < 0.1,
            "external_id": pick.choice([None, f"t{pick.randint(1, 12)}"]),
            "location_id": pick.choice([None, *self.places]),
            "systems": pick.choice([[], ["pos"], ["web", "POS"], ["other"]]),
            "profile_id": pick.choice([None, *self.members]),
        }
        if pick.random() < 0.3:
            more |= {"currency": "EUR", "currency_rate": pick.choice(["10.125", "11"])}
        return sale(pick.choice(["100", "35.55", "-20", "0", "0.01"]), self.some_time(), **more)

    async def happen(self) -> None:
        """One thing happens."""
        http, pick = self.club.http, self.random
        what = pick.choice(["sale", "sale", "sale", "sale", "again", "again", *"CVDJMPG"])
        known = [each["id"] for each in self.bought.transactions]
        if what in ("again", "V", "D") and not known:
            what = "sale"
        if what == "sale":
            answer = await http.post(f"{V3}/transactions/update-create", json=self.transaction())
            assert answer.status_code in (200, 201), answer.text
        elif what == "again":
            body = self.transaction()
            names = pick.sample(sorted(body), pick.randint(1, 4))
            body = {name: body[name] for name in names if not name.startswith(("external_id", "currency"))}
            answer = await http.put(f"{V3}/transactions/{pick.choice(known)}", json=body)
            assert answer.status_code == 200, answer.text
        elif what == "V":
            await http.put(f"{V3}/transactions/{pick.choice(known)}", json={"is_void": pick.random() < 0.7})
        elif what == "D":
            await http.delete(f"{V3}/transactions/{pick.choice(known)}")
        elif what == "J" or len(self.members) < 3:
            await self.join()
        elif what == "G":
            body = {"gender": pick.choice(["female", "male"])}
            await http.put(f"{V3}/profiles/{pick.choice(self.members)}", json=body)
        elif what == "P":
            gone = self.members.pop(pick.randrange(len(self.members)))
            assert (await http.delete(f"{V3}/profiles/{gone}/purge")).status_code == 204
        elif what == "M":
            source = self.members.pop(pick.randrange(len(self.members)))
            body = {"source_profile_id": source, "destination_profile_id": pick.choice(self.members)}
            answer = await http.post(f"{V3}/profiles/merge", json=body)
            assert answer.status_code < 300, answer.text
        else:
            await self.claim()

    async def claim(self) -> None:
        """A purchase without a profile, which a profile claims by its receipt."""
        self.receipts += 1
        at, number = self.some_time(), f"r{self.receipts}"
        body = sale(7, at, receipt_ref=number, location_id=self.places[1], timezone="UTC")
        await create_transaction(self.club, body)
        await self.bought.read(self.club.database)
        said = {
            "transaction_receipt_ref": number,
            "transaction_transacted_at": at,
            "transaction_timezone": "UTC",
            "transaction_total": 7,
            "transaction_location_external_code": "M1",
        }
        owner = self.random.choice(self.members)
        answer = await self.club.http.post(f"{V3}/profiles/{owner}/transactions/claims", json=said)
        assert answer.status_code in (200, 201), answer.text

    async def pass_on(self) -> None:
        """One thing happens, and some time passes."""
        await self.happen()
        await self.bought.read(self.club.database)
        chance = self.random.random()
        if chance < 0.15:
            await purchases.compact(self.club.database, self.club.community.id)
        elif chance < 0.2:
            await purchases.compact_pending(self.club.database, self.club.community.id)
        if self.random.random() < 0.5:
            self.club.clock.advance(minutes=self.random.choice([1, 30, 700]))

    async def check(self) -> None:
        """Both reports equal a recount over random ranges, by every field."""
        for by in FIELDS:
            await self.check_stats(by)
            await self.check_series(by)

    def some_filter(self, by: str | None) -> tuple[Any, Any]:
        """A filter, and what it means."""
        pick = self.random.random()
        if pick < 0.6:
            return None, lambda each: True
        gender = TRANSACTIONS_STATS.fields_by_name["gender"]
        if pick < 0.8 or by == "brand":
            return Comparison("equal", gender, None, "female"), lambda each: each["gender"] == "female"
        channel = TRANSACTIONS_STATS.fields_by_name["channel"]
        both = (Comparison("in", channel, None, ("CO", "CF")), Comparison("not_equal", gender, None, "male"))
        return LogicalNode("and", both), lambda each: each["channel"] in ("CO", "CF") and each["gender"] != "male"

    async def check_stats(self, by: str | None) -> None:
        now = self.club.clock.at
        start = now - timedelta(minutes=self.random.choice([0, 30, 3_000, 70_000, 1_000_000]))
        end = start + timedelta(minutes=self.random.choice([0, 3_000, 70_000, 100_000_000]))
        only, means = self.some_filter(by)
        expected = {key[1]: values for key, values in self.bought.measure(start, end, now, by, only=means).items()}
        assert await query_statistics(self.club, start, end, by, only) == expected, (by, start, end)

    async def check_series(self, by: str | None) -> None:
        now = self.club.clock.at
        interval = self.random.choice(ALL_INTERVALS)
        end = now - timedelta(days=self.random.choice([-1, 0, 3]) if interval is not Interval.MINUTES_5 else 0)
        start = end - timedelta(days=LENGTHS[interval])
        first = local_buckets.bucket_start(start, interval, OSLO)
        last = local_buckets.next_bucket_start(local_buckets.bucket_start(end, interval, OSLO), interval, OSLO)
        only, means = self.some_filter(by)
        expected = self.bought.measure(
            first, last, now, by, lambda at: local_buckets.bucket_start(at, interval, OSLO), only=means
        )
        assert await query_timeseries(self.club, interval, start, end, by, only) == expected, (by, interval, start, end)


@pytest.mark.slow
@pytest.mark.parametrize("example", range(examples(1)))
async def test_both_reports_equal_a_recount_of_random_purchases(oslo: Club, example: int) -> None:
    world = World(oslo, SEED + example)
    await world.begin()
    for _ in range(3):
        for _ in range(15):
            await world.pass_on()
        await world.check()
        await purchases.compact(oslo.database, oslo.community.id)
        await world.check()
    reported = [each async for each in verify(oslo.database, oslo.community.id)]
    assert [str(each) for each in reported if isinstance(each, Discrepancy)] == []


async def test_shuffled_and_repeated_transactions_give_the_same_counts(oslo: Club) -> None:
    world = World(oslo, SEED)
    await world.begin()
    stream = [world.transaction() | {"external_id": f"t{number}"} for number in range(12)]
    for body in stream:
        # Lines that have no name of their own are other lines each time.
        body["items"] = [each | {"external_id": f"l{number}"} for number, each in enumerate(body["items"])]
    answers = []
    year = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    for _ in range(2):
        for body in [*stream, *stream[:4]]:
            answer = await oslo.http.post(f"{V3}/transactions/update-create", json=body)
            assert answer.status_code in (200, 201), answer.text
        answers.append(
            [await query_statistics(oslo, *year, by) for by in (None, "location", "channel", "brand", "gender")]
        )
        await world.bought.read(oslo.database)
        assert len(world.bought.transactions) == len(stream)
        for each in world.bought.transactions:
            await oslo.http.delete(f"{V3}/transactions/{each['id']}")
        await purchases.compact(oslo.database, oslo.community.id)
        world.random.shuffle(stream)
    assert answers[0] == answers[1]


async def test_readers_see_whole_commits_during_writes_and_compaction(oslo: Club) -> None:
    seen: list[tuple[int, int]] = []
    done = asyncio.Event()
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

    async def folder() -> None:
        while not done.is_set():
            await purchases.compact(oslo.database, oslo.community.id)

    async def reader() -> None:
        while not done.is_set():
            found = await query_statistics(oslo, *year)
            seen.append((found[None]["transactions"], found[None]["members"]) if found else (0, 0))

    async def writer() -> None:
        for _ in range(6):
            who = await create_profile(oslo)
            made = await create_transaction(oslo, sale(10, profile_id=who))
            await oslo.http.put(f"{V3}/transactions/{made['id']}", json={"total": 5})

    others = [asyncio.create_task(each()) for each in (folder, reader)]
    await asyncio.gather(*(writer() for _ in range(3)))
    done.set()
    await asyncio.gather(*others)
    assert seen == sorted(seen)
    assert all(sales == members for sales, members in seen)
    for _ in range(2):
        assert (await query_statistics(oslo, *year))[None]["members"] == 18
        assert str((await query_statistics(oslo, *year))[None]["net_amount"]) == "90.00"
        await purchases.compact(oslo.database, oslo.community.id)
