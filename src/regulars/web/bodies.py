"""Request and response bodies: read within limits, decode, and encode without blocking other threads for long."""

from functools import cache
from typing import Any

import msgspec
import structlog
from starlette.requests import Request

from regulars.core.errors import encode_message, from_msgspec
from regulars.web.errors import ApiError
from regulars.web.lone_surrogates import replace_lone_surrogates

_log = structlog.get_logger("regulars.api")

MAX_INLINE_BYTES = 64 * 1024
"""Bodies up to this size are parsed in the event loop, larger ones in a worker thread."""

MAX_VALUES = 100_000
"""Most JSON values in a body that is one object, in a row of a batch, and in a report request."""

MAX_BATCH_VALUES = 1_000_000
"""Most JSON values in a body that is a batch of rows."""

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_message)


def encode(value: object) -> bytes:
    """Encodes a response as JSON; decimals become numbers with all their digits."""
    return _encoder.encode(value)


_JSON_TYPES = frozenset(("", "application/json", "text/json", "application/x-www-form-urlencoded"))
"""A form is accepted as JSON, because curl sends this type unless another is specified."""


def require_json(request: Request) -> None:
    """Raises ApiError 415 for a Content-Type other than JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        raise ApiError(415, f"The Content-Type is {kind[:100]}. Send application/json.")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Reads the body of a request. Raises ApiError 413 above `max_bytes`, 400 if it is truncated."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and len(declared) < 19 and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    while (message := await request.receive())["type"] == "http.request":
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunk if len(chunks) == 1 else b"".join(chunks)
    # A disconnected client does not read this response, but one that sent malformed chunks does.
    _log.info("request.truncated", method=request.method, path=request.scope.get("endpoint_path", ""), bytes=size)
    raise ApiError(400, f"The body is truncated or malformed after {size} bytes. Send it again.")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        413, f"The body is larger than {max_bytes} bytes. Send it in several requests, or import rows with /v1/import."
    )


def require_value_limit(body: bytes, limit: int = MAX_VALUES) -> None:
    """Raises ApiError 413 for JSON with more than `limit` values, before it is parsed.

    It counts commas and brackets, including those in strings; there are never more values than these.
    """
    if len(body) > limit and body.count(b",") + body.count(b"[") + body.count(b"{") > limit:
        raise ApiError(413, f"The body has more than {limit} values. Send it in several requests.")


@cache
def value_limit(model: Any) -> int:
    """The most values that a body of this model may have; more for a batch, whose rows are parsed one by one."""
    return MAX_BATCH_VALUES if _has_rows(msgspec.inspect.type_info(model)) else MAX_VALUES


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


_CHUNK_SIZE = 500
"""List elements that are encoded in one call, during which no other thread runs."""


def encode_in_chunks(response: object) -> bytes:
    """Encodes as `encode` does, but long lists, such as the records of a report, in chunks."""
    if not isinstance(response, dict):
        return encode(response)
    members = (encode(name) + b":" + _value_in_chunks(value) for name, value in response.items())
    return b"{" + b",".join(members) + b"}"


def _value_in_chunks(value: object) -> bytes:
    if not isinstance(value, list) or len(value) <= _CHUNK_SIZE:
        return encode(value)
    chunks = (encode(value[start : start + _CHUNK_SIZE])[1:-1] for start in range(0, len(value), _CHUNK_SIZE))
    return b"[" + b",".join(chunks) + b"]"


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode_body(body: bytes, model: Any) -> Any:
    """Decodes a JSON body; unknown keys are ignored, and numbers may be strings.

    Raises ApiError 413 for too many values and 400 for invalid JSON, ValidationError by path for a wrong type.
    """
    if not body:
        raise ApiError(400, "The body is empty. Send JSON, at least `{}`.")
    require_value_limit(body, value_limit(model))
    decoder = _decoders.get(model)
    if decoder is None:
        decoder = _decoders.setdefault(model, msgspec.json.Decoder(model, strict=False))
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise from_msgspec(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # A lone surrogate invalidates only its own field, like NUL, and not the whole body.
        replaced = replace_lone_surrogates(body)
        if replaced != body:
            return decode_body(replaced, model)
        raise ApiError(400, f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply.") from None
