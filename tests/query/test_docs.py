"""The examples of docs/time.md: the bucket of each instant, and the result of each query."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from query.event_reports import HISTORY, SampleEvent, build_query, create_tenant
from regulars.query import local_buckets
from regulars.query.backends import Backends
from regulars.query.formats.timeseries import timeseries
from regulars.rollups.intervals import ALL_INTERVALS, Interval
from regulars.storage.database import Database

PAGE = (Path(__file__).parent.parent.parent / "docs" / "time.md").read_text()
BUCKETS = re.findall(r"^\| (\w+/\w+) \| `(\w+)` \| (\S+Z) \| (\S+) \|", PAGE, re.MULTILINE)
ONE_ZONE, SEVERAL_ZONES = (json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(("name", "interval", "at", "bucket"), BUCKETS)
def test_an_instant_is_in_the_documented_bucket(name: str, interval: str, at: str, bucket: str) -> None:
    steps = {each.code: each for each in ALL_INTERVALS}
    start = local_buckets.bucket_start(datetime.fromisoformat(at), steps[interval], ZoneInfo(name))
    assert start.astimezone(ZoneInfo(name)).isoformat(timespec="milliseconds") == bucket


def test_the_documented_retention_and_limits_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    days = [interval.retention.days for interval in ALL_INTERVALS if interval.retention is not None]
    assert (
        "`5m` buckets are retained for {} days after their end, `1h` for {} days, `1d` for {} days,".format(*days)
        in text
    )
    assert f"More than {local_buckets.MAX_BUCKETS} buckets after the first" in text


async def test_the_documented_results_are_those_of_the_repeated_hour(database: Database) -> None:
    times = ("2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T01:40Z")
    oslo = await create_tenant(database, "Europe/Oslo", [SampleEvent(datetime.fromisoformat(each)) for each in times])
    kolkata = await create_tenant(database, "Asia/Kolkata", [SampleEvent(datetime.fromisoformat("2026-10-24T20:45Z"))])
    alone = build_query(HISTORY, "2026-10-25T00:00Z", "2026-10-25T01:00Z", interval=Interval.HOUR)
    both = build_query(HISTORY, "2026-10-25T02:00", "2026-10-25T02:00", "total", Interval.HOUR)
    assert json.dumps(await timeseries(alone, [oslo], Backends(database), NOW)) == json.dumps(ONE_ZONE)
    assert json.dumps(await timeseries(both, [oslo, kolkata], Backends(database), NOW)) == json.dumps(SEVERAL_ZONES)
