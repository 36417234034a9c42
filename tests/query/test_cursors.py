"""Cursors hold with the question they came from, and with no other."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import Any

import pytest

from clubs import Club
from hypothesis_settings import SEED
from query.report_client import all_records, query_errors, query_records
from query.sample_reports import SAMPLES, SAMPLES_IN_DUCKDB
from query.sample_rows import SampleStore, create_samples, random_rows
from query.test_records import sample
from regulars.query.backends import Backends

FILTER = {"type": "not_equal", "field": "name", "value": "x"}


async def filled(club: Club) -> SampleStore:
    """Some rows in PostgreSQL."""
    of = create_samples(club, club.database)
    await of.insert([sample(number, name=f"n{number}", size="small") for number in range(6)])
    return of


async def cursor(of: SampleStore, **body: Any) -> str:
    """The cursor behind the first page."""
    answer = await query_records(of.backends, [of.tenant], "samples", limit=2, **body)
    found: str = answer["pagination"]["next_page_info"]
    return found


async def test_a_cursor_goes_on_where_the_page_ended_and_the_limit_may_change(club: Club) -> None:
    of = await filled(club)
    answer = await query_records(of.backends, [of.tenant], "samples", page_info=await cursor(of), limit=3)
    assert [each["id"] for each in answer["records"]] == [2, 3, 4]


async def test_a_cursor_holds_for_every_process_and_at_any_time(club: Club) -> None:
    of = await filled(club)
    found = await cursor(of)
    club.clock.advance(days=1000)
    answer = await query_records(Backends(club.database), [of.tenant], "samples", page_info=found)
    assert [each["id"] for each in answer["records"]] == [2, 3, 4, 5]


async def test_a_cursor_of_another_question_is_refused(club: Club, other_club: Club) -> None:
    of, other = await filled(club), await filled(other_club)
    plain, filtered = await cursor(of), await cursor(of, filter=FILTER)
    grouped = (await query_records(of.backends, [of.tenant], "samples", limit=1, aggregate_by="by_name"))["pagination"]
    for tenants, report, body in (
        ([of.tenant], "samples_in_duckdb", {"page_info": plain}),
        ([of.tenant], "samples", {"page_info": plain, "filter": FILTER}),
        ([of.tenant], "samples", {"page_info": filtered}),
        ([of.tenant], "samples", {"page_info": filtered, "filter": {**FILTER, "value": "y"}}),
        ([of.tenant], "samples", {"page_info": filtered, "filter": {**FILTER, "value": None}}),
        ([of.tenant], "samples", {"page_info": filtered, "filter": {"type": "not", "operation": FILTER}}),
        ([of.tenant], "samples", {"page_info": plain, "aggregate_by": "by_name"}),
        ([of.tenant], "samples", {"page_info": grouped["next_page_info"]}),
        ([of.tenant], "samples", {"page_info": grouped["next_page_info"], "aggregate_by": "by_size"}),
        ([other.tenant], "samples", {"page_info": plain}),
        ([of.tenant, other.tenant], "samples", {"page_info": plain}),
    ):
        details = await query_errors(of.backends, tenants, report, **body)
        assert [each["error"] for each in details["page_info"]] == ["unknown"]


async def test_a_cursor_is_valid_for_equivalent_queries(club: Club, other_club: Club) -> None:
    of, other = await filled(club), await filled(other_club)
    first = {"type": "greater_than", "field": "points", "value": 1}
    second = {"type": "greated_than", "field": "points", "value": 1}
    either = {"type": "or", "operations": [first, FILTER]}
    answer = await query_records(of.backends, [of.tenant, other.tenant], "samples", limit=7, filter=either)
    again = await query_records(
        of.backends,
        [other.tenant, of.tenant],
        "samples",
        page_info=answer["pagination"]["next_page_info"],
        filter={"type": "or", "operations": [second, FILTER]},
    )
    assert len(answer["records"]) + len(again["records"]) == 12


async def test_a_cursor_with_any_character_changed_is_refused(club: Club) -> None:
    of = await filled(club)
    found = await cursor(of)
    for place, letter in enumerate(found):
        for other in "AB":
            if other != letter:
                changed = found[:place] + other + found[place + 1 :]
                assert "page_info" in await query_errors(of.backends, [of.tenant], "samples", page_info=changed)


@pytest.mark.parametrize("malformed", ["", "x", "CNOW-AE", "é", "=", "A" * 100_000, "\0", "'; DROP TABLE profiles; --"])
async def test_malformed_cursors_are_refused(club: Club, malformed: str) -> None:
    of = await filled(club)
    assert "page_info" in await query_errors(of.backends, [of.tenant], "samples", page_info=malformed)


async def test_a_forged_position_is_refused(club: Club) -> None:
    of = await filled(club)
    made_up = base64.urlsafe_b64encode(b"0" * 16 + b'[1,"a","b",3]').decode().rstrip("=")
    assert "page_info" in await query_errors(of.backends, [of.tenant], "samples", page_info=made_up)


BY_EVERYTHING = {
    report.name: replace(report, key=("at", "day", "score", "is_good", "points", "id"))
    for report in (SAMPLES, SAMPLES_IN_DUCKDB)
}


@pytest.mark.parametrize("report", BY_EVERYTHING)
async def test_cursors_restore_times_dates_numbers_and_nulls(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    await of.insert(random_rows(random.Random(SEED), 80))
    one_by_one = await all_records(of.backends, [of.tenant], report, registry=BY_EVERYTHING, limit=1)
    assert one_by_one == await all_records(of.backends, [of.tenant], report, registry=BY_EVERYTHING)
    assert {each["id"] for each in one_by_one} == set(range(1, 81))
