"""Sendings and their events: loaded into a club, asked for as a client does, and counted by nothing but loops."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from clubs import Club
from regulars.access.customers import Customer
from regulars.facts.sending_events import EVENTS
from regulars.ingest import bulk, ndjson_rows
from regulars.ingest.batches import Options, Summary
from regulars.ingest.lines import lines
from regulars.query import intervals
from regulars.query.execution import Stores
from regulars.query.records import records
from regulars.query.request import parse
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports.interval import EVERY
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Format
from reports.standing import age_group

Row = Mapping[str, Any]

_ANSWERS: Mapping[Format, Any] = {
    Format.RECORDS: records,
    Format.TIMESERIES: timeseries,
    Format.STATISTICS: statistics,
}
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass
class Post:
    """A club that sends messages."""

    club: Club

    @property
    def customer(self) -> Customer:
        """The club as who is asked for."""
        own = self.club.community
        return Customer(own.id, own.id, own.id, 1, own.slug, own.name, own.timezone, own.currency, own.minor_digits, {})

    async def load(self, entity: str, rows: Iterable[Row | bytes], batch_rows: int = 5_000) -> Summary:
        """Loads rows as NDJSON."""
        content = b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in rows)
        return await bulk.load_one(
            self.club.database,
            self.club.server.committers,
            self.club.community.id,
            entity,
            lambda: ndjson_rows.rows(lines([content])),
            Options(batch_rows=batch_rows),
        )

    async def ask(self, report: str, **body: Any) -> Any:
        """An answer as a client reads it."""
        query = parse(_encoder.encode({"report": report, **body}), BY_NAME)
        answer = _ANSWERS[query.report.format]
        found = await answer(query, [self.customer], Stores(self.club.database), self.club.clock())
        return json.loads(_encoder.encode(found))

    async def sendings(self) -> dict[Any, Any]:
        """The records of sendings by reporting_id."""
        return {each["reporting_id"]: each for each in (await self.ask("sendings"))["records"]}

    async def series(self, report: str, **body: Any) -> dict[tuple[Any, ...], dict[str, int]]:
        """The values of a timeseries by label and bucket."""
        answer = await self.ask(report, **body)
        return {
            tuple(each["label"].values()): {
                bucket: value
                for bucket, value in zip(answer["time_buckets"], each["values"], strict=True)
                if value is not None
            }
            for each in answer["series"]
        }


# By nothing but loops ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipient:
    """A member as it is when something is sent."""

    gender: str
    born: datetime
    platform: str


def told(events: Iterable[Row]) -> list[Row]:
    """Events without their repeats."""
    return list({(each["sending"], each["dispatch"], each["external_id"]): each for each in events}.values())


def counters(events: Sequence[Row]) -> dict[str, int]:
    """What is counted of one sending."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for each in events:
        kinds[each["dispatch"]].add(each["event"])
    totals = Counter(each["event"] for each in events)
    return {
        "dispatches_count": len(kinds),
        "members_count": len({each["profile"] for each in events}),
        "new_count": sum(seen == {"scheduled"} for seen in kinds.values()),
        **{f"{event}_count": totals[event] for event in EVENTS if event != "scheduled"},
        "unique_opened_count": sum("opened" in seen for seen in kinds.values()),
        "unique_clicked_count": sum("clicked" in seen for seen in kinds.values()),
    }


def bucket(at: datetime, interval: str, zone: ZoneInfo) -> str:
    """The bucket of an instant as it is written."""
    step = {each.written: each for each in EVERY}[interval]
    return intervals.floor(at, step, zone).astimezone(zone).isoformat(timespec="milliseconds")


def history(events: Sequence[Row], interval: str, zone: ZoneInfo) -> dict[tuple[Any, ...], dict[str, int]]:
    """How many of each event there are in each bucket."""
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for each in events:
        found[(each["event"],)][bucket(datetime.fromisoformat(each["at"]), interval, zone)] += 1
    return {label: dict(values) for label, values in found.items()}


def recipients(
    events: Sequence[Row], by: str, interval: str, zone: ZoneInfo, members: Mapping[str, Recipient]
) -> dict[tuple[Any, ...], dict[str, int]]:
    """Recipients in the bucket of their first transmission in each sending."""
    firsts: dict[tuple[str, str], datetime] = {}
    for each in events:
        if each["event"] == "transmitted":
            who, at = (each["sending"], each["profile"]), datetime.fromisoformat(each["at"])
            firsts[who] = min(at, firsts.get(who, at))
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for (_, name), at in firsts.items():
        member = members[name]
        labels = {
            "gender": member.gender,
            "age": age_group(member.born.date(), at.astimezone(zone).date()),
            "optin_platform": member.platform,
        }
        found[(labels[by],)][bucket(at, interval, zone)] += 1
    return {label: dict(values) for label, values in found.items()}
