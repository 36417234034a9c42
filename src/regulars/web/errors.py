"""Error responses of the Profile API and the Reporting API."""

from collections.abc import Mapping
from itertools import islice

import msgspec
import structlog
from starlette.responses import Response

from regulars.auth.errors import AccessDenied
from regulars.core.errors import NotFoundError, ResponseErasedError, ValidationError, encode_message
from regulars.loading.batches import LoadStoppedError
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import InvalidJsonError
from regulars.query.replica.cache import ReplicaUnavailableError
from regulars.storage.errors import CommitStatusUnknownError, is_system_error
from regulars.web.fair_limiter import BusyError

__all__ = [
    "ApiError",
    "error_body",
    "error_response",
    "is_unavailable",
    "log_failure",
    "path_error_response",
    "report_error_body",
    "report_error_response",
    "validation_message",
]

_log = structlog.get_logger("regulars.api")

RETRY_AFTER_SECONDS = 5
"""Seconds after which a client should repeat a request that failed with a system error."""

RETRY_AFTER_HEADER = {"Retry-After": str(RETRY_AFTER_SECONDS)}

_UNAVAILABLE = (
    "The database is not available, so the request was not completed. Send it again in a few seconds; "
    "a write with the same Idempotency-Key or external_id is stored once."
)

_UNKNOWN = (
    "The connection to the database was lost during the commit, so it is unknown whether the request is stored. Send it "
    "again with the same Idempotency-Key or external_id; it is stored once."
)

INTERNAL_ERROR_MESSAGE = "Internal server error. It has been logged."


MAX_ERRORS = 100
"""Most invalid fields that a response lists; its message has their number."""


def _unavailable(error: Exception) -> str | None:
    """The message for a system error, which contains no text of the database; None for other errors."""
    if isinstance(error, LoadStoppedError):
        return str(error)
    if isinstance(error, CommitStatusUnknownError):
        return _UNKNOWN
    return _UNAVAILABLE if is_system_error(error) else None


def is_unavailable(error: Exception) -> bool:
    """Whether an error is one of the system, after which the same request may succeed."""
    return _unavailable(error) is not None


def log_failure(method: str, path: str, error: Exception) -> None:
    """Logs an error that the client did not cause: one line for a system error, a traceback for a defect."""
    if _unavailable(error) is None:
        _log.error("request.failed", method=method, path=path, exc_info=error)
        return
    cause = error.__cause__ if isinstance(error, LoadStoppedError) and error.__cause__ is not None else error
    _log.error(
        "request.unavailable",
        method=method,
        path=path,
        error=type(cause).__name__,
        sqlstate=getattr(cause, "sqlstate", None),
        reason=str(cause).partition("\n")[0],
    )


class ApiError(Exception):
    """An error response: status, message, errors by field, and headers."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})
        super().__init__(message)


def error_body(
    message: str, errors: Mapping[str, str] | None = None, extra: Mapping[str, object] | None = None
) -> bytes:
    """`{"message"}`, with `"errors": {path: [text]}` for at most MAX_ERRORS invalid fields."""
    body: dict[str, object] = {"message": message, **(extra or {})}
    if errors:
        body["errors"] = {path: [text] for path, text in islice(errors.items(), MAX_ERRORS)}
    return msgspec.json.encode(body, enc_hook=encode_message)


def validation_message(errors: Mapping[str, str]) -> str:
    """One sentence about invalid fields: the first one, and the number of others."""
    path, text = next(iter(errors.items()))
    more = len(errors) - 1
    rest = f" (and {more} more)" if more else ""
    return f"{path} {text}.{rest}" if path else f"{text}{rest}"


def error_response(error: Exception) -> Response:
    """The response of the Profile API to an error."""
    headers: Mapping[str, str] = {}
    if isinstance(error, ResponseErasedError):
        content, status, headers = error_body(error.message), error.status, headers
    elif isinstance(error, ValidationError):
        content, status, headers = error_body(validation_message(error.errors), error.errors), 422, headers
    elif isinstance(error, NotFoundError):
        content, status, headers = error_body(str(error), extra=error.extra), 404, headers
    elif isinstance(error, ApiError):
        content, status, headers = error_body(error.message, error.errors), error.status, error.headers
    elif isinstance(error, AccessDenied):
        content, status, headers = error_body(error.message), error.status, error.headers
    elif (unavailable := _unavailable(error)) is not None:
        extra = error.progress if isinstance(error, LoadStoppedError) else None
        content, status, headers = error_body(unavailable, extra=extra), 503, RETRY_AFTER_HEADER
    else:
        content, status, headers = error_body(INTERNAL_ERROR_MESSAGE), 500, headers
    return Response(content, status, headers, media_type="application/json")


_REPORTING = "/v1/reporting"


def path_error_response(path: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The response for a path without an endpoint, in the format of the API that the path belongs to."""
    content = report_error_body(message) if f"{path}/".startswith(f"{_REPORTING}/") else error_body(message)
    return Response(content, status, headers, media_type="application/json")


def report_error_body(
    message: str, details: Mapping[str, object] | None = None, *, is_truncated: bool = False
) -> bytes:
    """`{"error"}`, with `"details"` in the structure of the request for invalid parameters.

    `"truncated": true` means that there may be more errors.
    """
    body: dict[str, object] = {"error": message, **({} if details is None else {"details": details})}
    if is_truncated:
        body["truncated"] = True
    return msgspec.json.encode(body)


def report_error_response(error: Exception) -> Response:
    """The response of the Reporting API to an error."""
    headers: Mapping[str, str] = {}
    if isinstance(error, InvalidParametersError):
        content, status = report_error_body("Invalid parameters", error.details, is_truncated=error.is_truncated), 422
    elif isinstance(error, AccessDenied | ApiError):
        content, status, headers = report_error_body(error.message), error.status, error.headers
    elif isinstance(error, InvalidJsonError):
        content, status = report_error_body(str(error)), 400
    elif isinstance(error, NotFoundError):
        content, status = report_error_body(str(error)), 404
    elif isinstance(error, ReplicaUnavailableError | BusyError):
        content, status, headers = report_error_body(str(error)), 503, {"Retry-After": str(error.retry_after)}
    elif _unavailable(error) is not None:
        content, status, headers = (
            report_error_body("The database is not available. Try again in a few seconds."),
            503,
            RETRY_AFTER_HEADER,
        )
    else:
        content, status = report_error_body(INTERNAL_ERROR_MESSAGE), 500
    return Response(content, status, headers, media_type="application/json")
