"""The answer to a query, whatever its format."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from regulars.access.customers import Customer
from regulars.query.compiling import grouping
from regulars.query.execution import Stores
from regulars.query.query import Node, Operation, Query
from regulars.query.records import records
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports.report import Aggregation, Field, Format, Report

_OF_FORMAT = {Format.RECORDS: records, Format.TIMESERIES: timeseries, Format.STATISTICS: statistics}


async def answer(query: Query, customers: Sequence[Customer], stores: Stores, now: datetime) -> dict[str, Any]:
    """What goes out, from one snapshot at `now`.

    Raises InvalidParametersError, before anything runs, for what only the customers tell wrong.
    """
    return await _OF_FORMAT[query.report.format](_narrowed(query), customers, stores, now)


def asked_fields(query: Query) -> tuple[Field, ...]:
    """The fields that a query filters and groups by."""
    return (*grouping(query), *_filtered(query.filter))


def _narrowed(query: Query) -> Query:
    """The query, of its report only what it asks for: the smallest source, the measures of its aggregation."""
    asked = frozenset(each.name for each in asked_fields(query))
    return replace(query, report=_narrow(query.report, query.aggregate_by, asked))


@lru_cache(maxsize=1024)
def _narrow(report: Report, aggregation: Aggregation | None, asked: frozenset[str]) -> Report:
    measures = aggregation.measures if aggregation is not None and aggregation.measures else report.measures
    source = report.source_of(asked)
    if source is report.source and measures is report.measures:
        return report
    return replace(report, source=source, measures=measures)


def _filtered(node: Node | None) -> Iterator[Field]:
    if isinstance(node, Operation):
        yield node.field
    elif node is not None:
        for each in node.nodes:
            yield from _filtered(each)
