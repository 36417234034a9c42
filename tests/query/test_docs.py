"""docs/time.md is true: of each instant that it names the bucket, of each request the answer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from query.happenings import HISTORY, Happening, asked, customer
from regulars.query import intervals
from regulars.query.execution import Stores
from regulars.query.timeseries import timeseries
from regulars.reports.interval import EVERY, Interval
from regulars.storage.database import Database

PAGE = (Path(__file__).parent.parent.parent / "docs" / "time.md").read_text()
BUCKETS = re.findall(r"^\| (\w+/\w+) \| `(\w+)` \| (\S+Z) \| (\S+) \|", PAGE, re.MULTILINE)
ONE_ZONE, SEVERAL_ZONES = (json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(("name", "interval", "at", "bucket"), BUCKETS)
def test_an_instant_is_in_the_bucket_that_the_page_says(name: str, interval: str, at: str, bucket: str) -> None:
    steps = {each.written: each for each in EVERY}
    start = intervals.floor(datetime.fromisoformat(at), steps[interval], ZoneInfo(name))
    assert start.astimezone(ZoneInfo(name)).isoformat(timespec="milliseconds") == bucket


def test_intervals_are_kept_as_long_as_the_page_says() -> None:
    text = " ".join(PAGE.split())
    days = [interval.kept.days for interval in EVERY if interval.kept is not None]
    assert "`5m` buckets are kept for {} days, `1h` for {}, `1d` for {}, all".format(*days) in text
    assert f"at most {intervals.MOST_BUCKETS} may begin" in text


async def test_the_page_s_answers_are_those_of_the_repeated_hour(database: Database) -> None:
    times = ("2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T01:40Z")
    oslo = await customer(database, "Europe/Oslo", [Happening(datetime.fromisoformat(each)) for each in times])
    kolkata = await customer(database, "Asia/Kolkata", [Happening(datetime.fromisoformat("2026-10-24T20:45Z"))])
    alone = asked(HISTORY, "2026-10-25T00:00Z", "2026-10-25T01:00Z", interval=Interval.HOUR)
    both = asked(HISTORY, "2026-10-25T02:00", "2026-10-25T02:00", "total", Interval.HOUR)
    assert json.dumps(await timeseries(alone, [oslo], Stores(database), NOW)) == json.dumps(ONE_ZONE)
    assert json.dumps(await timeseries(both, [oslo, kolkata], Stores(database), NOW)) == json.dumps(SEVERAL_ZONES)
