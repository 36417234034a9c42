"""The metadata of reports: fields, filters, groupings and intervals."""

from collections.abc import Iterable
from typing import Any

from regulars.query.compiler.groups import GroupLabel, labels_for
from regulars.query.parser.filter_values import OPERATIONS
from regulars.query.parser.request import AUTO_INTERVAL
from regulars.reports.report import Grouping, Report, ReportField, ReportFormat


def reports_metadata(report: Report | None, allowed: Iterable[Report]) -> dict[str, Any]:
    """The metadata of one report, or of all allowed ones where `report` is None."""
    if report is not None:
        return {"report": report_metadata(report)}
    return {"reports": [report_metadata(each) for each in allowed]}


def report_metadata(report: Report) -> dict[str, Any]:
    """Everything that a client needs to query a report."""
    found: dict[str, Any] = {
        "name": report.name,
        "format": report.format.value,
        "description": report.description,
        "permit": report.permit,
        "cost": report.cost,
        "fields": [_field(each) for each in report.fields],
        "aggregations": [_aggregation(report, each) for each in report.groupings_by_name.values()],
    }
    if report.format is ReportFormat.TIMESERIES:
        found["intervals"] = [AUTO_INTERVAL, *(each.code for each in report.intervals)]
    return found


def _field(field: ReportField) -> dict[str, Any]:
    """The metadata of a field; fields of reports are always read-only."""
    found: dict[str, Any] = {
        "name": field.name,
        "type": "enum" if field.values else field.type.report_name,
        "description": field.description,
        "filterable": field.filterable,
        "readonly": True,
        "shown": field.visible,
    }
    if field.is_tenant_field:
        found["filterable_by"] = "X-Customer header"
    elif field.filterable:
        found["operations"] = list(OPERATIONS[field.type])
    if field.values:
        found["values"] = [{"value": each.name, "description": each.description} for each in field.values]
    return found


def _aggregation(report: Report, aggregation: Grouping) -> dict[str, Any]:
    """The metadata of a grouping: its returned fields, or in timeseries the labels of its series."""
    labels = [
        {"key": each.key, "type": _type(each)}
        for each in labels_for(report.fields_by_name[name] for name in aggregation.fields)
    ]
    if report.metric:
        labels.append({"key": report.metric, "type": "enum"})
    found: dict[str, Any] = {"name": aggregation.name, "description": aggregation.description}
    if report.format is ReportFormat.TIMESERIES:
        return {**found, "labels": labels}
    measures = [
        {"key": each.name, "type": each.type.report_name, "description": each.description}
        for each in report.measures_for(aggregation)
    ]
    return {**found, "returned_fields": [*labels, *measures]}


def _type(label: GroupLabel) -> str:
    return "enum" if label.field.values and not label.is_status else label.type.report_name
