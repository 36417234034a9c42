"""A request's body, read and checked against the report that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from regulars.facts.instants import EARLIEST, LATEST
from regulars.query import filters
from regulars.query.filter_values import BY_DOT
from regulars.query.problems import Problem, Problems, missing, not_among, unknown
from regulars.query.query import Node, Query
from regulars.reports.interval import Interval
from regulars.reports.report import Field, Format, Report

MOST_RECORDS = 10_000
DEFAULT_RECORDS = 1_000

AUTO = "auto"

Registry = Mapping[str, Report]
Body = dict[str, Any]

_KEYS: Mapping[Format, Sequence[str]] = {
    Format.RECORDS: ("report", "filter", "aggregate_by", "page_info", "limit"),
    Format.TIMESERIES: ("report", "filter", "aggregate_by", "interval", "from", "to"),
    Format.STATISTICS: ("report", "filter", "aggregate_by", "from", "to"),
}
_ANY_KEYS = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))


class NotJsonError(ValueError):
    """A body that is no object in JSON."""


def _decimal(written: str) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:
        # An exponent beyond all bounds; refused like any number that is too large.
        return Decimal("NaN")


_decoder = msgspec.json.Decoder(float_hook=_decimal)


def decoded(body: bytes) -> Body:
    """The object that a body is; numbers with a point are decimals. Raises NotJsonError."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJsonError(f"The body is no JSON: {error}.") from None
    except RecursionError:
        raise NotJsonError("The body is nested too deeply.") from None
    if not isinstance(found, dict):
        raise NotJsonError("The body must be an object in JSON.")
    return found


def parse(body: bytes, registry: Registry) -> Query:
    """The query that a body asks for.

    Raises NotJsonError for what is no object in JSON, InvalidParametersError with all that is wrong with it.
    """
    given = decoded(body)
    problems = Problems()
    report = _report(given, registry, problems)
    unknown_keys(given, _ANY_KEYS if report is None else _KEYS[report.format], problems)
    if report is None:
        raise problems.error()
    query = Query(
        report=report,
        filter=filters.parsed(given.get("filter"), report, problems),
        aggregate_by=_aggregation(given, report, problems),
        **_OF_FORMAT[report.format](given, report, problems),
    )
    if problems.found:
        raise problems.error()
    return query


@dataclass(frozen=True, slots=True)
class FieldQuery:
    """A request for the values of a field: `part` is the name within an object, the rest as in a Query."""

    report: Report
    field: Field
    part: str | None = None
    filter: Node | None = None
    start: datetime | None = None
    end: datetime | None = None


def parse_metadata(body: bytes, registry: Registry) -> Report | None:
    """The report that a body asks the metadata of; None for all. Raises as parse does; an empty body asks for all."""
    given = decoded(body) if body.strip() else {}
    problems = Problems()
    report = _report(given, registry, problems) if given.get("report") is not None else None
    unknown_keys(given, ("report",), problems)
    if problems.found:
        raise problems.error()
    return report


def parse_field_metadata(body: bytes, registry: Registry) -> FieldQuery:
    """The values that a body asks for. Raises as parse does."""
    given = decoded(body)
    problems = Problems()
    report = _report(given, registry, problems)
    unknown_keys(given, ("report", "field", "filter", "from", "to"), problems)
    if report is None:
        raise problems.error()
    field = _filterable(given, report, problems)
    node = filters.parsed(given.get("filter"), report, problems)
    start = end = None
    if report.format is Format.RECORDS:
        for key in ("from", "to"):
            if given.get(key) is not None:
                problems.add((key,), unknown(key, ("report", "field", "filter")))
    else:
        start, end = _range(given, problems)
    if field is None or problems.found:
        raise problems.error()
    return FieldQuery(report, field, filters.part(field, given["field"]), node, start, end)


def unknown_keys(given: Body, known: Sequence[str], problems: Problems, path: tuple[str | int, ...] = ()) -> None:
    """Finds every key that nothing reads."""
    for key in given:
        if key not in known:
            problems.add((*path, key), unknown(key, known))


def _report(given: Body, registry: Registry, problems: Problems) -> Report | None:
    name = given.get("report")
    if name is None:
        problems.add(("report",), missing("The report"))
        return None
    found = registry.get(name) if isinstance(name, str) else None
    if found is None:
        problems.add(("report",), not_among(registry, "The report"))
    return found


def _aggregation(given: Body, report: Report, problems: Problems) -> Any:
    name = given.get("aggregate_by")
    if name is None:
        return None
    found = report.by_aggregation.get(name) if isinstance(name, str) else None
    if found is None:
        problems.add(("aggregate_by",), not_among(report.by_aggregation, "The aggregation"))
    return found


def _filterable(given: Body, report: Report, problems: Problems) -> Field | None:
    name = given.get("field")
    if name is None:
        problems.add(("field",), missing("The field"))
        return None
    found = filters.field_of(name, report) if isinstance(name, str) else None
    if found is None:
        names = [each.name for each in report.fields if each.filterable and not each.by_header]
        problems.add(("field",), not_among(names, "The field"))
    elif not found.filterable or found.by_header:
        problems.add(("field",), Problem("not_filterable", f"{found.name} can't be filtered by."))
    elif found.kind in BY_DOT and "\0" in name:
        problems.add(("field",), Problem("invalid_characters", "Must not hold the character NUL."))
    return found


# What each format takes besides -----------------------------------------------------------------------------


def _of_records(given: Body, report: Report, problems: Problems) -> Body:
    cursor = given.get("page_info")
    if cursor is not None and not isinstance(cursor, str):
        problems.add(("page_info",), Problem("not_a_string", "Must be the next_page_info of an earlier answer."))
    return {"cursor": cursor, "limit": _limit(given.get("limit"), problems)}


def _limit(value: object, problems: Problems) -> int:
    if value is None:
        return DEFAULT_RECORDS
    if type(value) is not int:
        problems.add(("limit",), Problem("not_an_integer", "Must be a whole number of records."))
    elif value < 1:
        problems.add(("limit",), Problem("greater_than_or_equal_to", "Must be at least 1.", {"count": 1}))
    elif value > MOST_RECORDS:
        message = f"Must be at most {MOST_RECORDS}."
        problems.add(("limit",), Problem("less_than_or_equal_to", message, {"count": MOST_RECORDS}))
    else:
        return value
    return DEFAULT_RECORDS


def _of_timeseries(given: Body, report: Report, problems: Problems) -> Body:
    start, end = _range(given, problems)
    return {"interval": _interval(given.get("interval"), report, problems), "start": start, "end": end}


def _interval(value: object, report: Report, problems: Problems) -> Interval | None:
    if value is None or value == AUTO:
        return None
    for each in report.intervals:
        if each.written == value:
            return each
    problems.add(("interval",), not_among([AUTO, *(each.written for each in report.intervals)], "The interval"))
    return None


def _of_statistics(given: Body, report: Report, problems: Problems) -> Body:
    start, end = _range(given, problems)
    return {"start": start, "end": end}


def _range(given: Body, problems: Problems) -> tuple[datetime | None, datetime | None]:
    start, end = (_time(key, given.get(key), problems) for key in ("from", "to"))
    # A time with an offset and one without are compared when the zone is known.
    if start is not None and end is not None and (start.tzinfo is None) == (end.tzinfo is None) and start > end:
        message = "Must not be before from."
        problems.add(("to",), Problem("greater_than_or_equal_to", message, {"than": "from"}))
    return start, end


def _time(key: str, value: object, problems: Problems) -> datetime | None:
    """A time as it is written: aware where it has an offset, else naive."""
    if value is None:
        problems.add((key,), missing(f"The time {key}"))
        return None
    try:
        found = datetime.fromisoformat(value)  # type: ignore[arg-type]
        if EARLIEST <= (found.replace(tzinfo=UTC) if found.tzinfo is None else found) < LATEST:
            return found
    except (TypeError, ValueError):
        pass
    message = "Must be a time in ISO 8601, such as 2026-11-24T08:00:00, in the years 1900 to 2999."
    problems.add((key,), Problem("invalid_iso_8601_time", message))
    return None


_OF_FORMAT = {
    Format.RECORDS: _of_records,
    Format.TIMESERIES: _of_timeseries,
    Format.STATISTICS: _of_statistics,
}
