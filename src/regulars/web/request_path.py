"""The path of a request: split at its slashes as they were sent, and each part decoded once."""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

_WELL_FORMED = re.compile(rb"/(?:[^%\\\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*")
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_@:-][A-Za-z0-9_@:.-]*)+")


class MalformedPathError(ValueError):
    """A path that is malformed or ambiguous; the message says why."""


def is_plain(raw: bytes) -> bool:
    """Whether a path needs no decoding, the usual case."""
    return _PLAIN.fullmatch(raw) is not None


def split_segments(raw: bytes) -> list[str]:
    """The parts between the slashes of a path, decoded once; the first is empty, as is the last of a trailing slash.

    A doubled slash is one slash. A percent-encoded slash is a character of its part, so a proxy that splits the path as
    it was sent gets the same parts. Raises MalformedPathError.
    """
    if not _WELL_FORMED.fullmatch(raw):
        raise MalformedPathError("The path is malformed: it must begin with a slash and be percent-encoded.")
    *before, last = raw.split(b"/")
    found = ["", *(_decoded(each) for each in before if each), _decoded(last)]
    if "." in found or ".." in found:
        raise MalformedPathError("The path has a part that is . or ..: send the resolved path.")
    return found


def _decoded(part: bytes) -> str:
    try:
        found = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise MalformedPathError("The path is malformed: decoded, it is not valid UTF-8.") from None
    if "\0" in found:
        raise MalformedPathError("The path must not hold a NUL character.")
    return found


def encode_segments(parts: Sequence[str]) -> str:
    """Parts as a path of a URL."""
    return "/".join(quote(each, safe="!$&'()*+,;=:@~") for each in parts)


def join_segments(parts: Sequence[str]) -> str:
    """Parts as one unambiguous text: a slash or a percent sign within a part stays encoded."""
    return "/".join(each.replace("%", "%25").replace("/", "%2F") for each in parts)
