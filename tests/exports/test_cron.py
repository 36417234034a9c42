"""Cron expressions: what is allowed, and when they run where the clocks change."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hypothesis_settings import SEED, examples
from regulars.exports.cron import CronError, CronExpression

OSLO = ZoneInfo("Europe/Oslo")


def runs(text: str, start: str, count: int, zone: ZoneInfo = OSLO) -> list[str]:
    """The next runs after a local time, as local times with their offset."""
    cron = CronExpression.parse(text, zone)
    at = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    found = []
    for _ in range(count):
        at = cron.next_after(at)
        found.append(at.astimezone(zone).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 6 * * *", ["2026-12-02T06:00+01:00", "2026-12-03T06:00+01:00"]),
        ("*/15 * * * *", ["2026-12-01T12:15+01:00", "2026-12-01T12:30+01:00"]),
        ("0 6 * * MON-FRI", ["2026-12-02T06:00+01:00", "2026-12-03T06:00+01:00"]),
        ("0 6 * * 7", ["2026-12-06T06:00+01:00", "2026-12-13T06:00+01:00"]),
        ("30 7 1,15 JAN-MAR *", ["2027-01-01T07:30+01:00", "2027-01-15T07:30+01:00"]),
        ("0 0 L * *", ["2026-12-31T00:00+01:00", "2027-01-31T00:00+01:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00+01:00", "2032-02-29T00:00+01:00"]),
    ],
)
def test_runs_are_at_local_times(text: str, expected: list[str]) -> None:
    assert runs(text, "2026-12-01T12:00", len(expected)) == expected


def test_a_skipped_local_time_runs_at_the_end_of_the_gap() -> None:
    assert runs("30 2 * * *", "2026-03-28T12:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]
    # Several skipped times are one run.
    assert runs("*/20 2 * * *", "2026-03-28T12:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]


def test_a_repeated_local_time_runs_the_first_time() -> None:
    assert runs("30 2 * * *", "2026-10-24T12:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


@pytest.mark.parametrize("hour", ["*", "0-23", "*/1"])
def test_a_schedule_of_every_hour_runs_in_both_of_the_repeated_hours(hour: str) -> None:
    assert runs(f"0 {hour} * * *", "2026-10-25T01:00", 4) == [
        "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00", "2026-10-25T04:00+01:00",
    ]  # fmt: skip


@pytest.mark.parametrize("hour", ["*", "0-23", "*/1"])
def test_a_schedule_of_every_hour_has_no_additional_run_for_a_skipped_hour(hour: str) -> None:
    assert runs(f"45 {hour} * * *", "2026-03-29T01:00", 3) == [
        "2026-03-29T01:45+01:00", "2026-03-29T03:45+02:00", "2026-03-29T04:45+02:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        (0, ["01:00+11:00", "01:30+10:30", "02:00+10:30"]),
        (20, ["01:20+11:00", "01:50+10:30", "02:20+10:30"]),
        (45, ["01:45+11:00", "01:45+10:30", "02:45+10:30"]),
    ],
)
def test_a_schedule_of_every_hour_runs_in_the_repeated_half_hour(minute: int, expected: list[str]) -> None:
    found = runs(f"{minute} * * * *", "2026-04-05T00:50", 3, ZoneInfo("Australia/Lord_Howe"))
    assert [each[11:] for each in found] == expected


def test_skipped_times_of_a_step_run_after_the_gap() -> None:
    assert runs("*/20 * * * *", "2026-03-29T01:30", 3) == [
        "2026-03-29T01:40+01:00", "2026-03-29T03:00+02:00", "2026-03-29T03:20+02:00",
    ]  # fmt: skip
    assert runs("45 */2 * * *", "2026-03-29T00:00", 3) == [
        "2026-03-29T00:45+01:00", "2026-03-29T03:45+02:00", "2026-03-29T04:45+02:00",
    ]  # fmt: skip


def test_a_skipped_day_runs_at_its_end() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert runs("0 6 * * *", "2011-12-29T12:00", 2, apia) == ["2011-12-31T00:00+14:00", "2011-12-31T06:00+14:00"]


def test_the_last_run_of_several_missed_ones_is_found() -> None:
    cron = CronExpression.parse("0 6 * * *", OSLO)
    since = datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert cron.latest_until(datetime(2026, 12, 1, 5, tzinfo=UTC), since) == since
    assert cron.latest_until(datetime(2026, 12, 9, 4, 59, tzinfo=UTC), since) == datetime(2026, 12, 8, 5, tzinfo=UTC)
    yearly = CronExpression.parse("0 0 1 1 *", OSLO)
    new_year = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert yearly.latest_until(datetime(2026, 12, 9, tzinfo=UTC), new_year) == new_year


def test_no_run_is_skipped_or_repeated_at_random_instants() -> None:
    draw = random.Random(SEED)
    for _ in range(examples(30)):
        zone = ZoneInfo(
            draw.choice(["Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
        )
        text = draw.choice(["*/30 * * * *", "15 */2 * * *", "30 2 * * *", "0 1,2,3 * * *", "45 1 * * SUN"])
        cron = CronExpression.parse(text, zone)
        # Within days of the clock changes of these zones.
        start = datetime(2026, draw.choice([3, 4, 10, 11]), 1, tzinfo=UTC) + timedelta(minutes=draw.randrange(40_000))
        at, expected = start, []
        while at < start + timedelta(days=4):
            following = cron.next_after(at)
            assert following > at
            expected.append(following)
            at = following
        moment = start + timedelta(minutes=draw.randrange(4 * 24 * 60))
        assert cron.next_after(moment) == min(each for each in expected if each > moment), (text, zone, moment)
        past = [each for each in expected if each <= moment]
        if past:
            assert cron.latest_until(moment, expected[0]) == past[-1], (text, zone, moment)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Must have five fields: .* Found: 0 fields"),
        ("0 6 * *", "Found: 4 fields"),
        ("0 6 * * * *", "Found: 6 fields"),
        ("@daily", "Found: 1 fields"),
        (f"{'0,' * 200}0 * * * *", "Must have five fields"),
        ("61 * * * *", "out of range"),
        ("R * * * *", "The field 'R' is not valid. Allowed: five fields"),
        ("0 6 */0 * *", "step '0' in field 2 is not acceptable"),
        ("0 6 * XYZ *", "is not acceptable"),
        ("0 6 L-1 * *", "The field 'L-1' is not valid"),
        ("0 6 30 2 *", "It never runs, because no such date exists."),
    ],
)
def test_other_forms_are_an_error_that_names_the_allowed_ones(text: str, message: str) -> None:
    with pytest.raises(CronError, match=message):
        CronExpression.parse(text, OSLO)
