"""The database knows every zone that is accepted, and means the same by it."""

from __future__ import annotations

import zoneinfo

import psycopg
import pytest

from postgres_servers import on_both_servers_if_long
from regulars.core import timestamps

# On either side of what clocks do, in years whose rules have long been settled.
_INSTANTS = "generate_series('2000-01-01T00:30Z'::timestamptz, '2020-01-01Z', '11 days 7 hours')"


@pytest.mark.slow
@on_both_servers_if_long
def test_python_and_postgresql_agree_on_every_accepted_time_zone(database_urls: tuple[str, str]) -> None:
    accepted = []
    for name in sorted(zoneinfo.available_timezones()):
        try:
            accepted.append((name, timestamps.zone_info(name)))
        except ValueError:
            continue
    assert len(accepted) > 400
    with psycopg.connect(database_urls[1]) as connection:
        for name, zone in accepted:
            rows = connection.execute(f"SELECT at, at AT TIME ZONE %s FROM {_INSTANTS} AS at", [name]).fetchall()
            assert [local for _, local in rows] == [at.astimezone(zone).replace(tzinfo=None) for at, _ in rows], name


@pytest.mark.parametrize(
    "name", ["posix/Europe/Oslo", "right/Europe/Oslo", "localtime", "Mars/Olympus", "", "../etc/passwd", "europe"]
)
def test_time_zones_unknown_to_postgresql_are_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="must be an IANA time zone"):
        timestamps.zone_info(name)


@pytest.mark.parametrize("name", ["CET", "EET", "MET", "WET"])
def test_abbreviations_are_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="must name a place, as Europe/"):
        timestamps.zone_info(name)
