"""The error responses of the API, and those that an endpoint may return according to its declaration."""

from collections.abc import Iterable, Mapping

from regulars.auth.authorization import Caller
from regulars.web.endpoint import Endpoint, JsonSchema
from regulars.web.schema_components import reference

_MESSAGE = {"title": "Error", "type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
_VALIDATION_ERROR = {
    "title": "ValidationError",
    "type": "object",
    "properties": {
        "message": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "Errors by the path of the field, such as `items.0.quantity`.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "required": ["message"],
}
_REPORT_ERROR = reference("ReportError")

_ERRORS: Mapping[str, tuple[str, str, JsonSchema]] = {
    "400": (
        "Unreadable",
        "The request is malformed: its body is truncated or not JSON, or its Host is wrong.",
        _MESSAGE,
    ),
    "401": ("Unauthorized", "The token is missing, unknown, revoked or expired.", _MESSAGE),
    "403": (
        "Forbidden",
        "The token lacks the named permit, is of another kind, or is bound to another profile.",
        _MESSAGE,
    ),
    "404": ("NotFound", "It does not exist in this community.", _MESSAGE),
    "409": ("Repeated", "A request with the same Idempotency-Key was completed before.", _MESSAGE),
    "408": ("TooSlow", "The body arrived too slowly. The connection is closed.", _MESSAGE),
    "410": ("Erased", "The request was processed before, and its response was erased with a profile.", _MESSAGE),
    "413": ("TooLarge", "The body is too large, or has too many values.", _MESSAGE),
    "415": ("UnsupportedType", "The Content-Type or the Content-Encoding is not supported.", _MESSAGE),
    "422": ("Invalid", "A field or a parameter is invalid.", _VALIDATION_ERROR),
    "429": ("Limited", "The rate limit is exhausted. Retry after the seconds in `Retry-After`.", _MESSAGE),
    "503": (
        "Unavailable",
        "The database or a certificate is not available, or too many imports are running. Retry after `Retry-After`.",
        _MESSAGE,
    ),
}

_PROVIDER_ERRORS: Mapping[str, tuple[str, str, JsonSchema]] = {
    **{status: _ERRORS[status] for status in ("400", "408", "413", "503")},
    "401": ("Untrusted", "The provider is not set up, or its signature is invalid.", _MESSAGE),
}

_REPORT_ERRORS: Mapping[str, tuple[str, str]] = {
    "400": ("ReportUnreadable", "The request is malformed: its body is truncated or not a JSON object."),
    "401": ("ReportUnauthorized", "The token is missing, unknown, revoked or expired."),
    "403": ("ReportForbidden", "The token lacks the named permit, or has no access to a customer."),
    "404": ("ReportNotFound", "Not found, or not accessible for the requested customers."),
    "409": ("ReportNotDone", "The export is not done, or has failed."),
    "410": ("ReportFileGone", "The file of the export was deleted."),
    "408": ("ReportTooSlow", "The body arrived too slowly. The connection is closed."),
    "413": ("ReportTooLarge", "The body is too large, or has too many values."),
    "415": ("ReportUnsupportedType", "The Content-Type is not application/json."),
    "422": ("ReportInvalid", "A parameter is invalid; `details` has the structure of the request."),
    "429": ("ReportLimited", "The rate limit is exhausted. Retry after the seconds in `Retry-After`."),
    "470": ("ReportHeaderMissing", "Neither X-Customer nor X-Loyalty-Club-Slug was sent."),
    "471": ("ReportHeaderWrong", "X-Customer or X-Loyalty-Club-Slug is malformed, or they disagree."),
    "503": (
        "ReportUnavailable",
        "The database is not available, or too many requests are waiting. Retry after `Retry-After`.",
    ),
}

REPORTING_CALLERS = (Caller.REPORTING, Caller.DOWNLOAD)


def error_responses() -> Iterable[tuple[str, str, JsonSchema]]:
    """The name, the description and the schema of each error response."""
    yield from _ERRORS.values()
    yield from _PROVIDER_ERRORS.values()
    for name, text in _REPORT_ERRORS.values():
        yield name, text, _REPORT_ERROR


def errors_of(endpoint: Endpoint) -> JsonSchema:
    """The errors that an endpoint may return, according to its declaration."""
    if endpoint.caller in REPORTING_CALLERS:
        absent = set() if "{" in endpoint.path else {"404"}
        absent |= set() if endpoint.has_body else {"408", "413", "415"}
        absent |= set() if endpoint.needs_customer else {"470"}
        absent |= set() if endpoint.media_types else {"409", "410"}
        responses = {status: name for status, (name, _) in _REPORT_ERRORS.items() if status not in absent}
    elif endpoint.provider is not None:
        responses = {status: name for status, (name, _, _) in _PROVIDER_ERRORS.items()}
        responses[str(endpoint.provider.rejection_status)] = _ERRORS["422"][0]
    else:
        responses = {status: name for status, (name, _, _) in _ERRORS.items() if _may_return(endpoint, status)}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(responses.items())}


def _may_return(endpoint: Endpoint, status: str) -> bool:
    """Whether an endpoint of the Profile API may return this error."""
    match status:
        case "401" | "403" | "429":
            return endpoint.caller is not Caller.ANYONE
        case "404":
            return endpoint.may_return_404 or "{" in endpoint.path or endpoint.caller is Caller.MEMBER
        case "409":
            return endpoint.rejects_repeated_key
        case "410":
            return endpoint.accepts_idempotency_key
        case "408" | "413":
            return endpoint.has_body
        case "415":
            return endpoint.request_model is not None or endpoint.stream_handler is not None
        case _:
            # Any request may be malformed, contain NUL, or arrive while the database is not available.
            return True
