"""Visits of links: drawn, and counted by nothing but loops and sets."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clubs import START
from reports.sending_recount import bucket_label

Row = Mapping[str, Any]
VisitCounts = dict[Any, tuple[int, int]]
"""By group how many visits there are, and how many different visitors."""

MEMBERS = tuple(f"M{n}" for n in range(8))
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
FIELDS = ("source_type", "source_id", "host", "path", *UTM)

SENDINGS: Mapping[str, Row] = {
    "S1": {"external_id": "S1", "channel": "email", "reporting_id": 41, "service_type": "campaigns"},
    "S2": {"external_id": "S2", "channel": "sms", "reporting_id": 42},
    "S3": {"external_id": "S3", "channel": "push", "service_type": "triggered"},
    "S4": {"external_id": "S4", "channel": "push", "service_type": "triggered"},
    "S5": {"external_id": "S5", "channel": "push"},
}
"""Two share what they are reported by; of one there is nothing to report it by."""

_SOURCES: tuple[Row, ...] = (*({"sending": each} for each in SENDINGS), {"offer": "42"}, {"offer": "O2"}, {})


def random_visits(chance: random.Random, number: int, days: int = 40) -> list[Row]:
    """Visits, some of them twice: by members, by cookies, by unknown visitors."""
    found: list[Row] = []
    for n in range(number):
        at = START - timedelta(minutes=chance.choice([chance.randint(1, 300), chance.randint(1, 60 * 24 * days)]))
        query = "&".join(f"{name}={chance.choice('ab')}" for name in chance.sample(UTM, chance.randint(0, 2)))
        names = {"profile": chance.choice(MEMBERS), "visitor": f"k{chance.randint(1, 5)}"}
        who = {name: value for name, value in names.items() if chance.random() < 0.6}
        found.append(
            {
                "external_id": f"V{n}",
                "at": at.isoformat(),
                "url": f"https://{chance.choice(('a.example', 'B.example'))}/{chance.choice('xy')}?id={n}&{query}",
                **chance.choice(_SOURCES),
                **who,
            }
        )
    return found + chance.sample(found, number // 3)


def deduplicated(visits: Iterable[Row]) -> list[Row]:
    """Visits without their repeats."""
    return list({each["external_id"]: each for each in visits}.values())


def link_fields(visit: Row) -> dict[str, Any]:
    """The fields of a visit's link."""
    before, _, query = visit["url"].removeprefix("https://").partition("?")
    host, _, path = before.partition("/")
    said = dict(part.split("=") for part in query.split("&") if part)
    sending = SENDINGS.get(visit.get("sending", ""), {})
    reported = sending.get("reporting_id")
    return {
        "source_type": "sending" if "sending" in visit else "offer" if "offer" in visit else "other",
        "source_id": str(reported) if reported else sending.get("service_type") or visit.get("offer"),
        "host": host.lower(),
        "path": "/" + path,
        **{name: said.get(name) for name in UTM},
    }


def count_visits(visits: Iterable[Row], by: Callable[[Row], Hashable]) -> VisitCounts:
    """Visits and different visitors by group: a visitor is the profile where there is one, else what is reported."""
    visits_of: dict[Hashable, int] = defaultdict(int)
    visitors: dict[Hashable, set[tuple[str, str]]] = defaultdict(set)
    for each in visits:
        group = by(each)
        visits_of[group] += 1
        if "profile" in each:
            visitors[group].add(("profile", each["profile"]))
        elif "visitor" in each:
            visitors[group].add(("visitor", each["visitor"]))
    return {group: (n, len(visitors[group])) for group, n in visits_of.items()}


def bucket_of(interval: str, zone: str) -> Callable[[Row], str]:
    """The bucket of a visit as it is written."""
    return lambda visit: bucket_label(datetime.fromisoformat(visit["at"]), interval, ZoneInfo(zone))


WHOLE_RANGE = {"from": "2026-10-01", "to": "2026-11-02"}
"""When all visits by `visit` are."""


def make_visit(number: int, **more: Any) -> dict[str, Any]:
    """A visit of one link, each a second after the one before."""
    at = (START - timedelta(days=1) + timedelta(seconds=number)).isoformat()
    return {"external_id": f"E{number}", "at": at, "url": "https://a.example/x", "visitor": f"k{number}", **more}
