"""Cron expressions in a time zone: when a schedule runs, also on days when the clocks change."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

ALLOWED_FORMS = (
    "five fields: minute (0-59), hour (0-23), day of month (1-31 or L for the last), month (1-12 or JAN-DEC), day of week "
    "(0-7 or SUN-SAT); each is *, a number, a range 1-5, a step */15, or a list of them 1,15"
)

_ITEM = r"(?:\*|[0-9]{1,2}(?:-[0-9]{1,2})?|[A-Za-z]{3}(?:-[A-Za-z]{3})?)(?:/[0-9]{1,2})?"
_FIELD = re.compile(rf"{_ITEM}(?:,{_ITEM})*")
_FIELDS = 5
_DAY_OF_MONTH = 2
_LAST_DAY = "L"

MAX_EXPRESSION_LENGTH = 200

# No clock change is larger, except those that skip a day, which need no margin.
_LARGEST_CLOCK_CHANGE = timedelta(hours=3)
_HOUR = timedelta(hours=1)


class CronError(ValueError):
    """A cron expression is invalid. The message says why and what is allowed."""


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A validated cron expression in a time zone.

    A local time that is skipped when the clocks change runs at the end of the gap, and one that is repeated runs the first
    time. If the hour is `*`, `0-23` or a step of these, a skipped time runs as long after the gap as it would be in it,
    which for every hour is the next run, and a repeated time runs both times. Where half an hour is repeated, times of the
    other half run in it as well, by the clock before the change: each bucket of an hour has a run.
    """

    text: str
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> "CronExpression":
        """Parses five fields. Raises CronError, also for an expression that never runs."""
        fields = text.split()
        if len(text) > MAX_EXPRESSION_LENGTH or len(fields) != _FIELDS:
            raise CronError(f"Must have {ALLOWED_FORMS}. Found: {len(fields)} fields.")
        for place, field in enumerate(fields):
            if not (_FIELD.fullmatch(field) or (place == _DAY_OF_MONTH and field == _LAST_DAY)):
                raise CronError(f"The field {field!r} is not valid. Allowed: {ALLOWED_FORMS}.")
        found = cls(" ".join(fields), zone)
        try:
            next(found._local_times(datetime(2024, 1, 1)))  # noqa: DTZ001 - a local time
        except CroniterBadDateError:
            raise CronError("It never runs, because no such date exists.") from None
        except CroniterError as error:
            raise CronError(f"{str(error).strip('.').capitalize()}. Allowed: {ALLOWED_FORMS}.") from None
        return found

    def next_after(self, instant: datetime) -> datetime:
        """The first run after an instant (UTC)."""
        local = instant.astimezone(self.zone).replace(tzinfo=None)
        # Local times before `local` may be instants after it, when the clocks were put back.
        times = self._local_times(local - _LARGEST_CLOCK_CHANGE)
        found: list[datetime] = []
        time = local
        while not found or time <= local + _LARGEST_CLOCK_CHANGE:
            time = next(times)
            found += [each for each in self._instants(time) if each > instant]
        return min(found)

    def latest_until(self, instant: datetime, since: datetime) -> datetime:
        """The last run until an instant, and not before `since`, which is a run itself."""
        local = instant.astimezone(self.zone).replace(tzinfo=None)
        times = self._local_times(local + _LARGEST_CLOCK_CHANGE, backwards=True)
        found, instants, time = since, [instant], local
        while max(instants) >= since and (found == since or time >= local - _LARGEST_CLOCK_CHANGE):
            time = next(times)
            instants = self._instants(time)
            found = max([found, *(each for each in instants if each <= instant)])
        return found

    def _local_times(self, start: datetime, *, backwards: bool = False) -> Iterator[datetime]:
        """The local times, by an ideal clock, after or before a local time."""
        times = croniter(self.text, start, ret_type=datetime)
        while True:
            yield times.get_prev() if backwards else times.get_next()

    def _instants(self, local: datetime) -> list[datetime]:
        """The instants of a local time: two where it is repeated and the schedule runs every hour or every few hours."""
        first, second = (local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if self.text.split()[1].startswith(("*", "0-23")):
            # For a skipped time, fold=0 uses the offset before the gap.
            return sorted({first, max(first, second), first - self._lag(first)})
        return [first if first <= second else self._end_of_gap(second, first)]

    def _lag(self, at: datetime) -> timedelta:
        """By how much the clocks were put back within the hour before an instant."""
        earlier, now = ((each.astimezone(self.zone)).utcoffset() or timedelta(0) for each in (at - _HOUR, at))
        return max(timedelta(0), earlier - now)

    def _end_of_gap(self, before: datetime, after: datetime) -> datetime:
        """The instant between two others at which the offset of the zone changes."""
        offset = after.astimezone(self.zone).utcoffset()
        low, high = int(before.timestamp()), int(after.timestamp())
        while high - low > 1:
            middle = (low + high) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == offset:
                high = middle
            else:
                low = middle
        return datetime.fromtimestamp(high, UTC)
