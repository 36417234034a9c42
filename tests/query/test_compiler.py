"""Statements are compiled once for each shape of query, and bound each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from query.sample_reports import REGISTRY
from regulars.auth.tenants import Tenant
from regulars.query.compiler import statements
from regulars.query.compiler.groups import plan_groups
from regulars.query.compiler.records import plan_records
from regulars.query.compiler.statements import number_parameters
from regulars.query.parser.request import parse_query
from regulars.query.query import ReportQuery

OSLO = Tenant(7, 17, 7, 1, "oslo", "Oslo", "Europe/Oslo", "NOK", 2, {})


def query_of(**body: Any) -> ReportQuery:
    """The query of a body."""
    return parse_query(json.dumps({"report": "samples", **body}).encode(), REGISTRY)


def equal(value: Any, field: str = "name") -> Any:
    """A filter with one value."""
    return {"type": "equal", "field": field, "value": value}


def test_queries_of_one_shape_share_a_statement_and_bind_their_own_values() -> None:
    first, second = (plan_records(query_of(filter=equal(value)), None) for value in ("a", "b"))
    assert first.statement is second.statement
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert [plan.bind(OSLO, now, {"limit": 5}) for plan in (first, second)] == [[7, 17, "a", 5], [7, 17, "b", 5]]


def test_queries_of_different_shapes_have_different_statements() -> None:
    compiled = {
        id(plan_records(query, after).statement)
        for query, after in (
            (query_of(), None),
            (query_of(), ["small", "a", 1]),
            (query_of(), ["small", None, 1]),
            (query_of(filter=equal("a")), None),
            (query_of(filter=equal(None)), None),
            (query_of(filter=equal("small", "size"), limit=1), None),
            (query_of(filter={"type": "not", "operation": equal("a")}), None),
            (query_of(report="samples_in_duckdb"), None),
        )
    }
    assert len(compiled) == 8
    groups = {plan_groups(query_of(aggregate_by=name)).statement for name in ("by_size", "by_name")}
    assert len(groups) == 2


def test_the_oldest_statement_is_evicted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    statements.clear_cache()
    monkeypatch.setattr(statements, "MAX_CACHED_STATEMENTS", 2)
    first, second, third = (query_of(filter=filter_) for filter_ in (None, equal("a"), equal(None)))
    cached = [plan_records(query, None).statement for query in (first, second, third)]
    assert plan_records(third, None).statement is cached[2]
    assert plan_records(second, None).statement is cached[1]
    again = plan_records(first, None).statement
    assert again is not cached[0]
    assert again == cached[0]


def test_parameters_are_numbered_in_order_and_cast() -> None:
    statement = number_parameters("SELECT $zone, $now WHERE x = CAST($v1 AS TEXT) AND y > $now")
    assert statement.sql == (
        "SELECT CAST($1 AS TEXT), CAST($2 AS TIMESTAMPTZ) WHERE x = CAST($3 AS TEXT) AND y > CAST($2 AS TIMESTAMPTZ)"
    )
    assert statement.parameters == ("zone", "now", "v1")


def test_parameters_of_the_tenant_are_bound_by_name() -> None:
    plan = statements.QueryPlan(
        number_parameters("SELECT $community, $club, $zone, $today, $now"), None, REGISTRY["samples"]
    )
    now = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert plan.bind(OSLO, now, {}) == [7, 17, "Europe/Oslo", 20261125, now]
