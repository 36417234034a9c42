"""The table of an answer: headings and cells in the language of the page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from regulars.charts.answer_chart import Subject
from regulars.charts.time_buckets import time_bucket
from regulars.dashboard.rendering import NO_VALUE, as_instant
from regulars.dashboard.visit import Visit

MAX_SERIES = 12
"""Columns of a time series; more are left out of the table."""

MAX_ROWS = 500
"""Groups of a table; more are left out."""

_NUMBERS = ("integer", "number", "money", "percentage")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, whether it has numbers, and whether its cells are not broken into lines."""

    heading: str
    is_number: bool = False
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """A table. `omitted` is the number of series or groups that are not shown."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    omitted: int = 0


Format = Callable[[Any], str]


def answer_table(visit: Visit, subject: Subject, metadata: Mapping[str, Any], answer: Mapping[str, Any]) -> AnswerTable:
    """The table of an answer of a report."""
    kind = answer["result_type"]
    if kind == "timeseries":
        return _series_table(visit, subject, answer)
    groups = [{**each["label"], **each["values"]} for each in answer.get("statistics", ())]
    return _record_table(visit, subject, metadata, answer["records"] if kind == "records" else groups)


def _record_table(
    visit: Visit, subject: Subject, metadata: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> AnswerTable:
    names = list(dict.fromkeys(key for each in records for key in each if key != "masked"))
    types = {each["name"]: each["type"] for each in metadata["fields"]}
    measures = subject.measures
    formats: list[Format] = []
    columns = []
    for name in names:
        kind = measures[name].type.report_name if name in measures else types.get(name, "")
        is_rate = name in measures and measures[name].quotient is not None and kind == "number"
        is_label = name not in measures and subject.grouping is not None
        is_number = kind in _NUMBERS and not is_label and not name.endswith("id") and name not in subject.names
        columns.append(Column(subject.language.words(name), is_number))
        formats.append(_format(visit, subject, name, "rate" if is_rate else kind, is_label=is_label))
    rows = [[write(each.get(name)) for name, write in zip(names, formats, strict=True)] for each in records[:MAX_ROWS]]
    return AnswerTable(columns, rows, max(0, len(records) - MAX_ROWS))


def _series_table(visit: Visit, subject: Subject, answer: Mapping[str, Any]) -> AnswerTable:
    series = answer["series"]
    shown = series[:MAX_SERIES]
    columns = [Column(subject.language.words("time"), is_short=True)]
    formats: list[Format] = []
    metric = subject.report.metric
    for each in shown:
        measure = subject.measures[each["label"][metric]] if metric else next(iter(subject.measures.values()))
        columns.append(Column(subject.series_name(each["label"], each.get("timezone", "")), True))
        kind = measure.type.report_name
        is_rate = measure.quotient is not None and kind == "number"
        formats.append(_format(visit, subject, measure.name, "rate" if is_rate else kind, is_label=False))
    buckets = [
        time_bucket(each, answer["interval"], answer["range_timezone"], subject.language)
        for each in answer["time_buckets"]
    ]
    rows = [
        [bucket.name, *(write(each["values"][index]) for each, write in zip(shown, formats, strict=True))]
        for index, bucket in enumerate(buckets)
    ]
    return AnswerTable(columns, rows, len(series) - len(shown))


def _format(visit: Visit, subject: Subject, name: str, kind: str, *, is_label: bool) -> Format:
    """How a cell of a column is written."""
    locale, language = visit.locale, subject.language

    def write(value: Any) -> str:
        if value is None:
            return subject.label(name, None) if is_label else NO_VALUE
        if isinstance(value, bool):
            return language.yes_or_no(value)
        if is_label or name in subject.names:
            return subject.label(name, value) if is_label else str(subject.names[name].get(value, value))
        if kind == "rate":
            return locale.percent(value)
        if kind == "percentage":
            return f"{locale.number(value)}\N{NO-BREAK SPACE}%"
        if kind == "money":
            return language.money(value, subject.currency)
        if kind in ("integer", "number"):
            return str(value) if name.endswith("id") else locale.number(value)
        if kind == "time" and isinstance(value, str):
            return locale.moment(as_instant(value), ZoneInfo(visit.clubs[0].timezone))
        return _text(value)

    return write


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return ", ".join(_text(each) for each in value)
    return msgspec.json.encode(value, enc_hook=str).decode()
