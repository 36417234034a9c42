"""An example request and response of each report, built from its declaration."""

from collections.abc import Collection, Iterable
from itertools import count
from typing import Any

from regulars.core.field_type import FieldType
from regulars.reports.report import COMMUNITY_ID, Grouping, Report, ReportField, ReportFormat

Example = dict[str, Any]

_VALUES: dict[FieldType, Any] = {
    FieldType.INTEGER: 159,
    FieldType.NUMBER: 0.25,
    FieldType.MONEY: 349.0,
    FieldType.PERCENT: 12.5,
    FieldType.STRING: "default",
    FieldType.BOOLEAN: True,
    FieldType.DATE: "2026-11-24",
    FieldType.TIMESTAMP: "2026-11-24T05:56:40.098000Z",
    FieldType.INTEGER_LIST: [17, 18],
    FieldType.STRING_LIST: ["17", "18"],
    FieldType.FLAGS: {"email_marketing": True, "sms_marketing": False},
    FieldType.OBJECT: {"language": "no"},
}

_COMMUNITY = 235

_BUCKETS = ("2026-11-23T00:00:00.000+01:00", "2026-11-24T00:00:00.000+01:00")
_RANGE = {"from": "2026-11-23T00:00:00", "to": "2026-11-24T23:59:59"}


def example_request(report: Report, aggregation: Grouping | None = None) -> Example:
    """An example request for a report, with a filter if the example response satisfies it."""
    grouping = _grouping(report, aggregation)
    body: Example = {"report": report.name}
    if filtered := _filter(report, () if report.format is ReportFormat.RECORDS else grouping):
        body["filter"] = filtered
    if aggregation is not None:
        body["aggregate_by"] = aggregation.name
    if report.format is ReportFormat.TIMESERIES:
        body["interval"] = "1d"
    if report.format is not ReportFormat.RECORDS:
        body |= _RANGE
    return body


def _filter(report: Report, without: Collection[str]) -> Example | None:
    for field in report.fields:
        if field.filterable and not field.is_tenant_field and field.name not in without:
            match field.type:
                case FieldType.FLAGS | FieldType.OBJECT:
                    name, value = next(iter(_VALUES[field.type].items()))
                    return {"type": "equal", "field": f"{field.name}.{name}", "value": value}
                case FieldType.INTEGER_LIST | FieldType.STRING_LIST:
                    return {"type": "in", "field": field.name, "value": _VALUES[field.type]}
            return {"type": "equal", "field": field.name, "value": _value(field)}
    return None


def _value(field: ReportField, index: int = 0) -> Any:
    """An example value of a field; for an enum, one that depends on the index."""
    if field.is_tenant_field:
        return _COMMUNITY
    return field.values[index % len(field.values)].name if field.values else _VALUES[field.type]


def example_response(report: Report, aggregation: Grouping | None = None) -> Example:
    """An example response to the example request, with arbitrary numbers."""
    return {
        ReportFormat.RECORDS: _records,
        ReportFormat.TIMESERIES: _timeseries,
        ReportFormat.STATISTICS: _statistics,
    }[report.format](report, aggregation)


def _records(report: Report, aggregation: Grouping | None) -> Example:
    if aggregation is not None:
        row = next(iter(_labels(report, aggregation.fields))) | _measures(report, aggregation)
    elif report.key:
        row = {each.name: _value(each) for each in report.fields if each.visible and each.type is not FieldType.OBJECT}
    else:
        row = next(iter(_labels(report, report.default_group_by or (COMMUNITY_ID.name,)))) | _measures(report, None)
    return {"records": [row], "pagination": {"next_page_info": None}, "result_type": "records"}


def _measures(report: Report, aggregation: Grouping | None) -> Example:
    return {each.name: _VALUES[each.type] for each in report.measures_for(aggregation)}


def _timeseries(report: Report, aggregation: Grouping | None) -> Example:
    numbers = count(12, 7)
    series = [
        {"label": label, "values": [next(numbers) for _ in _BUCKETS]}
        for labels in _labels(report, _grouping(report, aggregation))
        for label in ([labels | {report.metric: each.name} for each in report.measures] if report.metric else [labels])
    ]
    return {
        "interval": "1d",
        "range_timezone": "Europe/Oslo",
        "time_buckets": list(_BUCKETS),
        "series": series,
        "data_points": len(series) * len(_BUCKETS),
        "result_type": "timeseries",
    }


def _statistics(report: Report, aggregation: Grouping | None) -> Example:
    labels = next(iter(_labels(report, _grouping(report, aggregation))))
    return {
        "statistics": [{"label": labels, "values": _measures(report, aggregation)}],
        **_RANGE,
        "result_type": "statistics",
    }


def _grouping(report: Report, aggregation: Grouping | None) -> tuple[str, ...]:
    return report.default_group_by if aggregation is None else aggregation.fields


def _labels(report: Report, names: Iterable[str]) -> list[Example]:
    """Labels of groups: two if a field has several values, otherwise one."""
    fields = [report.fields_by_name[name] for name in names]
    groups = 2 if any(len(field.values) > 1 for field in fields) else 1
    return [{key: value for field in fields for key, value in _label(field, index).items()} for index in range(groups)]


def _label(field: ReportField, index: int) -> Example:
    value = _value(field, index)
    if field.type is FieldType.FLAGS:
        values: list[Any] = list(next(iter(value.items())))
    elif field.type in (FieldType.INTEGER_LIST, FieldType.STRING_LIST):
        values = [value[0]]
    else:
        values = [value]
    return dict(zip(field.label_names, values, strict=True))
