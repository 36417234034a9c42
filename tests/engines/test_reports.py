"""Reports over files say what the live store says of the same members, on every engine."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clubs import Club, ManualClock, create_club
from engines.random_profiles import as_tables, load, random_profiles
from hypothesis_settings import SEED
from loading.file_loader import FileLoader
from query.replica_client import tenant_of
from regulars.model.community import NewCommunity
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.registration import InputReading
from regulars.offline.report import open_report_session, parse_offline_query
from regulars.offline.report_relations import ReportContext, RequiredRelations
from regulars.query.backends import Backends
from regulars.query.execute import execute
from regulars.query.parser.request import parse_query
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups.compaction import compact
from regulars.storage.database import Database
from reports import random_members

_numbers = itertools.count(1)

Body = dict[str, Any]
_encoder = msgspec.json.Encoder(decimal_format="number")

RANGE = {"from": "2025-10-20T00:00:00", "to": "2026-11-01T00:00:00"}
SHORT = {"from": "2026-10-24T12:00:00", "to": "2026-10-26T04:00:00"}


def requests(chance: random.Random) -> list[Body]:
    """One of each kind: records, groups, series, in several intervals, filtered at random."""
    trees = [random_members.random_filter(chance) for _ in range(4)]
    gender = {"type": "in", "field": "gender", "value": ["female", None]}
    kind = {"type": "in", "field": "grouping_type", "value": ["gender", "country", "consent_true"]}
    return [
        {"report": "members"},
        {"report": "members", "filter": trees[0]},
        *({"report": "members_count", "filter": each} for each in trees),
        *(
            {"report": "members_count", "aggregate_by": f"by_{name}"}
            for name in ("consents", "age", "country", "favorite_store", "marketing_via_anything")
        ),
        {"report": "member_aggregations"},
        {"report": "member_aggregations", "aggregate_by": "by_recency_and_frequency"},
        {"report": "members_grouped_count"},
        {"report": "members_count_history", "interval": "1mo", "aggregate_by": "total", **RANGE},
        {"report": "members_count_history", "interval": "1mo", "filter": kind, **RANGE},
        {"report": "members_count_history", "interval": "1h", "filter": kind, **SHORT},
        {"report": "member_balance", "interval": "1w", **RANGE},
        {"report": "member_balance", "interval": "1mo", "aggregate_by": "consents", **RANGE},
        {"report": "member_balance", "interval": "1d", "aggregate_by": "age", "filter": gender, **SHORT},
        {"report": "member_balance", "interval": "1mo", "aggregate_by": "total", **RANGE},
    ]


ON_SPARK: list[Body] = [
    {
        "report": "members_count",
        "aggregate_by": "by_consents",
        "filter": {
            "type": "or",
            "operations": [
                {"type": "equal", "field": "properties.language", "value": "no"},
                {"type": "in", "field": "subunit_ids", "value": [2, None]},
                {"type": "starts_with", "field": "optin_channel", "value": "web"},
                {"type": "greater_than", "field": "properties.size", "value": 40},
                {"type": "in", "field": "properties.vip", "value": [True, None, "yes"]},
                {"type": "equal", "field": "marketing_via_anything", "value": True},
            ],
        },
    },
    {"report": "members"},
    {"report": "members_count_history", "interval": "1mo", **RANGE},
    {"report": "member_balance", "interval": "1w", "aggregate_by": "age", **RANGE},
]


class Both:
    """A club that is queried live and in files."""

    def __init__(self, club: Club, tables: dict[str, Any]) -> None:
        self._club = club
        self._tables = tables
        self._stores = Backends(club.database, ReplicaCache(club.database, 200))

    async def live(self, body: Body) -> Any:
        """What the API would answer."""
        query = parse_query(
            msgspec.json.encode(body | ({"limit": 10_000} if "from" not in body else {})), REPORTS_BY_NAME
        )
        return _comparable(await execute(query, (tenant_of(self._club),), self._stores, self._club.clock()))

    def computed(self, bodies: list[Body], engine: str, runner: Any) -> list[Any]:
        """What files say to requests, of relations that are made once."""
        queries = [parse_offline_query(body, engine) for body in bodies]
        needs = RequiredRelations(
            values=any(RequiredRelations.for_query(each).values for each in queries),
            country=any(RequiredRelations.for_query(each).country for each in queries),
        )
        it = self._club.community
        context = ReportContext(it.timezone, it.currency, self._club.clock(), it.id)
        opened = open_report_session(runner, self._tables, needs, context, InputReading(), lambda stage: None)
        return [_comparable(opened.execute(each)) for each in queries]

    async def differing(self, bodies: list[Body], engine: str, runner: Any) -> dict[str, list[str]]:
        """Where files say else than the API, by request, the first of each."""
        computed = self.computed(bodies, engine, runner)
        wrong = [differing(each, await self.live(body)) for each, body in zip(computed, bodies, strict=True)]
        return {str(body): each[:5] for body, each in zip(bodies, wrong, strict=True) if each}


def _comparable(answer: Any) -> Any:
    """Plain values, without what only one side knows: pages, places by their numbers, the commit that counted."""
    decoded = msgspec.json.decode(_encoder.encode(answer))
    decoded.pop("pagination", None)
    for each in decoded.get("records", ()):
        if "grouping_type" in each:
            each.pop("updated_at", None)
        for name in [name for name in each if "location" in name or name == "store_join"]:
            del each[name]
    return decoded


@pytest_asyncio.fixture(params=["Europe/Oslo", "America/St_Johns"])
async def both(
    request: pytest.FixtureRequest, database: Database, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Both]:
    """A club in a zone, loaded and compacted."""
    slug = f"both-{request.param.rpartition('/')[2].lower()}-{next(_numbers)}"
    async for club in create_club(database, clock, NewCommunity(slug, "Both", "NO", request.param, "NOK")):
        loading = FileLoader(club, tmp_path)
        await loading("locations", "external_id\nS1\nS2\nS3")
        rows = await _fetch(club, "SELECT id FROM locations WHERE community_id = $1 ORDER BY id")
        club_drawn = random_profiles(random.Random(SEED), [row["id"] for row in rows], 40)
        await load(club, loading, club_drawn)
        await compact(club.database, club.community.id)
        yield Both(club, await as_tables(club, club_drawn))


async def _fetch(club: Club, statement: str) -> Any:
    async with club.database.read_transaction(club.community.id) as scope:
        return await scope.fetch(statement, club.community.id)


def differing(computed: Any, expected: Any, at: str = "") -> list[str]:
    """Where two answers differ: path, what was computed, what was expected."""
    if isinstance(computed, dict) and isinstance(expected, dict):
        keys = dict.fromkeys((*computed, *expected))
        return [each for key in keys for each in differing(computed.get(key), expected.get(key), f"{at}.{key}")]
    if isinstance(computed, list) and isinstance(expected, list) and len(computed) == len(expected):
        return [
            each
            for place in range(len(computed))
            for each in differing(computed[place], expected[place], f"{at}.{place}")
        ]
    return [] if computed == expected else [f"{at}: {computed!r} != {expected!r}"]


async def test_duckdb_reports_equal_those_of_the_api(both: Both) -> None:
    assert await both.differing(requests(random.Random(SEED)), "duckdb", DuckDBEngine()) == {}


@pytest.mark.parametrize("both", ["Europe/Oslo"], indirect=True)
async def test_spark_reports_equal_those_of_the_api(both: Both, spark: Any) -> None:
    from regulars.offline.engines.spark import SparkEngine

    assert await both.differing(ON_SPARK, "spark", SparkEngine(spark)) == {}
    spark.catalog.clearCache()
