"""Halves of surrogate pairs in JSON: of an emoji that was cut in two, which no database stores."""

import re

MOST = 1_000
LARGEST = 2_000_000
"""Bytes of a body that is searched: no other thread runs meanwhile."""

_ESCAPE = re.compile(rb"\\u[dD]([89a-fA-F])[0-9a-fA-F]{2}")
_LOW = b"cdefCDEF"


def without_half_pairs(body: bytes) -> bytes:
    r"""The same JSON with \u0000 in the place of each half, so that the field that has it is refused and no other.

    It is as it came where it is larger than LARGEST, or has more than MOST escapes of surrogates.
    """
    if len(body) > LARGEST:
        return body
    found = bytearray(body)
    end = 0
    high: re.Match[bytes] | None = None
    for number, match in enumerate(_ESCAPE.finditer(body)):
        if number == MOST:
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


def _blank(body: bytearray, half: re.Match[bytes]) -> None:
    body[half.end() - 4 : half.end()] = b"0000"
