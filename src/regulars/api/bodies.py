"""Bodies of requests and answers: held to limits, and parsed and written beside the event loop where it takes long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request

from regulars.api.errors import ApiError

_log = structlog.get_logger("regulars.api")

SMALL = 64 * 1024
"""A body of so many bytes is parsed at once; a larger one beside the event loop."""

MOST_VALUES = 100_000
"""A body that is one thing has no more values of JSON; neither has a row of a batch, nor a request for a report."""

MOST_VALUES_OF_ROWS = 1_000_000
"""Nor has a body that is a batch of rows."""

_THREADS = 2
"""More would only compete with the event loop: Python runs one of them at a time."""

Result = TypeVar("Result")

_encoder = msgspec.json.Encoder(decimal_format="number")


def encoded(value: object) -> bytes:
    """An answer as JSON: money as numbers that keep their decimals."""
    return _encoder.encode(value)


_TYPES_OF_JSON = frozenset(("", "application/json", "text/json", "application/x-www-form-urlencoded"))
"""What is sent without a type is taken for JSON, and so is what curl sends as a form where it is not given a type."""


def require_json(request: Request) -> None:
    """Raises ApiError 415 for a body that says that it is something else than JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES_OF_JSON and not kind.endswith("+json"):
        raise ApiError(415, f"The Content-Type is {kind[:100]}: send application/json.")


async def read(request: Request, most: int) -> bytes:
    """The whole body of a request. Raises ApiError: 413 beyond `most` bytes, 400 where it breaks off."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and len(declared) < 19 and int(declared) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            chunks.append(chunk)
    except ClientDisconnect:
        # A client that went away does not read this answer; one whose chunks are malformed does.
        _log.info("request.truncated", method=request.method, path=request.scope.get("endpoint_path", ""), bytes=size)
        raise ApiError(400, f"The body is truncated or malformed after {size} bytes: send it again.") from None
    return b"".join(chunks)


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The body is larger than {most} bytes: send it in parts, or rows by /v1/import.")


def require_few_values(body: bytes, most: int = MOST_VALUES) -> None:
    """Raises ApiError 413 for JSON of more values than `most`, before any of them takes memory.

    Commas and brackets are counted, those within texts too: there are never more values.
    """
    if len(body) > most and body.count(b",") + body.count(b"[") + body.count(b"{") > most:
        raise ApiError(413, f"The body has more than {most} values, commas and brackets: send it in parts.")


@cache
def most_values(shape: Any) -> int:
    """How many values a body that must fit a shape may have: more where it is a batch, whose rows are parsed one by
    one.
    """
    return MOST_VALUES_OF_ROWS if _has_rows(msgspec.inspect.type_info(shape)) else MOST_VALUES


def _has_rows(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(map(_has_rows, kind.types))
    if isinstance(kind, msgspec.inspect.StructType):
        return any(_is_rows(field.type) for field in kind.fields)
    return _is_rows(kind)


def _is_rows(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(map(_is_rows, kind.types))
    lists = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)
    return isinstance(kind, lists) and isinstance(kind.item_type, msgspec.inspect.RawType)


_PART = 500
"""Elements of a list that are encoded at once: no other thread runs meanwhile."""


def encoded_in_parts(answer: object) -> bytes:
    """An answer as `encoded` gives it, its long lists in parts, such as the records of a report."""
    if not isinstance(answer, dict):
        return encoded(answer)
    members = (encoded(name) + b":" + _value_in_parts(value) for name, value in answer.items())
    return b"{" + b",".join(members) + b"}"


def _value_in_parts(value: object) -> bytes:
    if not isinstance(value, list) or len(value) <= _PART:
        return encoded(value)
    parts = (encoded(value[start : start + _PART])[1:-1] for start in range(0, len(value), _PART))
    return b"[" + b",".join(parts) + b"]"


class Beside:
    """Work of Python that takes long, done beside the event loop by few threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "regulars-beside")

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """What the work gives. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Ends its threads, once their work is done."""
        self._threads.shutdown()
