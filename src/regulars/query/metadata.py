"""What reports there are and what each is, as the metadata endpoint tells it."""

from collections.abc import Iterable
from typing import Any

from regulars.query.compiling import Label, labels_of
from regulars.query.filter_values import OPERATIONS
from regulars.query.request import AUTO
from regulars.reports.report import Aggregation, Field, Format, Kind, Report


def metadata(report: Report | None, allowed: Iterable[Report]) -> dict[str, Any]:
    """One report, or without one all that are allowed."""
    if report is not None:
        return {"report": described(report)}
    return {"reports": [described(each) for each in allowed]}


def described(report: Report) -> dict[str, Any]:
    """All that a client needs to ask for a report."""
    found: dict[str, Any] = {
        "name": report.name,
        "format": report.format.value,
        "description": report.meaning,
        "permit": report.permit,
        "cost": report.cost,
        "fields": [_field(each) for each in report.fields],
        "aggregations": [_aggregation(report, each) for each in report.by_aggregation.values()],
    }
    if report.format is Format.TIMESERIES:
        found["intervals"] = [AUTO, *(each.written for each in report.intervals)]
    return found


def _field(field: Field) -> dict[str, Any]:
    """Fields are read and never written here, so each is readonly."""
    found: dict[str, Any] = {
        "name": field.name,
        "type": "enum" if field.values else field.kind.value,
        "description": field.meaning,
        "filterable": field.filterable,
        "readonly": True,
        "shown": field.shown,
    }
    if field.by_header:
        found["filterable_by"] = "X-Customer header"
    elif field.filterable:
        found["operations"] = list(OPERATIONS[field.kind])
    if field.values:
        found["values"] = [{"value": each.name, "description": each.meaning} for each in field.values]
    return found


def _aggregation(report: Report, aggregation: Aggregation) -> dict[str, Any]:
    """Its returned fields in records and statistics, and in timeseries the labels of its series."""
    labels = [
        {"key": each.key, "type": _type(each)}
        for each in labels_of(report.by_field[name] for name in aggregation.fields)
    ]
    if report.metric:
        labels.append({"key": report.metric, "type": "enum"})
    found: dict[str, Any] = {"name": aggregation.name, "description": aggregation.meaning}
    if report.format is Format.TIMESERIES:
        return {**found, "labels": labels}
    measures = [
        {"key": each.name, "type": each.kind.value, "description": each.meaning}
        for each in report.measures_of(aggregation)
    ]
    return {**found, "returned_fields": [*labels, *measures]}


_ELEMENTS = {Kind.INTEGERS: Kind.INTEGER, Kind.STRINGS: Kind.STRING, Kind.FLAGS: Kind.STRING}


def _type(label: Label) -> str:
    if label.is_status:
        return Kind.BOOLEAN.value
    return "enum" if label.field.values else _ELEMENTS.get(label.field.kind, label.field.kind).value
