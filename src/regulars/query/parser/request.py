"""Parses the body of a request and validates it against the report that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from regulars.core.timestamps import MAX_TIMESTAMP, MIN_TIMESTAMP
from regulars.query.errors import ErrorCollector, ParameterError, json_type, missing, not_in, unknown_parameter
from regulars.query.parser import filters
from regulars.query.parser.filter_values import OBJECT_TYPES
from regulars.query.query import NO_SEGMENTS, FilterNode, ReportQuery, SegmentFilters, resolve_segments
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
_PAGING_KEYS = ("page_info", "limit")


class InvalidJsonError(ValueError):
    """Raised for a body that is not a JSON object."""


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # The exponent is out of range; NaN is rejected later, like any number that is too large.
        return Decimal("NaN")


_decoder = msgspec.json.Decoder(float_hook=_decimal)


def decode_value(text: bytes) -> Any:
    """Decodes valid JSON; numbers with a decimal point become Decimal."""
    return _decoder.decode(text)


def decode_body(body: bytes) -> RequestBody:
    """Decodes a JSON object; numbers with a decimal point become Decimal. Raises InvalidJsonError."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidJsonError(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise InvalidJsonError("The body is nested too deeply.") from None
    if not isinstance(found, dict):
        raise InvalidJsonError(f"The body must be a JSON object, not {json_type(found)}.")
    return found


def parse_query(body: bytes, registry: ReportRegistry, segments: SegmentFilters = NO_SEGMENTS) -> ReportQuery:
    """Parses a report request; `segments` are those that its filter may name.

    Raises InvalidJsonError for a body that is not a JSON object, InvalidParametersError with every error found.
    """
    return _parse(decode_body(body), registry, ErrorCollector(), _KEYS, segments)


def parse_whole_query(
    params: RequestBody,
    registry: ReportRegistry,
    errors: ErrorCollector,
    segments: SegmentFilters = NO_SEGMENTS,
    other_keys: Sequence[str] = (),
) -> ReportQuery:
    """Parses a query without pages, the result of which is written as a whole. `other_keys` are allowed beside its own.

    Raises InvalidParametersError with every error found, and with those that were collected before.
    """
    keys = {
        format_: (*(each for each in known if each not in _PAGING_KEYS), *other_keys)
        for format_, known in _KEYS.items()
    }
    return _parse(params, registry, errors, keys, segments)


def _parse(
    params: RequestBody,
    registry: ReportRegistry,
    errors: ErrorCollector,
    keys: Mapping[ReportFormat, Sequence[str]],
    segments: SegmentFilters,
) -> ReportQuery:
    report = _report(params, registry, errors)
    any_keys = tuple(dict.fromkeys(key for known in keys.values() for key in known))
    known = any_keys if report is None else keys[report.format]
    reject_unknown_keys(params, known, errors)
    if report is None:
        raise errors.to_exception()
    params = {key: value for key, value in params.items() if key in known}
    query = ReportQuery(
        report=report,
        filter=filters.parse(params.get("filter"), report, errors, segments),
        aggregate_by=_grouping(params, report, errors),
        **_FORMAT_PARSERS[report.format](params, report, errors),
    )
    if errors.errors:
        raise errors.to_exception()
    return query


@dataclass(frozen=True, slots=True)
class FieldValuesQuery:
    """A request for the values of a field.

    `object_key` is the key within an object field, the rest as in ReportQuery.
    """

    report: Report
    field: ReportField
    object_key: str | None = None
    filter: FilterNode | None = None
    start: datetime | None = None
    end: datetime | None = None

    def for_community(self, community_id: int) -> "FieldValuesQuery":
        """The request with the conditions of a community's segments in its filter."""
        node = resolve_segments(self.filter, community_id)
        return self if node is self.filter else replace(self, filter=node)


def parse_metadata_request(body: bytes, registry: ReportRegistry) -> Report | None:
    """Parses a metadata request: one report, or None for all, as for an empty body. Raises as parse_query does."""
    params = decode_body(body) if body.strip() else {}
    errors = ErrorCollector()
    report = _report(params, registry, errors) if params.get("report") is not None else None
    reject_unknown_keys(params, ("report",), errors)
    if errors.errors:
        raise errors.to_exception()
    return report


def parse_field_metadata_request(
    body: bytes, registry: ReportRegistry, segments: SegmentFilters = NO_SEGMENTS
) -> FieldValuesQuery:
    """Parses a request for the values of a field. Raises as parse_query does."""
    params = decode_body(body)
    errors = ErrorCollector()
    report = _report(params, registry, errors)
    reject_unknown_keys(params, ("report", "field", "filter", "from", "to"), errors)
    if report is None:
        raise errors.to_exception()
    field = _filterable(params, report, errors)
    node = filters.parse(params.get("filter"), report, errors, segments)
    start = end = None
    if report.format is ReportFormat.RECORDS:
        for key in ("from", "to"):
            if params.get(key) is not None:
                errors.add((key,), unknown_parameter(key, ("report", "field", "filter")))
    else:
        start, end = _range(params, errors)
    if field is None or errors.errors:
        raise errors.to_exception()
    return FieldValuesQuery(report, field, filters.object_key_of(field, params["field"]), node, start, end)


def reject_unknown_keys(
    params: RequestBody, known: Sequence[str], errors: ErrorCollector, path: tuple[str | int, ...] = ()
) -> None:
    """Adds an error for every key that is not a parameter."""
    for key in params:
        if key not in known:
            errors.add((*path, key), unknown_parameter(key, known))


def _report(params: RequestBody, registry: ReportRegistry, errors: ErrorCollector) -> Report | None:
    name = params.get("report")
    if name is None:
        errors.add(("report",), missing("report"))
        return None
    found = registry.get(name) if isinstance(name, str) else None
    if found is None:
        errors.add(("report",), not_in(registry, "report", name))
    return found


def _grouping(params: RequestBody, report: Report, errors: ErrorCollector) -> Any:
    name = params.get("aggregate_by")
    if name is None:
        return None
    found = report.groupings_by_name.get(name) if isinstance(name, str) else None
    if found is None:
        errors.add(("aggregate_by",), not_in(report.groupings_by_name, "aggregation", name))
    return found


def _filterable(params: RequestBody, report: Report, errors: ErrorCollector) -> ReportField | None:
    name = params.get("field")
    if name is None:
        errors.add(("field",), missing("field"))
        return None
    found = filters.find_field(name, report) if isinstance(name, str) else None
    if found is None:
        names = [each.name for each in report.fields if each.filterable and not each.is_tenant_field]
        errors.add(("field",), not_in(names, "field", name))
    elif not found.filterable or found.is_tenant_field:
        errors.add(("field",), ParameterError("not_filterable", f"Field {found.name!r} is not filterable."))
    elif found.type in OBJECT_TYPES and "\0" in name:
        errors.add(("field",), ParameterError("invalid_characters", "Must not contain the NUL character."))
    return found


# Parameters of each format ------------------------------------------------------------------------------------


def _records_parameters(params: RequestBody, report: Report, errors: ErrorCollector) -> RequestBody:
    cursor = params.get("page_info")
    if cursor is not None and not isinstance(cursor, str):
        errors.add(("page_info",), ParameterError("not_a_string", "Must be the next_page_info of an earlier response."))
    return {"cursor": cursor, "limit": parse_limit(params.get("limit"), errors)}


def parse_limit(value: object, errors: ErrorCollector) -> int:
    """The number of records of a page; an error is added to `errors`."""
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int:
        errors.add(("limit",), ParameterError("not_an_integer", f"Must be an integer, not {json_type(value)}."))
    elif value < 1:
        errors.add(("limit",), ParameterError("greater_than_or_equal_to", "Must be at least 1.", {"count": 1}))
    elif value > MAX_LIMIT:
        message = f"Must be at most {MAX_LIMIT}."
        errors.add(("limit",), ParameterError("less_than_or_equal_to", message, {"count": MAX_LIMIT}))
    else:
        return value
    return DEFAULT_LIMIT


def _timeseries_parameters(params: RequestBody, report: Report, errors: ErrorCollector) -> RequestBody:
    start, end = _range(params, errors)
    return {"interval": _interval(params.get("interval"), report, errors), "start": start, "end": end}


def _interval(value: object, report: Report, errors: ErrorCollector) -> Interval | None:
    if value is None or value == AUTO_INTERVAL:
        return None
    for each in report.intervals:
        if each.code == value:
            return each
    errors.add(("interval",), not_in([AUTO_INTERVAL, *(each.code for each in report.intervals)], "interval", value))
    return None


def _statistics_parameters(params: RequestBody, report: Report, errors: ErrorCollector) -> RequestBody:
    start, end = _range(params, errors)
    return {"start": start, "end": end}


def _range(params: RequestBody, errors: ErrorCollector) -> tuple[datetime | None, datetime | None]:
    start, end = (_time(key, params.get(key), errors) for key in ("from", "to"))
    # A time with an offset and one without can only be compared once the time zone is known.
    if start is not None and end is not None and (start.tzinfo is None) == (end.tzinfo is None) and start > end:
        message = "Must not be before 'from'."
        errors.add(("to",), ParameterError("greater_than_or_equal_to", message, {"than": "from"}))
    return start, end


def _time(key: str, value: object, errors: ErrorCollector) -> datetime | None:
    """A time: aware where it has an offset, else naive."""
    if value is None:
        errors.add((key,), missing(key))
        return None
    try:
        found = datetime.fromisoformat(value)  # type: ignore[arg-type]
        if MIN_TIMESTAMP <= (found.replace(tzinfo=UTC) if found.tzinfo is None else found) < MAX_TIMESTAMP:
            return found
    except (TypeError, ValueError):
        pass
    message = "Must be a time in ISO 8601, such as 2026-11-24T08:00:00, in the years 1900 to 2999."
    errors.add((key,), ParameterError("invalid_iso_8601_time", message))
    return None


_FORMAT_PARSERS = {
    ReportFormat.RECORDS: _records_parameters,
    ReportFormat.TIMESERIES: _timeseries_parameters,
    ReportFormat.STATISTICS: _statistics_parameters,
}
