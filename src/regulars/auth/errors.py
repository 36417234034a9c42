"""The error of a request that is denied by authentication, authorization or a rate limit."""

from collections.abc import Mapping


class AccessDenied(Exception):  # noqa: N818 - the usual name, as in psutil.AccessDenied
    """A denied request: HTTP status, message and response headers.

    401: no valid credential. 403: a missing permit, or a customer without access. 429: rate limit exceeded. 470:
    missing header. 471: malformed header.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(message)
