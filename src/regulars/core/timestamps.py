"""Timestamps of the API: `YYYY-MM-DD HH:MM:SS` in UTC, or ISO 8601 with an offset; and IANA time zones."""

import zoneinfo
from datetime import UTC, datetime
from functools import lru_cache

from regulars.core.time_forms import parse_time

MIN_TIMESTAMP = datetime(1900, 1, 1, tzinfo=UTC)
MAX_TIMESTAMP = datetime(3000, 1, 1, tzinfo=UTC)

_FORMAT = "%04d-%02d-%02d %02d:%02d:%02d"

# Files of the time zone database that are not IANA zones.
_NOT_ZONES = {"localtime", "posixrules", "Factory"}
# Folders of the time zone database that PostgreSQL does not know.
_UNKNOWN_FOLDERS = ("posix/", "right/")
# PostgreSQL reads these names as abbreviations without daylight saving time.
_ABBREVIATIONS = {"CET": "Europe/Brussels", "EET": "Europe/Athens", "MET": "Europe/Brussels", "WET": "Europe/Lisbon"}


def parse_timestamp(text: str) -> datetime:
    """Parses a timestamp into UTC; without an offset it is UTC.

    Raises ValueError for other formats, and for years outside 1900 to 2999.
    """
    parsed = _parse(text)
    return check_range(parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed)


def parse_local_time(text: str) -> datetime | None:
    """The local time of a timestamp without an offset; None if it has one. Raises ValueError as `parse_timestamp`."""
    parsed = _parse(text)
    if parsed.tzinfo is not None:
        return None
    check_range(parsed.replace(tzinfo=UTC))
    return parsed


def parse_in_timezone(text: str, zone: str) -> datetime:
    """Parses a timestamp into UTC; without an offset it is local time of `zone`. Raises ValueError."""
    naive = parse_local_time(text)
    return parse_timestamp(text) if naive is None else local_to_utc(naive, zone)


def _parse(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError("must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset") from None


def check_range(at: datetime) -> datetime:
    """The instant in UTC. Raises ValueError for years outside 1900 to 2999."""
    try:
        timestamp = at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time in the years 1900 to 2999") from None
    if not MIN_TIMESTAMP <= timestamp < MAX_TIMESTAMP:
        raise ValueError("must be a time in the years 1900 to 2999")
    return timestamp


def format_timestamp(at: datetime) -> str:
    """Formats a timestamp for responses: UTC, truncated to the second."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    # isoformat() looks up the offset, and format() parses a specification for each part: both are slower.
    return _FORMAT % (at.year, at.month, at.day, at.hour, at.minute, at.second)


@lru_cache(maxsize=1024)
def zone_info(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of an IANA name. Raises ValueError for an unknown one."""
    if name in _NOT_ZONES or name.startswith(_UNKNOWN_FOLDERS):
        raise ValueError("must be an IANA time zone such as Europe/Oslo")
    if name in _ABBREVIATIONS:
        raise ValueError(f"must name a place, as {_ABBREVIATIONS[name]} does: {name} has no summer time everywhere")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Europe/Oslo") from None


def local_to_utc(naive: datetime, name: str) -> datetime:
    """Converts local time of a zone into UTC: the first of a repeated hour, and a skipped hour moves forward."""
    return naive.replace(tzinfo=zone_info(name), fold=0).astimezone(UTC)
