"""The rows of the mall club go in as any others do, and are reported."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from clubs import Club
from regulars.cli import demo
from regulars.demo.mall import mall
from regulars.demo.rows import (
    LinkVisitRecord,
    OfferEventRecord,
    OfferRecord,
    ProfileRecord,
    SendingEventRecord,
    SendingRecord,
    TransactionRecord,
)
from regulars.ingest.group_commit import GroupCommitter
from regulars.model.community import NewCommunity
from regulars.query.parser.request import parse_query
from regulars.reports.registry import REPORTS_BY_NAME
from reports.sending_recount import SendingClub

MEMBERS = 60


def new(club: Club) -> NewCommunity:
    """The community of a club of the tests, to be loaded as the demo does it."""
    community = club.community
    return NewCommunity(
        slug=community.slug,
        name="Mall",
        country=community.country,
        timezone=community.timezone,
        currency=community.currency,
    )


async def test_every_entity_loads_whole_and_is_reported(
    club: Club,
    capsys: pytest.CaptureFixture[str],
    profiles: dict[str, ProfileRecord],
    receipts: list[TransactionRecord],
    sendings: dict[str, SendingRecord],
    sending_events: list[SendingEventRecord],
    offers: dict[str, OfferRecord],
    offer_events: list[OfferEventRecord],
    link_visits: list[LinkVisitRecord],
) -> None:
    members = set(list(profiles)[:MEMBERS])

    def of_members(rows: Iterable[Any]) -> list[Any]:
        return [row for row in rows if row["profile"] in members]

    tables: dict[str, list[Any]] = {
        "locations": list(mall.locations()),
        "profiles": list(profiles.values())[:MEMBERS],
        "transactions": of_members(receipts),
        "sendings": list(sendings.values()),
        "sending_events": of_members(sending_events),
        "offer_collections": list(mall.offer_collections()),
        "offers": list(offers.values()),
        "offer_events": of_members(offer_events),
        "link_visits": of_members(link_visits),
    }
    rows: dict[str, demo.Rows] = {entity: lambda each=each: each for entity, each in tables.items()}  # type: ignore[misc]
    await demo.load_club(club.database, GroupCommitter(club.database, 5_000), demo.DemoClub(new(club), rows))
    assert capsys.readouterr().out.splitlines() == [f"Mall: {len(each):,} {entity}" for entity, each in tables.items()]

    post = SendingClub(club)
    year = {"from": "2026-01-01", "to": "2026-07-02"}
    (sent,) = (await post.query("sendings_stats", **year))["statistics"]
    assert sent["values"]["transmitted"] == sum(row["event"] == "transmitted" for row in tables["sending_events"])
    (used,) = (await post.query("offers_usages_stats", **year))["statistics"]
    assert used["values"]["used"] == sum(row["event"] == "used" for row in tables["offer_events"])
    (visited,) = (await post.query("links_visits_stats", **year))["statistics"]
    assert visited["values"]["visits"] == len(tables["link_visits"])


async def test_existing_data_is_left_unchanged_and_missing_data_is_loaded(
    club: Club, capsys: pytest.CaptureFixture[str]
) -> None:
    committers = GroupCommitter(club.database, 5_000)
    first = demo.DemoClub(new(club), {"locations": mall.locations})
    await demo.load_club(club.database, committers, first)
    assert capsys.readouterr().out == "Mall: 102 locations\n"
    await demo.load_club(club.database, committers, first)
    assert not capsys.readouterr().out
    both = replace(first, rows={**first.rows, "offer_collections": mall.offer_collections})
    await demo.load_club(club.database, committers, both)
    assert capsys.readouterr().out == "Mall: 7 offer_collections\n"


def test_the_example_queries_are_valid_requests(club: Club) -> None:
    begun = replace(club.community, attributes={"demo": "small 2026-07-01T12:00:00+00:00"})
    lines = demo.example_queries(demo.LoadedDemo([demo.LoadedClub(begun, "", "")] * 2, "", []), "regulars query")
    queries = [
        parse_query(body.encode(), REPORTS_BY_NAME) for line in lines for body in re.findall(r"'(\{.*\})'", line)
    ]
    assert [each.report.name for each in queries] == [
        "sendings",
        "sendings_stats",
        "sendings_links",
        "links_visits_stats",
        "offers_collections",
        "offers_usages_stats",
    ]
    assert "2606251" in "".join(lines)
