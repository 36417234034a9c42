"""Visits of links as they come in: one by one, in a bucket with many others, wrong, early, and twice."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from clubs import START, Club
from loading.file_loader import outcome_counts, reasons_by_line
from regulars.core.field_type import FieldType
from regulars.facts.link_visits import SEGMENT_SIZE
from reports.sending_recount import SendingClub
from reports.test_maintenance import differences
from reports.visit_recount import SENDINGS, WHOLE_RANGE, make_visit


@pytest.fixture
def post(club: Club) -> SendingClub:
    """A club whose links are visited."""
    return SendingClub(club)


async def test_a_write_creates_missing_partitions(post: SendingClub) -> None:
    post.club.clock.advance(days=400)
    at = (post.club.clock() - timedelta(hours=1)).isoformat()
    assert outcome_counts(await post.load("link_visits", [make_visit(1) | {"at": at}])) == (1, 0, 0)
    found = await post.query_timeseries("links_visits_history", **{"from": at, "to": at, "interval": "5m"})
    assert found[("visits",)] == {"2027-12-05T23:00:00.000+00:00": 1}


async def test_visits_of_a_bucket_are_stored_in_segments(post: SendingClub) -> None:
    number = 5 * SEGMENT_SIZE
    for start in range(0, number, 100):
        visits = [make_visit(n, visitor=f"k{n % 300}") for n in range(start, min(start + 100, number))]
        await post.load("link_visits", visits)
    (found,) = (await post.query("links_visits_stats", **WHOLE_RANGE))["statistics"]
    assert found["values"] == {"visits": number, "unique_visits": 300}
    async with post.club.database.read_transaction(post.club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT visits FROM link_rollups WHERE community_id = $1 AND granularity = '1mo'", scope.community_id
        )
    assert [row["visits"] for row in rows] == [SEGMENT_SIZE] * 5
    assert await differences(post.club) == []


async def test_many_visitors_of_one_link_are_counted_exactly(post: SendingClub) -> None:
    visits = [make_visit(n, visitor=f"k{n % 2_000}") for n in range(5_000)]
    await post.load("link_visits", visits)
    (found,) = (await post.query("links_visits_stats", **WHOLE_RANGE))["statistics"]
    assert found["values"] == {"visits": 5_000, "unique_visits": 2_000}


async def test_a_repeated_visit_changes_nothing(post: SendingClub) -> None:
    visits = [make_visit(1), make_visit(2), make_visit(1)]
    assert outcome_counts(await post.load("link_visits", visits)) == (2, 1, 0)
    assert outcome_counts(await post.load("link_visits", visits)) == (0, 3, 0)


async def test_visits_that_arrive_before_their_sending_are_reported_with_it(post: SendingClub) -> None:
    await post.load("link_visits", [make_visit(1, sending="S1"), make_visit(2, offer="O1")])
    assert (await post.query("sendings_links_stats"))["records"] == []
    shown = await post.query("links_visits_stats", aggregate_by="source_id", **WHOLE_RANGE)
    assert [each["label"] for each in shown["statistics"]] == [{"source_id": "O1"}]
    await post.load("sendings", [SENDINGS["S1"]])
    (record,) = (await post.query("sendings_links_stats"))["records"]
    assert list(record) == ["loyalty_club_id", "source_id", "visits_count", "unique_visits_count"]
    assert (record["source_id"], record["visits_count"], record["unique_visits_count"]) == ("41", 1, 1)
    (record,) = (await post.query("sendings_links"))["records"]
    assert list(record) == [
        "loyalty_club_id", "source_id", "host", "path", "utm_campaign", "utm_content", "utm_medium", "utm_source",
        "utm_term", "visits_count", "unique_visits_count",
    ]  # fmt: skip


async def test_an_invalid_visit_is_rejected_with_its_reason(post: SendingClub) -> None:
    summary = await post.load(
        "link_visits",
        [
            make_visit(1, url="shop.example/boots"),
            make_visit(2, url="https://a.example/" + "x" * 10_240),
            make_visit(3, url="https://a.example/" + "x" * 2_048),
            make_visit(4, url="https://" + "x" * 10_240),
            make_visit(5, url="https://a.example/?utm_term=" + "x" * 256),
            make_visit(6, url="https://a.example/?utm_term=%00"),
            make_visit(7, url="https://a.example/\0"),
            make_visit(8, profile="unknown"),
            make_visit(9, sending="S1", offer="O1"),
            make_visit(10) | {"at": (START + timedelta(days=2)).isoformat()},
            {"url": None},
            {"external_id": "E", "at": "yesterday"},
            b'{"url": "\xff"}',
            make_visit(14, host="a_example!"),
            make_visit(15, host="x." * 127 + "xx"),
            make_visit(16, at=(START + timedelta(hours=23)).isoformat()),
            make_visit(17, visitor="x" * 256),
        ],
    )
    assert outcome_counts(summary) == (1, 0, 16)
    no_url = "url must be a URL with a host, such as https://shop.example/autumn?utm_source=mail"
    assert reasons_by_line(summary) == {
        1: no_url,
        2: "url must be a text of at most 8192 characters",
        3: "url has a path of more than 2048 characters",
        4: "url must be a text of at most 8192 characters",
        5: "url has a utm_term of more than 255 characters",
        6: "url must not hold a NUL character",
        7: "url must not hold a NUL character",
        8: "profile There is no profile unknown",
        9: "offer stands beside a sending: a visit comes from one of them",
        10: "at lies more than a day ahead: set the clock that it comes from",
        11: "external_id is required; at is required; host is required, or else a url",
        12: f"at must be {FieldType.TIMESTAMP.input_format}, not 'yesterday'",
        13: "is not UTF-8 (--encoding states another encoding)",
        14: "host must be the name of a host, such as shop.example",
        15: "host must be at most 253 characters, as the names of hosts are",
        17: "visitor must be a text of at most 255 characters",
    }


async def test_a_batch_of_rejected_visits_stores_nothing(post: SendingClub) -> None:
    assert outcome_counts(await post.load("link_visits", [make_visit(1, profile="unknown")])) == (0, 0, 1)


async def test_visits_are_imported_as_csv(post: SendingClub) -> None:
    content = (
        "external_id,at,url,host,path,utm_source,sending\n"
        "V1,2026-10-31 23:30,https://A.example/x?utm_source=mail&utm_term=t,,,,S1\n"
        "V2,2026-10-31 23:30,https://A.example/x?utm_source=mail&utm_term=t,b.example,/y?z#a,app,\n"
    )
    answer = await post.club.http.post(
        "/v1/import/link_visits", content=content, headers={"Content-Type": "text/csv; charset=utf-8"}
    )
    assert answer.json()["accepted"] == 2, answer.text
    async with post.club.database.read_transaction(post.club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT host, path, utm_source, utm_term FROM links WHERE community_id = $1 ORDER BY host",
            scope.community_id,
        )
    assert [tuple(row) for row in rows] == [("a.example", "/x", "mail", "t"), ("b.example", "/y", "app", "t")]


async def test_verify_finds_wrong_counts_of_visits(post: SendingClub) -> None:
    await post.load("profiles", [{"external_id": "M1"}])
    await post.load(
        "link_visits",
        [
            make_visit(1),
            make_visit(2, visitor=None),
            make_visit(3, sending="S1"),
            make_visit(4, profile="M1", offer="O"),
        ],
    )
    assert await differences(post.club) == []
    async with post.club.database.write_transaction(post.club.community.id) as scope:
        for statement in (
            "UPDATE link_rollups SET visits = 3 WHERE community_id = $1 AND granularity = '1w' AND visits = 2",
            "UPDATE link_rollups SET visitor_nos = int4send(9) WHERE community_id = $1 AND granularity = '1mo' AND visits = 2",
            "UPDATE sendings SET id = id + 1000 WHERE community_id = $1",
            "DELETE FROM links WHERE community_id = $1 AND offer_external_id = 'O'",
            "UPDATE link_visitors SET visitor_no = visitor_no + 6 WHERE community_id = $1 AND NOT is_profile AND visitor_no = 1",
            "UPDATE link_visitors SET visitor_hash = gen_random_uuid() WHERE community_id = $1 AND is_profile",
        ):
            await scope.execute(statement, scope.community_id)
    found = sorted(each.partition(": ")[2] for each in await differences(post.club))
    assert [re.sub(r"_id is stored as '[0-9a-f-]+'", "_id is stored as 'one'", each) for each in found] == [
        "link is stored as 'a row', expected None",
        "profile_id is stored as 'one', expected None",
        "sending_id is stored as 'one', expected None",
        "visitor is stored as 'a row', expected None",
        "visits in the 1mo from 2026-10-01 00:00:00+00 is stored as '0 by 1, 1 by 9', expected '1 by 1, 0 by 9'",
        "visits in the 1w from 2026-10-26 00:00:00+00 is stored as '2 by 0', expected '1 by 0'",
    ]
