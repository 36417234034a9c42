"""Lone surrogates in JSON, such as half of a truncated emoji, which PostgreSQL does not store."""

import re

MAX_ESCAPES = 1_000
MAX_BYTES = 2_000_000
"""Larger bodies are not searched, because no other thread could run during the search."""

_ESCAPE = re.compile(rb"\\u[dD]([89a-fA-F])[0-9a-fA-F]{2}")
_LOW = b"cdefCDEF"


def replace_lone_surrogates(body: bytes) -> bytes:
    r"""Replaces each lone surrogate with \u0000, so that only the field that contains it is invalid.

    A body of more than MAX_BYTES, or of more than MAX_ESCAPES escaped surrogates, is returned unchanged.
    """
    if len(body) > MAX_BYTES:
        return body
    replaced = bytearray(body)
    end = 0
    high: re.Match[bytes] | None = None
    for number, match in enumerate(_ESCAPE.finditer(body)):
        if number == MAX_ESCAPES:
            return body
        before = body[end : match.start()]
        end = match.end()
        if (len(before) - len(before.rstrip(b"\\"))) % 2:
            # The backslash is itself escaped.
            continue
        is_low = match[1] in _LOW
        if high is not None and not (is_low and high.end() == match.start()):
            _replace(replaced, high)
            high = None
        if is_low and high is None:
            _replace(replaced, match)
        high = None if is_low else match
    if high is not None:
        _replace(replaced, high)
    return bytes(replaced)


def _replace(body: bytearray, surrogate: re.Match[bytes]) -> None:
    body[surrogate.end() - 4 : surrogate.end()] = b"0000"
