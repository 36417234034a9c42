"""Lone surrogates in JSON, such as half of an emoji that was cut in two, which no database stores."""

import re

MAX_ESCAPES = 1_000
MAX_BYTES = 2_000_000
"""Larger bodies are not searched: no other thread runs meanwhile."""

_ESCAPE = re.compile(rb"\\u[dD]([89a-fA-F])[0-9a-fA-F]{2}")
_LOW = b"cdefCDEF"


def replace_lone_surrogates(body: bytes) -> bytes:
    r"""Returns the JSON with \u0000 in place of each lone surrogate, so that only the field that holds it is refused.

    A body of more than MAX_BYTES, or of more than MAX_ESCAPES escaped surrogates, is returned unchanged.
    """
    if len(body) > MAX_BYTES:
        return body
    found = bytearray(body)
    end = 0
    high: re.Match[bytes] | None = None
    for number, match in enumerate(_ESCAPE.finditer(body)):
        if number == MAX_ESCAPES:
            return body
        before = body[end : match.start()]
        end = match.end()
        if (len(before) - len(before.rstrip(b"\\"))) % 2:
            # Its backslash is the second of two, which stand for one in the text.
            continue
        is_low = match[1] in _LOW
        if high is not None and not (is_low and high.end() == match.start()):
            _blank(found, high)
            high = None
        if is_low and high is None:
            _blank(found, match)
        high = None if is_low else match
    if high is not None:
        _blank(found, high)
    return bytes(found)


def _blank(body: bytearray, surrogate: re.Match[bytes]) -> None:
    body[surrogate.end() - 4 : surrogate.end()] = b"0000"
