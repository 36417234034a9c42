"""The request of an endpoint: Starlette's, with cheap look-ups of headers."""

from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request


class _ApiHeaders(Headers):
    """Headers of which one is looked up without an exception for each that is missing."""

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of a header."""
        name = key.lower().encode("latin-1")
        for each, value in self._list:
            if each == name:
                return value.decode("latin-1")
        return default


class ApiRequest(Request):
    """A request of an endpoint."""

    @property
    def headers(self) -> Headers:
        """The headers of the request."""
        if not hasattr(self, "_headers"):
            self._headers = _ApiHeaders(scope=self.scope)
        return self._headers
