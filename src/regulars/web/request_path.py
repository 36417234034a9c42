"""The path of a request: split at the slashes as sent, then each segment decoded once."""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

_WELL_FORMED = re.compile(rb"/(?:[^%\\\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*")
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_@:-][A-Za-z0-9_@:.-]*)+")


class MalformedPathError(ValueError):
    """A path that is malformed or ambiguous; the message says why."""


def is_plain(raw: bytes) -> bool:
    """Whether a path needs no decoding, as usual."""
    return _PLAIN.fullmatch(raw) is not None


def split_segments(raw: bytes) -> list[str]:
    """Splits a path into segments and decodes each once. The first is empty, and the last if the path ends in a slash.

    Repeated slashes count as one. A percent-encoded slash belongs to its segment, so a proxy that splits the path as it
    was sent gets the same segments. Raises MalformedPathError.
    """
    if not _WELL_FORMED.fullmatch(raw):
        raise MalformedPathError("The path is malformed: it must begin with a slash and be percent-encoded.")
    *before, last = raw.split(b"/")
    decoded = ["", *(_decoded(each) for each in before if each), _decoded(last)]
    if "." in decoded or ".." in decoded:
        raise MalformedPathError("The path has a segment that is . or .., which is not allowed.")
    return decoded


def _decoded(segment: bytes) -> str:
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise MalformedPathError("The path is malformed: decoded, it is not valid UTF-8.") from None
    if "\0" in text:
        raise MalformedPathError("The path must not contain a NUL character.")
    return text


def encode_segments(segments: Sequence[str]) -> str:
    """Joins segments to the path of a URL."""
    return "/".join(quote(each, safe="!$&'()*+,;=:@~") for each in segments)


def join_segments(segments: Sequence[str]) -> str:
    """Joins segments to one unambiguous text: a slash or percent sign within a segment stays encoded."""
    return "/".join(each.replace("%", "%25").replace("/", "%2F") for each in segments)
