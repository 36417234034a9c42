"""Errors of the Profile API and of the Reporting API: their status, and what is wrong by the path of the field."""

from collections.abc import Mapping
from itertools import islice

import asyncpg
import msgspec
from starlette.responses import Response

from regulars.access.denied import Denied
from regulars.api.turns import BusyError
from regulars.facts.refusals import Erased, NotFound, Refused
from regulars.facts.refusals import misfit as refused
from regulars.query.columns import CatchingUpError
from regulars.query.problems import InvalidParametersError
from regulars.query.request import NotJsonError

__all__ = [
    "ApiError",
    "body",
    "of_no_endpoint",
    "refusal_message",
    "refused",
    "report_body",
    "report_response",
    "response",
]

UNREACHABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    OSError,
)
"""Errors that say of the database, not of a request, that it can't answer."""

UNFORESEEN = "Something went wrong here; it has been logged."


MOST_ERRORS = 100
"""So many fields of a refusal are named; its message says how many there are."""


class ApiError(Exception):
    """An answer that is no success: status, message, and headers that go with it."""

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


def body(message: str, errors: Mapping[str, str] | None = None, extra: Mapping[str, object] | None = None) -> bytes:
    """`{"message"}`, and for refusals `{"message", "errors": {path: [text]}}`, at most MOST_ERRORS of them."""
    answer: dict[str, object] = {"message": message, **(extra or {})}
    if errors:
        answer["errors"] = {path: [text] for path, text in islice(errors.items(), MOST_ERRORS)}
    return msgspec.json.encode(answer)


def refusal_message(errors: Mapping[str, str]) -> str:
    """One sentence for a refusal: its first field, and how many more there are."""
    path, text = next(iter(errors.items()))
    more = len(errors) - 1
    rest = f" (and {more} more)" if more else ""
    return f"{path} {text}.{rest}" if path else f"{text}{rest}"


def response(error: Exception) -> Response:
    """The answer to an error that a request may run into."""
    headers: dict[str, str] = {}
    if isinstance(error, Erased):
        content, status, headers = body(error.message), error.status, headers
    elif isinstance(error, Refused):
        content, status, headers = body(refusal_message(error.errors), error.errors), 422, headers
    elif isinstance(error, NotFound):
        content, status, headers = body(str(error), extra=error.extra), 404, headers
    elif isinstance(error, ApiError):
        content, status, headers = body(error.message, error.errors), error.status, error.headers
    elif isinstance(error, Denied):
        content, status, headers = body(error.message), error.status, error.headers
    else:
        content, status, headers = body(UNFORESEEN), 500, headers
    return Response(content, status, headers, media_type="application/json")


_REPORTING = "/v1/reporting"


def of_no_endpoint(path: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error of no endpoint, in the shape that those of its API have."""
    content = report_body(message) if f"{path}/".startswith(f"{_REPORTING}/") else body(message)
    return Response(content, status, headers, media_type="application/json")


def report_body(message: str, details: Mapping[str, object] | None = None, *, is_truncated: bool = False) -> bytes:
    """`{"error"}`, and for parameters that can't be `{"error", "details"}` in the shape of the request.

    `"truncated": true` where there may be more that is wrong.
    """
    answer: dict[str, object] = {"error": message, **({} if details is None else {"details": details})}
    if is_truncated:
        answer["truncated"] = True
    return msgspec.json.encode(answer)


def report_response(error: Exception) -> Response:
    """The answer of the Reporting API to an error that a request may run into."""
    headers: dict[str, str] = {}
    if isinstance(error, InvalidParametersError):
        content, status = report_body("Invalid parameters", error.details, is_truncated=error.is_truncated), 422
    elif isinstance(error, Denied | ApiError):
        content, status, headers = report_body(error.message), error.status, error.headers
    elif isinstance(error, NotJsonError):
        content, status = report_body(str(error)), 400
    elif isinstance(error, CatchingUpError | BusyError):
        content, status, headers = report_body(str(error)), 503, {"Retry-After": str(error.retry_after)}
    elif isinstance(error, UNREACHABLE):
        content, status = report_body("The database can't be reached now: try again in a moment."), 503
    else:
        content, status = report_body(UNFORESEEN), 500
    return Response(content, status, headers, media_type="application/json")
