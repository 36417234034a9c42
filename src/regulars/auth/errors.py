"""Why a request is not answered: who asks, what for, or how often."""

from collections.abc import Mapping


class AccessDenied(Exception):  # noqa: N818 - it is the field's word, and not always an error
    """A request that is turned away: a status, a sentence that says what to do, and headers that go with it.

    401 no token that stands, 403 a permit or a customer that it lacks, 429 too many requests, 470 a header that is
    missing, 471 a header that is wrong.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(message)
