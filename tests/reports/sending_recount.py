"""Sendings and their events: loaded into a club, queried as a client does, and recounted by plain loops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from regulars.facts.sending_events import EVENT_TYPES
from regulars.query import local_buckets
from regulars.rollups.intervals import ALL_INTERVALS
from reports.club_fixture import ClubFixture, Row
from reports.member_recount import age_group


@dataclass
class SendingClub(ClubFixture):
    """A club that sends messages."""

    async def sendings(self) -> dict[Any, Any]:
        """The records of sendings by reporting_id."""
        return {each["reporting_id"]: each for each in (await self.query("sendings"))["records"]}


# By nothing but loops ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipient:
    """A member as it is when something is sent."""

    gender: str
    birth_date: datetime
    platform: str


def deduplicated(events: Iterable[Row]) -> list[Row]:
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
        **{f"{event}_count": totals[event] for event in EVENT_TYPES if event != "scheduled"},
        "unique_opened_count": sum("opened" in seen for seen in kinds.values()),
        "unique_clicked_count": sum("clicked" in seen for seen in kinds.values()),
    }


def rates(events: Sequence[Row]) -> dict[str, float | None]:
    """The rates of distinct dispatches: who opens or clicks has received the message, who clicks has opened it."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for each in events:
        kinds[each["dispatch"]].add(each["event"])

    def named(*types: str) -> set[str]:
        return {dispatch for dispatch, seen in kinds.items() if seen & set(types)}

    delivered, opened = named("delivered", "opened", "clicked"), named("opened", "clicked")
    divided = {
        "delivery": (delivered, set(kinds)),
        "open": (opened, delivered),
        "click_to_open": (named("clicked"), opened),
        "bounce": (named("bounced"), set(kinds)),
        "unsubscribe": (named("unsubscribed") & delivered, delivered),
    }
    return {name: round(len(part) / len(whole), 4) if whole else None for name, (part, whole) in divided.items()}


def bucket_label(at: datetime, interval: str, zone: ZoneInfo) -> str:
    """The bucket of an instant as it is written."""
    step = {each.code: each for each in ALL_INTERVALS}[interval]
    return local_buckets.bucket_start(at, step, zone).astimezone(zone).isoformat(timespec="milliseconds")


def history(events: Sequence[Row], interval: str, zone: ZoneInfo) -> dict[tuple[Any, ...], dict[str, int]]:
    """How many of each event there are in each bucket."""
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for each in events:
        found[(each["event"],)][bucket_label(datetime.fromisoformat(each["at"]), interval, zone)] += 1
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
            "age": age_group(member.birth_date.date(), at.astimezone(zone).date()),
            "optin_platform": member.platform,
        }
        found[(labels[by],)][bucket_label(at, interval, zone)] += 1
    return {label: dict(values) for label, values in found.items()}
