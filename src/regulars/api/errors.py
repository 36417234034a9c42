"""Errors of the Profile API: their status, and what is wrong by the path of the field."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from regulars.facts.refusals import NotFound, Refused
from regulars.facts.refusals import misfit as refused

__all__ = ["ApiError", "body", "refusal_message", "refused", "response"]


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
    """`{"message"}`, and for refusals `{"message", "errors": {path: [text]}}`."""
    answer: dict[str, object] = {"message": message, **(extra or {})}
    if errors:
        answer["errors"] = {path: [text] for path, text in errors.items()}
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
    if isinstance(error, Refused):
        content, status, headers = body(refusal_message(error.errors), error.errors), 422, headers
    elif isinstance(error, NotFound):
        content, status, headers = body(str(error), extra=error.extra), 404, headers
    elif isinstance(error, ApiError):
        content, status, headers = body(error.message, error.errors), error.status, error.headers
    else:
        content, status, headers = body("Something went wrong here; it has been logged."), 500, headers
    return Response(content, status, headers, media_type="application/json")
