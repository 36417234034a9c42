"""Parses requests of exports: a query of a report, with the format of the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from regulars.core.validation import check_text
from regulars.exports.compression import COMPRESSIONS_BY_CODE, FileCompression
from regulars.exports.formats import FORMATS_BY_CODE, ExportFormat
from regulars.model.webhooks import MAX_URL_LENGTH, validate_url
from regulars.query.errors import ErrorCollector, ParameterError, missing, not_in
from regulars.query.parser.request import ReportRegistry, RequestBody, decode_body, parse_whole_query
from regulars.query.query import NO_SEGMENTS, ReportQuery, SegmentFilters

E = TypeVar("E", bound=Enum)

FILE_KEYS = ("format", "compression")
"""Parameters of the file, in addition to those of the query."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The format of a file, and how it is compressed."""

    format: ExportFormat
    compression: FileCompression | None


@dataclass(frozen=True, slots=True)
class RequestedExport:
    """A validated request of an export. `params` is its body, without the URL of the webhook."""

    query: ReportQuery
    file: FileOptions
    params: Mapping[str, Any]
    webhook_url: str | None = None


def parse_export_request(
    body: bytes, registry: ReportRegistry, segments: SegmentFilters = NO_SEGMENTS
) -> RequestedExport:
    """Parses the body of a request for an export; `segments` are those that its filter may name.

    Raises InvalidJsonError for a body that is not a JSON object, InvalidParametersError with every error found.
    """
    return parse_export_parameters(decode_body(body), registry, segments)


def parse_export_parameters(
    params: RequestBody, registry: ReportRegistry, segments: SegmentFilters = NO_SEGMENTS
) -> RequestedExport:
    """Parses the decoded body of a request for an export. Raises InvalidParametersError with every error found."""
    errors = ErrorCollector()
    file = parse_file_options(params, errors)
    webhook_url = parse_webhook_url(params.get("webhook_url"), ("webhook_url",), errors)
    query = parse_whole_query(params, registry, errors, segments, (*FILE_KEYS, "webhook_url"))
    assert file is not None  # noqa: S101 - otherwise there is an error, which was raised
    stored = {key: value for key, value in params.items() if key != "webhook_url"}
    return RequestedExport(query, file, stored, webhook_url)


def parse_file_options(params: RequestBody, errors: ErrorCollector) -> FileOptions | None:
    """Parses `format` and `compression`; None, with an error added, if the format is not valid."""
    if params.get("format") is None:
        errors.add(("format",), missing("format", f"Allowed: {', '.join(FORMATS_BY_CODE)}."))
        return None
    format_ = _choice(params["format"], "format", FORMATS_BY_CODE, errors)
    compression = None
    if params.get("compression") is not None:
        compression = _choice(params["compression"], "compression", COMPRESSIONS_BY_CODE, errors)
    return None if format_ is None else FileOptions(format_, compression)


def _choice(value: object, name: str, choices: Mapping[str, E], errors: ErrorCollector) -> E | None:
    found = choices.get(value) if isinstance(value, str) else None
    if found is None:
        errors.add((name,), not_in(choices, name, value))
    return found


def parse_webhook_url(value: object, path: Sequence[str | int], errors: ErrorCollector) -> str | None:
    """Parses the URL of a webhook; None if there is none, or with an error added if it is not valid."""
    if value is None:
        return None
    try:
        if not isinstance(value, str) or len(value) > MAX_URL_LENGTH:
            raise ValueError(f"must be a string of at most {MAX_URL_LENGTH} characters")
        return validate_url(check_text(value))
    except ValueError as error:
        errors.add(tuple(path), ParameterError("invalid_url", f"The URL {error}."))
        return None
