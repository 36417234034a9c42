"""Filters as SQL: one line a case in filters.*.txt, as tree, SQL and values. A new case is a line with a tree."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from query.case_files import case_input, check_cases, read_lines
from query.sample_reports import REGISTRY, SAMPLES, SAMPLES_IN_DUCKDB
from regulars.query.compiler import filter_sql
from regulars.query.dialects.engines import ENGINES
from regulars.query.parser.request import parse_query
from regulars.query.query import FilterNode
from regulars.reports.report import Backend, Report

FILES = {"filters.postgresql.txt": SAMPLES, "filters.duckdb.txt": SAMPLES_IN_DUCKDB}

_encoder = msgspec.json.Encoder(decimal_format="number")


def read(tree: str, report: Report = SAMPLES) -> FilterNode:
    """The filter that a tree means."""
    found = parse_query(f'{{"report": "{report.name}", "filter": {tree}}}'.encode(), REGISTRY).filter
    assert found is not None
    return found


def on_one_line(sql: str) -> str:
    """SQL without its layout."""
    return re.sub(r"\( | \)", lambda match: match[0].strip(), " ".join(sql.split()))


def sql_and_values(tree: str, report: Report) -> tuple[str, str]:
    """The SQL of a filter, for a tenant whose money has two digits."""
    node, store = read(tree, report), report.source.backend
    found = _encoder.encode(filter_sql.bound_values(node, store, 2)).decode()
    return on_one_line(filter_sql.condition(node, store).sql), found


@pytest.mark.parametrize("name", FILES)
def test_every_filter_has_the_reviewed_sql(name: str) -> None:
    check_cases(name, lambda tree: sql_and_values(tree, FILES[name]))


def test_both_engines_have_the_same_cases() -> None:
    first, second = ([case_input(line) for line in read_lines(name)] for name in FILES)
    assert first == second


@pytest.mark.parametrize("store", Backend, ids=lambda store: store.name)
def test_every_placeholder_has_a_value_and_every_value_a_placeholder(store: Backend) -> None:
    for line in read_lines("filters.postgresql.txt"):
        node = read(case_input(line))
        places = set(re.findall(r"\$v(\d+)", filter_sql.condition(node, store).sql))
        bound = filter_sql.bound_values(node, store, 2)
        assert places == {str(place) for place in range(1, len(bound) + 1)}, line


def test_filters_have_the_same_sql_exactly_if_they_have_the_same_shape() -> None:
    by_shape: dict[filter_sql.FilterShape, set[str]] = {}
    for line in read_lines("filters.postgresql.txt"):
        node = read(case_input(line))
        by_shape.setdefault(filter_sql.filter_shape(node), set()).add(filter_sql.condition(node, Backend.POSTGRES).sql)
    assert [shape for shape, texts in by_shape.items() if len(texts) > 1] == []
    assert len(by_shape) > 60


def test_values_are_never_part_of_the_sql() -> None:
    secret = "'; DROP TABLE profiles; --"
    for field in ("name", f"properties.{secret}", f"consents.{secret}"):
        value = True if field.startswith("consents") else secret
        for store in Backend:
            node = read(json.dumps({"type": "equal", "field": field, "value": value}))
            assert "DROP" not in filter_sql.condition(node, store).sql
            assert any("DROP" in str(each) for each in filter_sql.bound_values(node, store, 2))


def test_every_backend_has_an_engine() -> None:
    assert set(ENGINES) == set(Backend)


def test_an_element_of_a_list_is_addressed_by_index() -> None:
    assert ENGINES[Backend.POSTGRES].dialect.element_at("r.flags", "1") == "(r.flags)[1]"


def test_a_comparison_of_money_with_null_binds_nothing() -> None:
    node = read('{"type": "equal", "field": "spent", "value": null}')
    assert filter_sql.bound_values(node, Backend.POSTGRES, 2) == []
