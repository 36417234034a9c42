"""Metadata of reports, and values of their fields."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from clubs import START, Club
from query.report_client import decode_result
from query.sample_reports import REGISTRY, SAMPLES, SAMPLES_COUNT, SAMPLES_HISTORY, SAMPLES_STATS
from query.sample_rows import SampleStore, create_samples, insert
from query.test_records import REPORTS, sample
from regulars.core.field_type import FieldType
from regulars.query import costs
from regulars.query.field_metadata import field_metadata
from regulars.query.metadata import report_metadata, reports_metadata
from regulars.query.parser.filter_values import OPERATIONS
from regulars.query.parser.request import parse_field_metadata_request, parse_query
from regulars.reports.registry import REPORTS_BY_NAME

# Metadata -------------------------------------------------------------------------------------------------------


def test_the_metadata_of_a_report_describe_how_to_query_it() -> None:
    found = reports_metadata(SAMPLES, [])["report"]
    assert {name: found[name] for name in ("name", "format", "permit", "cost")} == {
        "name": "samples",
        "format": "records",
        "permit": "Reporting:Api:Report:Samples",
        "cost": 2,
    }
    assert "intervals" not in found
    fields = {each["name"]: each for each in found["fields"]}
    assert fields["size"] == {
        "name": "size",
        "type": "enum",
        "description": "An enum whose order is not that of its letters.",
        "filterable": True,
        "readonly": True,
        "shown": True,
        "operations": list(OPERATIONS[FieldType.STRING]),
        "values": [
            {"value": "small", "description": "The least."},
            {"value": "large", "description": "The greatest."},
        ],
    }
    assert fields["community_id"]["filterable_by"] == "X-Customer header"
    assert "operations" not in fields["community_id"]
    assert "operations" not in fields["note"]
    assert fields["at"]["type"] == "time"


def test_aggregations_describe_their_returned_fields_or_labels() -> None:
    found = {each["name"]: each for each in report_metadata(SAMPLES)["aggregations"]}
    assert [(each["key"], each["type"]) for each in found["by_size_and_mark"]["returned_fields"]] == [
        ("size", "enum"),
        ("mark", "integer"),
        ("count", "integer"),
        ("spent_total", "money"),
        ("average", "money"),
    ]
    assert [(each["key"], each["type"]) for each in found["by_consents"]["returned_fields"]][:2] == [
        ("consent", "string"),
        ("status", "boolean"),
    ]
    history = report_metadata(replace(SAMPLES_HISTORY, metric="metric"))
    assert history["intervals"] == ["auto", "5m", "1h", "1d", "1w", "1mo"]
    labels = {each["name"]: each["labels"] for each in history["aggregations"]}
    assert labels["size"] == [{"key": "size", "type": "enum"}, {"key": "metric", "type": "enum"}]
    assert labels["total"] == [{"key": "metric", "type": "enum"}]


def test_metadata_without_a_report_lists_the_allowed_reports() -> None:
    found = reports_metadata(None, [SAMPLES, SAMPLES_COUNT])
    assert [each["name"] for each in found["reports"]] == ["samples", "samples_count"]


@pytest.mark.parametrize("report", {**REPORTS_BY_NAME, **REGISTRY}.values(), ids=lambda report: report.name)
def test_every_report_can_be_described(report: Any) -> None:
    found = json.loads(msgspec.json.encode(report_metadata(report)))
    assert found["description"].endswith(".")
    assert all(each["description"].endswith(".") for each in (*found["fields"], *found["aggregations"]))


def test_the_cost_of_a_filter() -> None:
    leaf = {"type": "equal", "field": "name", "value": "a"}
    both = {"type": "and", "operations": [leaf, leaf]}
    either = {"type": "or", "operations": [both, {"type": "not", "operation": leaf}]}
    for filter_, cost in ((None, 2), (leaf, 2), (both, 3), (either, 7)):
        query = parse_query(msgspec.json.encode({"report": "samples", "filter": filter_}), REGISTRY)
        assert costs.query_cost(query) == cost
    assert costs.METADATA_COST == 1


# Values of a field ----------------------------------------------------------------------------------------------


async def values(of: SampleStore, report: str, field: str, *others: SampleStore, **body: Any) -> list[tuple[Any, int]]:
    """The values of a field with their counts."""
    query = parse_field_metadata_request(msgspec.json.encode({"report": report, "field": field, **body}), REGISTRY)
    tenants = [of.tenant, *(each.tenant for each in others)]
    found = decode_result(await field_metadata(query, tenants, of.backends, START))
    assert found["report"] == report
    assert found["field"] == field
    return [(each["value"], each["count"]) for each in found["values"]]


@REPORTS
async def test_field_values_are_sorted_by_frequency(club: Club, report: str) -> None:
    of = create_samples(club, club.database)
    await of.insert(
        [
            sample(1, size="large", marks=[1, 2], tags=["a"], consents_true=["sms"], day=date(2026, 11, 1), spent=150),
            sample(2, size="large", marks=[2], consents_false=["sms"], at=datetime(2026, 11, 1, tzinfo=UTC)),
            sample(3, size="small", marks=[2, 3], consents_true=["email"], properties={"language": "no", "n": 1}),
            sample(4, properties={"language": "no", "n": None}),
            sample(5, size="small", properties={"language": [1]}),
        ]
    )
    assert await values(of, report, "size") == [("small", 2), ("large", 2), (None, 1)]
    assert await values(of, report, "marks") == [(2, 3), (None, 2), (1, 1), (3, 1)]
    assert await values(of, report, "tags") == [(None, 4), ("a", 1)]
    assert await values(of, report, "day") == [(None, 4), ("2026-11-01", 1)]
    assert await values(of, report, "at") == [(None, 4), ("2026-11-01T00:00:00.000000Z", 1)]
    assert await values(of, report, "spent") == [(None, 4), (1.5, 1)]
    assert await values(of, report, "consents") == [("sms", 2), ("email", 1)]
    assert await values(of, report, "consents.sms") == [(None, 3), (False, 1), (True, 1)]
    assert await values(of, report, "properties") == [("language", 3), ("n", 2)]
    assert await values(of, report, "properties.language") == [(None, 2), ("no", 2), ([1], 1)]
    assert await values(of, report, "properties.n") == [(None, 4), (1, 1)]
    only = {"type": "equal", "field": "size", "value": "small"}
    assert await values(of, report, "marks", filter=only) == [(None, 1), (2, 1), (3, 1)]


async def test_at_most_a_thousand_field_values_are_returned(club: Club) -> None:
    of = create_samples(club, club.database)
    await insert(club, [sample(number, name=f"{number // 2:04}") for number in range(2_101)])
    found = await values(of, "samples", "name")
    assert found == [(f"{number:04}", 2) for number in range(1_000)]


async def test_values_are_added_up_over_communities(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await first.insert([sample(1, size="small"), sample(2, size="small"), sample(3, size="large")])
    await second.insert([sample(1, size="large"), sample(2, size="large")])
    assert await values(first, "samples", "size", second) == [("large", 3), ("small", 2)]


async def test_field_values_below_the_minimum_cell_size_are_omitted(club: Club, other_club: Club) -> None:
    first, second = create_samples(club, club.database), create_samples(other_club, other_club.database)
    await first.insert([sample(1, size="small"), sample(2, size="small"), sample(3, size="large")])
    await second.insert([sample(1, size="large")])
    first.tenant = replace(first.tenant, min_cell_size=2)
    assert await values(first, "samples", "size") == [("small", 2)]
    assert await values(first, "samples", "size", second) == [("small", 2), ("large", 2)]


async def test_field_values_of_statistics_and_timeseries_have_a_time_range(club: Club) -> None:
    of = create_samples(club, club.database)
    await of.insert([sample(1, size="small"), sample(2, size="small"), sample(3, size="large")])
    of.tenant = replace(of.tenant, timezone="Europe/Oslo")
    for report in (SAMPLES_STATS.name, SAMPLES_HISTORY.name):
        during = {"from": "2026-11-01T00:30:00", "to": "2026-11-02T00:00:00Z"}
        assert await values(of, report, "size", **during) == [("small", 2), ("large", 1)]
    before = {"from": "2026-09-01", "to": "2026-10-31T12:00:00"}
    assert await values(of, SAMPLES_STATS.name, "size", **before) == []


async def test_field_values_of_a_count_report_use_its_measure(club: Club) -> None:
    of = create_samples(club, club.database)
    await of.insert([sample(1, size="small"), sample(2)])
    assert await values(of, "samples_count", "size") == [(None, 1), ("small", 1)]
