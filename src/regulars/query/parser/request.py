"""A request's body, read and checked against the report that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from regulars.core.timestamps import MAX_TIMESTAMP, MIN_TIMESTAMP
from regulars.query.errors import ErrorCollector, ParameterError, missing, not_in, unknown_parameter
from regulars.query.parser import filters
from regulars.query.parser.filter_values import OBJECT_TYPES
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.report import Report, ReportField, ReportFormat
from regulars.rollups.intervals import Interval

MAX_LIMIT = 10_000
DEFAULT_LIMIT = 1_000

AUTO_INTERVAL = "auto"

ReportRegistry = Mapping[str, Report]
RequestBody = dict[str, Any]

_KEYS: Mapping[ReportFormat, Sequence[str]] = {
    ReportFormat.RECORDS: ("report", "filter", "aggregate_by", "page_info", "limit"),
    ReportFormat.TIMESERIES: ("report", "filter", "aggregate_by", "interval", "from", "to"),
    ReportFormat.STATISTICS: ("report", "filter", "aggregate_by", "from", "to"),
}
_ANY_KEYS = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))


class InvalidJsonError(ValueError):
    """A body that is no object in JSON."""


def _decimal(written: str) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:
        # An exponent beyond all bounds; refused like any number that is too large.
        return Decimal("NaN")


_decoder = msgspec.json.Decoder(float_hook=_decimal)


def decode_body(body: bytes) -> RequestBody:
    """The object that a body is; numbers with a point are decimals. Raises InvalidJsonError."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidJsonError(f"The body is no JSON: {error}.") from None
    except RecursionError:
        raise InvalidJsonError("The body is nested too deeply.") from None
    if not isinstance(found, dict):
        raise InvalidJsonError("The body must be an object in JSON.")
    return found


def parse_query(body: bytes, registry: ReportRegistry) -> ReportQuery:
    """The query that a body asks for.

    Raises InvalidJsonError for what is no object in JSON, InvalidParametersError with all that is wrong with it.
    """
    given = decode_body(body)
    problems = ErrorCollector()
    report = _report(given, registry, problems)
    reject_unknown_keys(given, _ANY_KEYS if report is None else _KEYS[report.format], problems)
    if report is None:
        raise problems.to_exception()
    query = ReportQuery(
        report=report,
        filter=filters.parse(given.get("filter"), report, problems),
        aggregate_by=_aggregation(given, report, problems),
        **_OF_FORMAT[report.format](given, report, problems),
    )
    if problems.errors:
        raise problems.to_exception()
    return query


@dataclass(frozen=True, slots=True)
class FieldValuesQuery:
    """A request for the values of a field: `part` is the name within an object, the rest as in a Query."""

    report: Report
    field: ReportField
    object_key: str | None = None
    filter: FilterNode | None = None
    start: datetime | None = None
    end: datetime | None = None


def parse_metadata_request(body: bytes, registry: ReportRegistry) -> Report | None:
    """The report that a body asks the metadata of; None for all. Raises as parse does; an empty body asks for all."""
    given = decode_body(body) if body.strip() else {}
    problems = ErrorCollector()
    report = _report(given, registry, problems) if given.get("report") is not None else None
    reject_unknown_keys(given, ("report",), problems)
    if problems.errors:
        raise problems.to_exception()
    return report


def parse_field_metadata_request(body: bytes, registry: ReportRegistry) -> FieldValuesQuery:
    """The values that a body asks for. Raises as parse does."""
    given = decode_body(body)
    problems = ErrorCollector()
    report = _report(given, registry, problems)
    reject_unknown_keys(given, ("report", "field", "filter", "from", "to"), problems)
    if report is None:
        raise problems.to_exception()
    field = _filterable(given, report, problems)
    node = filters.parse(given.get("filter"), report, problems)
    start = end = None
    if report.format is ReportFormat.RECORDS:
        for key in ("from", "to"):
            if given.get(key) is not None:
                problems.add((key,), unknown_parameter(key, ("report", "field", "filter")))
    else:
        start, end = _range(given, problems)
    if field is None or problems.errors:
        raise problems.to_exception()
    return FieldValuesQuery(report, field, filters.object_key_of(field, given["field"]), node, start, end)


def reject_unknown_keys(
    given: RequestBody, known: Sequence[str], problems: ErrorCollector, path: tuple[str | int, ...] = ()
) -> None:
    """Finds every key that nothing reads."""
    for key in given:
        if key not in known:
            problems.add((*path, key), unknown_parameter(key, known))


def _report(given: RequestBody, registry: ReportRegistry, problems: ErrorCollector) -> Report | None:
    name = given.get("report")
    if name is None:
        problems.add(("report",), missing("The report"))
        return None
    found = registry.get(name) if isinstance(name, str) else None
    if found is None:
        problems.add(("report",), not_in(registry, "The report"))
    return found


def _aggregation(given: RequestBody, report: Report, problems: ErrorCollector) -> Any:
    name = given.get("aggregate_by")
    if name is None:
        return None
    found = report.groupings_by_name.get(name) if isinstance(name, str) else None
    if found is None:
        problems.add(("aggregate_by",), not_in(report.groupings_by_name, "The aggregation"))
    return found


def _filterable(given: RequestBody, report: Report, problems: ErrorCollector) -> ReportField | None:
    name = given.get("field")
    if name is None:
        problems.add(("field",), missing("The field"))
        return None
    found = filters.find_field(name, report) if isinstance(name, str) else None
    if found is None:
        names = [each.name for each in report.fields if each.filterable and not each.is_tenant_field]
        problems.add(("field",), not_in(names, "The field"))
    elif not found.filterable or found.is_tenant_field:
        problems.add(("field",), ParameterError("not_filterable", f"{found.name} can't be filtered by."))
    elif found.type in OBJECT_TYPES and "\0" in name:
        problems.add(("field",), ParameterError("invalid_characters", "Must not hold the character NUL."))
    return found


# What each format takes besides -----------------------------------------------------------------------------


def _of_records(given: RequestBody, report: Report, problems: ErrorCollector) -> RequestBody:
    cursor = given.get("page_info")
    if cursor is not None and not isinstance(cursor, str):
        problems.add(("page_info",), ParameterError("not_a_string", "Must be the next_page_info of an earlier answer."))
    return {"cursor": cursor, "limit": _limit(given.get("limit"), problems)}


def _limit(value: object, problems: ErrorCollector) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int:
        problems.add(("limit",), ParameterError("not_an_integer", "Must be a whole number of records."))
    elif value < 1:
        problems.add(("limit",), ParameterError("greater_than_or_equal_to", "Must be at least 1.", {"count": 1}))
    elif value > MAX_LIMIT:
        message = f"Must be at most {MAX_LIMIT}."
        problems.add(("limit",), ParameterError("less_than_or_equal_to", message, {"count": MAX_LIMIT}))
    else:
        return value
    return DEFAULT_LIMIT


def _of_timeseries(given: RequestBody, report: Report, problems: ErrorCollector) -> RequestBody:
    start, end = _range(given, problems)
    return {"interval": _interval(given.get("interval"), report, problems), "start": start, "end": end}


def _interval(value: object, report: Report, problems: ErrorCollector) -> Interval | None:
    if value is None or value == AUTO_INTERVAL:
        return None
    for each in report.intervals:
        if each.code == value:
            return each
    problems.add(("interval",), not_in([AUTO_INTERVAL, *(each.code for each in report.intervals)], "The interval"))
    return None


def _of_statistics(given: RequestBody, report: Report, problems: ErrorCollector) -> RequestBody:
    start, end = _range(given, problems)
    return {"start": start, "end": end}


def _range(given: RequestBody, problems: ErrorCollector) -> tuple[datetime | None, datetime | None]:
    start, end = (_time(key, given.get(key), problems) for key in ("from", "to"))
    # A time with an offset and one without are compared when the zone is known.
    if start is not None and end is not None and (start.tzinfo is None) == (end.tzinfo is None) and start > end:
        message = "Must not be before from."
        problems.add(("to",), ParameterError("greater_than_or_equal_to", message, {"than": "from"}))
    return start, end


def _time(key: str, value: object, problems: ErrorCollector) -> datetime | None:
    """A time as it is written: aware where it has an offset, else naive."""
    if value is None:
        problems.add((key,), missing(f"The time {key}"))
        return None
    try:
        found = datetime.fromisoformat(value)  # type: ignore[arg-type]
        if MIN_TIMESTAMP <= (found.replace(tzinfo=UTC) if found.tzinfo is None else found) < MAX_TIMESTAMP:
            return found
    except (TypeError, ValueError):
        pass
    message = "Must be a time in ISO 8601, such as 2026-11-24T08:00:00, in the years 1900 to 2999."
    problems.add((key,), ParameterError("invalid_iso_8601_time", message))
    return None


_OF_FORMAT = {
    ReportFormat.RECORDS: _of_records,
    ReportFormat.TIMESERIES: _of_timeseries,
    ReportFormat.STATISTICS: _of_statistics,
}
