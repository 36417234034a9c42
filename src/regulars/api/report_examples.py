"""A request for each report and what its answer looks like, made from the report's declaration."""

from collections.abc import Collection, Iterable
from itertools import count
from typing import Any

from regulars.reports.report import COMMUNITY_ID, Aggregation, Field, Format, Kind, Report

Example = dict[str, Any]

_VALUES: dict[Kind, Any] = {
    Kind.INTEGER: 159,
    Kind.NUMBER: 0.25,
    Kind.MONEY: 349.0,
    Kind.PERCENT: 12.5,
    Kind.STRING: "default",
    Kind.BOOLEAN: True,
    Kind.DATE: "2026-11-24",
    Kind.TIME: "2026-11-24T05:56:40.098000Z",
    Kind.INTEGERS: [17, 18],
    Kind.STRINGS: ["17", "18"],
    Kind.FLAGS: {"email_marketing": True, "sms_marketing": False},
    Kind.OBJECT: {"language": "no"},
}

_COMMUNITY = 235

_BUCKETS = ("2026-11-23T00:00:00.000+01:00", "2026-11-24T00:00:00.000+01:00")
_RANGE = {"from": "2026-11-23T00:00:00", "to": "2026-11-24T23:59:59"}


def request(report: Report, aggregation: Aggregation | None = None) -> Example:
    """A body that asks for a report, filtered where that leaves all that its answer shows."""
    grouping = _grouping(report, aggregation)
    found: Example = {"report": report.name}
    if filtered := _filter(report, () if report.format is Format.RECORDS else grouping):
        found["filter"] = filtered
    if aggregation is not None:
        found["aggregate_by"] = aggregation.name
    if report.format is Format.TIMESERIES:
        found["interval"] = "1d"
    if report.format is not Format.RECORDS:
        found |= _RANGE
    return found


def _filter(report: Report, without: Collection[str]) -> Example | None:
    for field in report.fields:
        if field.filterable and not field.by_header and field.name not in without:
            match field.kind:
                case Kind.FLAGS | Kind.OBJECT:
                    name, value = next(iter(_VALUES[field.kind].items()))
                    return {"type": "equal", "field": f"{field.name}.{name}", "value": value}
                case Kind.INTEGERS | Kind.STRINGS:
                    return {"type": "in", "field": field.name, "value": _VALUES[field.kind]}
            return {"type": "equal", "field": field.name, "value": _value(field)}
    return None


def _value(field: Field, place: int = 0) -> Any:
    """A value that a field may have; those of an enum are another in each place."""
    if field.by_header:
        return _COMMUNITY
    return field.values[place % len(field.values)].name if field.values else _VALUES[field.kind]


def answer(report: Report, aggregation: Aggregation | None = None) -> Example:
    """What an answer to it looks like; the numbers stand for others."""
    return {
        Format.RECORDS: _records,
        Format.TIMESERIES: _timeseries,
        Format.STATISTICS: _statistics,
    }[report.format](report, aggregation)


def _records(report: Report, aggregation: Aggregation | None) -> Example:
    if aggregation is not None:
        row = next(iter(_labels(report, aggregation.fields))) | _measured(report, aggregation)
    elif report.key:
        row = {each.name: _value(each) for each in report.fields if each.shown and each.kind is not Kind.OBJECT}
    else:
        row = next(iter(_labels(report, report.grouped_by or (COMMUNITY_ID.name,)))) | _measured(report, None)
    return {"records": [row], "pagination": {"next_page_info": None}, "result_type": "records"}


def _measured(report: Report, aggregation: Aggregation | None) -> Example:
    return {each.name: _VALUES[each.kind] for each in report.measures_of(aggregation)}


def _timeseries(report: Report, aggregation: Aggregation | None) -> Example:
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


def _statistics(report: Report, aggregation: Aggregation | None) -> Example:
    labels = next(iter(_labels(report, _grouping(report, aggregation))))
    return {
        "statistics": [{"label": labels, "values": _measured(report, aggregation)}],
        **_RANGE,
        "result_type": "statistics",
    }


def _grouping(report: Report, aggregation: Aggregation | None) -> tuple[str, ...]:
    return report.grouped_by if aggregation is None else aggregation.fields


def _labels(report: Report, names: Iterable[str]) -> list[Example]:
    """Labels of groups, two where a field has several values."""
    fields = [report.by_field[name] for name in names]
    groups = 2 if any(len(field.values) > 1 for field in fields) else 1
    return [{key: value for field in fields for key, value in _label(field, place).items()} for place in range(groups)]


def _label(field: Field, place: int) -> Example:
    value = _value(field, place)
    if field.kind is Kind.FLAGS:
        values: list[Any] = list(next(iter(value.items())))
    elif field.kind in (Kind.INTEGERS, Kind.STRINGS):
        values = [value[0]]
    else:
        values = [value]
    return dict(zip(field.keys, values, strict=True))
