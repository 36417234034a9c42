"""Instants as the API reads and writes them: `YYYY-MM-DD HH:MM:SS` in UTC, or ISO 8601 with an offset."""

import zoneinfo
from datetime import UTC, datetime
from functools import lru_cache

MIN_TIMESTAMP = datetime(1900, 1, 1, tzinfo=UTC)
MAX_TIMESTAMP = datetime(3000, 1, 1, tzinfo=UTC)

_WRITTEN = "%04d-%02d-%02d %02d:%02d:%02d"

# Files of the zone database that are no zones, or this machine's own; folders that the database does not know.
_NO_PLACES = {"localtime", "posixrules", "Factory"}
_OTHER_COUNTS = ("posix/", "right/")
# To PostgreSQL these are abbreviations, without summer time, before they are zones.
_ABBREVIATIONS = {"CET": "Europe/Brussels", "EET": "Europe/Athens", "MET": "Europe/Brussels", "WET": "Europe/Lisbon"}


def parse_timestamp(text: str) -> datetime:
    """The instant that a text names, in UTC; without an offset it is UTC.

    Raises ValueError for anything else, and for years outside 1900 to 2999.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset") from None
    try:
        found = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time in the years 1900 to 2999") from None
    if not MIN_TIMESTAMP <= found < MAX_TIMESTAMP:
        raise ValueError("must be a time in the years 1900 to 2999")
    return found


def parse_in_timezone(text: str, zone: str) -> datetime:
    """The instant that a text of a file names, in UTC; without an offset it is of a zone. Raises ValueError."""
    at = parse_timestamp(text)
    naive = datetime.fromisoformat(text)
    return at if naive.tzinfo else local_to_utc(naive, zone)


def format_timestamp(at: datetime) -> str:
    """An instant as the API writes it: UTC, cut to the second."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    # isoformat() would ask the zone for its offset, and format() parse a specification for each part: both take longer.
    return _WRITTEN % (at.year, at.month, at.day, at.hour, at.minute, at.second)


@lru_cache(maxsize=1024)
def zone_info(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of an IANA name. Raises ValueError when there is none."""
    if name in _NO_PLACES or name.startswith(_OTHER_COUNTS):
        raise ValueError("must be an IANA time zone such as Europe/Oslo")
    if name in _ABBREVIATIONS:
        raise ValueError(f"must name a place, as {_ABBREVIATIONS[name]} does: {name} has no summer time everywhere")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Europe/Oslo") from None


def local_to_utc(naive: datetime, name: str) -> datetime:
    """The instant of a wall-clock time in a zone: a repeated hour is the first, a skipped one moves forward."""
    return naive.replace(tzinfo=zone_info(name), fold=0).astimezone(UTC)
