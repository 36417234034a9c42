"""Reports of transactions over files say what a plain recount says, and what the live store says that was there."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pytest
import pytest_asyncio

from aggregations.histories import ZONES
from api.transaction_client import V3, create_transaction, item_fields, sale
from clubs import Club, ManualClock, create_club
from engines import purchase_recount
from engines.input_tables import one_row_per_line
from engines.random_clubs import random_club as generated
from hypothesis_settings import SEED, examples
from oracle import Community, Facts
from regulars.facts import purchases
from regulars.model.community import NewCommunity
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.query import local_buckets
from regulars.query.backends import Backends
from regulars.query.execute import execute
from regulars.query.parser.request import parse_query
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage.database import Database
from reports.purchase_recount import measure
from reports.transaction_queries import by_bucket, by_label, tenant_of

_numbers = itertools.count(1)
Json = dict[str, Any]
Means = Callable[[Json], bool]

FIELDS = [
    None, "location", "channel", "brand", "gender", "age", "dimension_frequency", "dimension_recency",
    "dimension_join",
]  # fmt: skip
DAYS = {Interval.MINUTES_5: 0.2, Interval.HOUR: 1.5, Interval.DAY: 40, Interval.WEEK: 200, Interval.MONTH: 600}
FILTERS: list[tuple[Json | None, Means]] = [
    (None, lambda each: True),
    ({"type": "in", "field": "gender", "value": ["female", None]}, lambda each: each["gender"] in ("female", None)),
    (
        {
            "type": "and",
            "operations": [
                {"type": "not_equal", "field": "dimension_frequency", "value": "F1"},
                {"type": "in", "field": "channel", "value": ["CO", "CF"]},
            ],
        },
        lambda each: each["dimension_frequency"] != "F1" and each["channel"] in ("CO", "CF"),
    ),
]


def written(at: datetime) -> str:
    """An instant as a request has it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Request:
    """One request, and what it means."""

    report: str
    by: str | None
    only: Json | None
    means: Means
    start: datetime
    end: datetime
    interval: Interval | None = None

    @property
    def body(self) -> Json:
        """As it is sent."""
        body = {"report": self.report, "aggregate_by": self.by, "filter": self.only}
        body |= {"from": written(self.start), "to": written(self.end)}
        return body if self.interval is None else body | {"interval": self.interval.code}

    def rows_of(self, answer: Json) -> dict[Any, Json]:
        """An answer as values by label, or by bucket and label."""
        return by_label(answer) if self.interval is None else by_bucket(answer)

    def expected(self, purchases: Sequence[Json], now: datetime, zone: ZoneInfo) -> dict[Any, Json]:
        """The same of a recount."""
        if self.interval is None:
            measures = measure(purchases, self.start, self.end, now, self.by, only=self.means)
            return {key[1]: each for key, each in measures.items()}
        first, last = (local_buckets.bucket_start(each, self.interval, zone) for each in (self.start, self.end))
        bucket = partial(local_buckets.bucket_start, interval=self.interval, zone=zone)
        end = local_buckets.next_bucket_start(last, self.interval, zone)
        return measure(purchases, first, end, now, self.by, bucket, self.means)


def requests(chance: random.Random, now: datetime) -> list[Request]:
    """Both reports by each field, over ranges and in intervals that are drawn."""
    drawn = []
    for by in FIELDS:
        only, means = chance.choice(FILTERS)
        start = now - timedelta(minutes=chance.choice([3_000, 70_000, 1_500_000]))
        end = start + timedelta(minutes=chance.choice([3_000, 70_000, 3_000_000]))
        drawn.append(Request("transactions_stats", by, only, means, start, end))
        interval = chance.choice(ALL_INTERVALS)
        start = now - timedelta(days=DAYS[interval])
        drawn.append(Request("transactions_history", by, only, means, start, now, interval))
    return drawn


def differing(runner: Any, engine: str, zone: str, seed: int, profiles: int, number: int) -> list[Any]:
    """Where files of drawn facts say else than a recount of them, of so many requests."""
    chance, facts = random.Random(seed), generated(seed, profiles, Community(zone, "NOK")).facts
    if chance.random() < 0.3:
        # Without another currency amounts are made in another way.
        transactions = {id_: replace(transaction, currency=None) for id_, transaction in facts.transactions.items()}
        facts = replace(facts, transactions=transactions)
    instants = sorted(each.transacted_at for each in facts.transactions.values())
    # Most has happened, some of it just now.
    now = instants[len(instants) * chance.choice((6, 8, 9)) // 10] + timedelta(minutes=chance.choice((0, 1, 70)))
    buyers = purchase_recount.buyers(facts, chance)
    purchases = purchase_recount.recount(facts, buyers, now)
    drawn = chance.sample(requests(chance, now), number)
    tables = purchase_recount.as_tables(facts, buyers)
    if chance.random() < 0.5:
        tables["transactions"] = one_row_per_line(tables["transactions"])
    ask = purchase_recount.open_session(runner, engine, facts, tables, now, [each.body for each in drawn])
    pairs = [(each, each.rows_of(ask(each.body)), each.expected(purchases, now, ZoneInfo(zone))) for each in drawn]
    return [pair for pair in pairs if pair[1] != pair[2]]


@pytest.mark.parametrize("example", range(examples(2)))
def test_duckdb_reports_equal_a_recount(example: int) -> None:
    zone = ZONES[(SEED + example) % len(ZONES)]
    assert differing(DuckDBEngine(), "duckdb", zone, SEED + example, 100, 18) == []


@pytest.mark.long
def test_spark_reports_equal_a_recount(spark: Any) -> None:
    from regulars.offline.engines.spark import SparkEngine

    assert differing(SparkEngine(spark), "spark", ZONES[SEED % len(ZONES)], SEED, 40, 6) == []
    spark.catalog.clearCache()


# The live store --------------------------------------------------------------------------------------------------


class Shops:
    """A club in which things are bought one after another, each at its time; and the same as tables."""

    def __init__(self, club: Club, chance: random.Random) -> None:
        self.club = club
        self.chance = chance
        self.places: dict[str, int] = {}
        self.tables: dict[str, list[Json]] = {"profiles": [], "transactions": [], "locations": [], "products": []}

    async def begin(self) -> None:
        """Places, products and the first members."""
        for number, kind in enumerate(("online", "store", None)):
            place = f"M{number}"
            location = {"external_id": place, "type": kind}
            created = await self._create("locations", {**location, "name": "A place"})
            self.places[place] = created["id"]
            self.tables["locations"].append(location)
        product: Json = {"external_id": "P", "brand": "Own", "variants": [{"sku": "S"}]}
        await self._create("products", {**product, "name": "A thing"})
        self.tables["products"].append(product)
        for _ in range(3):
            await self.join()

    async def join(self) -> None:
        """A profile becomes a member, in some cases with a date of joining long ago."""
        pick = self.chance.choice
        number, now = len(self.tables["profiles"]), self.club.clock.at
        body: Json = {
            "external_id": f"C{number}",
            "gender": pick([None, "female", "male"]),
            "birth_year": pick([None, 1950, 1987, 2010]),
            "birth_month": pick([None, 2, 11]),
            "joined_at": pick([None, written(now), written(now - timedelta(days=360))]),
        }
        created = await self._create("profiles", body)
        self.tables["profiles"].append(body | {"id": created["id"]})

    async def buy(self) -> None:
        """Something is bought or given back, now."""
        pick, now = self.chance.choice, self.club.clock.at
        owner: Json | None = pick([None, *self.tables["profiles"]])
        place, location_id = pick([(None, None), *self.places.items()])
        items = [
            item_fields(
                brand=pick([None, "A", "B"]),
                sku=pick([None, "S"]),
                price_sell=pick(["10", "0.05", "3.333"]),
                quantity=pick([1, 2, -1]),
                is_void=self.chance.random() < 0.2,
            )
            for _ in range(self.chance.randint(1, 3))
        ]
        body: Json = {
            "external_id": f"T{len(self.tables['transactions'])}",
            "is_void": self.chance.random() < 0.1,
            "systems": pick([[], ["pos"], ["web", "POS"], ["other"]]),
            "items": items,
        }
        body |= pick([{}, {}, {"currency": "EUR", "currency_rate": pick(["10.125", "11"])}])
        total = pick(["100", "35.55", "-20", "0", "0.01"])
        references = {"profile_id": owner and owner["id"], "location_id": location_id}
        await create_transaction(self.club, sale(total, now.strftime("%Y-%m-%d %H:%M:%S"), **body, **references))
        columns = {"profile": owner and owner["external_id"], "location": place, "transacted_at": written(now)}
        # As the request has it: a purchase belongs to its day there, not to that of the community.
        self.tables["transactions"].append(body | columns | {"timezone": "UTC", "total": total})

    async def _create(self, what: str, body: Json) -> Json:
        answer = await self.club.http.post(f"{V3}/{what}", json=body)
        assert answer.status_code == 201, answer.text
        created: Json = answer.json()["data"]
        return created

    def as_tables(self) -> dict[str, pa.Table]:
        """What happened as tables, of texts; lists as their JSON."""
        return {name: _as_table(rows) for name, rows in self.tables.items()}

    async def answer(self, body: Json) -> Json:
        """What the API says."""
        query = parse_query(msgspec.json.encode(body), REPORTS_BY_NAME)
        return await execute(query, (tenant_of(self.club.community),), Backends(self.club.database), self.club.clock.at)

    def located(self, measures: dict[Any, Json]) -> dict[Any, Json]:
        """Values by location, by what files call it."""
        names: dict[Any, str] = {number: name for name, number in self.places.items()}
        return {
            (key[0], names.get(key[1])) if isinstance(key, tuple) else names.get(key): each
            for key, each in measures.items()
        }


def _as_table(rows: Sequence[Json]) -> pa.Table:
    def text(value: Any) -> str | None:
        return None if value is None else json.dumps(value) if isinstance(value, list) else str(value)

    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([text(row.get(name)) for row in rows], pa.string()) for name in names})


@pytest_asyncio.fixture
async def shops(database: Database, clock: ManualClock) -> AsyncIterator[Shops]:
    """A club of two years, half of it compacted."""
    clock.at = datetime(2024, 10, 1, 8, tzinfo=UTC)
    name = f"shops-{next(_numbers)}"
    async for club in create_club(database, clock, NewCommunity(name, "Shops", "NO", "Europe/Oslo", "NOK")):
        shops = Shops(club, random.Random(SEED))
        await shops.begin()
        for number in range(30):
            clock.advance(minutes=shops.chance.choice((1, 30, 700, 3_000, 60_000)))
            if shops.chance.random() < 0.1:
                await shops.join()
            await shops.buy()
            if number == 15:
                await purchases.compact_pending(club.database, club.community.id)
        yield shops


@pytest.mark.slow
async def test_reports_over_files_equal_those_of_a_server_that_received_each_purchase_in_time(shops: Shops) -> None:
    now = shops.club.clock.at
    drawn = [each for _ in range(3) for each in requests(shops.chance, now)]
    facts = Facts(Community("Europe/Oslo", "NOK"), {}, {}, {}, {})
    ask = purchase_recount.open_session(
        DuckDBEngine(), "duckdb", facts, shops.as_tables(), now, [each.body for each in drawn]
    )
    wrong = []
    for each in drawn:
        live = each.rows_of(await shops.answer(each.body))
        live = shops.located(live) if each.by == "location" else live
        computed = each.rows_of(ask(each.body))
        wrong += [] if computed == live else [(each, computed, live)]
    assert wrong == []
