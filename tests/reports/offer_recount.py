"""Offers and what happens to them: loaded into a club, queried as a client does, and recounted by plain loops."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from query.timeseries_oracle import first_instant, is_retained, parse_instant
from regulars.ingest.commit import commit
from regulars.model.community_update import update_community
from reports.club_fixture import ClubFixture, Row

FIELDS = ("offer_id", "collection_ids", "store_id", "campaign_id", "type")
"""What events are filtered and counted by."""

Series = dict[tuple[Any, ...], dict[str, int]]


@dataclass
class OfferClub(ClubFixture):
    """A club that makes offers."""

    async def offers(self, **body: Any) -> dict[str, Any]:
        """The records of offers by name."""
        return {each["name"]: each for each in (await self.query("offers", **body))["records"]}

    async def change_timezone(self, zone: str) -> None:
        """Has the club live in another zone."""
        await commit(self.club.database, self.club.community.id, lambda uow: update_community(uow, timezone=zone))

    async def statistics(self, report: str, **body: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The values of statistics by label."""
        found = (await self.query(report, **body))["statistics"]
        return {tuple(each["label"].values()): each["values"] for each in found}


# By nothing but loops ---------------------------------------------------------------------------------------


def deduplicated(events: Iterable[Row]) -> list[Row]:
    """Events without their repeats."""
    return list({(each["offer"], each["external_id"]): each for each in events}.values())


def with_offer_fields(events: Iterable[Row], offers: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Events with the fields of their offers; `offers` hold ids of stores and collections. Of offers that have not
    come there is nothing.
    """
    return [
        {
            **offers[each["offer"]],
            **{name: each[name] for name in ("event", "at", "profile")},
            "store_id": each["store_id"] or offers[each["offer"]]["store_id"],
        }
        for each in deduplicated(events)
        if each["offer"] in offers
    ]


def labels(row: Row, by: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """What a row is counted under: once for each of its collections, or for none."""
    if "collection_ids" not in by:
        yield tuple(row[name] for name in by)
        return
    for each in row["collection_ids"] or [None]:
        yield tuple(each if name == "collection_ids" else row[name] for name in by)


def history(rows: Iterable[Row], by: Sequence[str], params: Mapping[str, str], zone: str, now: datetime) -> Series:
    """How many rows there are in each requested bucket that is retained."""
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    interval = params["interval"]
    since, until = (first_instant(parse_instant(params[end], zone), interval, zone) for end in ("from", "to"))
    for row in rows:
        bucket = first_instant(datetime.fromisoformat(row["at"]), interval, zone)
        if since <= bucket <= until and is_retained(bucket, interval, zone, now):
            written = bucket.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")
            for label in labels(row, by):
                found[label][written] += 1
    return {label: dict(values) for label, values in found.items()}


def statistics(
    rows: Iterable[Row], events: tuple[str, str], by: Sequence[str], params: Mapping[str, str], zone: str, rate: str
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """How often each event happened in a range, to how many members, and how often the second to each first."""
    since, until = (parse_instant(params[end], zone) for end in ("from", "to"))
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["event"] in events and since <= datetime.fromisoformat(row["at"]) < until:
            for label in labels(row, by):
                found[label].append(row)
    return {label: _measured(own, events, rate) for label, own in found.items()}


def _measured(rows: Sequence[Row], events: tuple[str, str], rate: str) -> dict[str, Any]:
    counts = Counter(row["event"] for row in rows)
    members = {each: {row["profile"] for row in rows if row["event"] == each} - {None} for each in events}
    first, second = (counts[each] for each in events)
    quotient = None
    if first:
        quotient = float((Decimal(second) / first).quantize(Decimal("0.0001"), ROUND_HALF_EVEN))
    return {
        **{each: counts[each] for each in events},
        **{f"unique_{each}": len(members[each]) for each in events},
        rate: quotient,
    }


# Drawn filters ----------------------------------------------------------------------------------------------


def random_filter(chance: random.Random, rows: Sequence[Row], depth: int = 2) -> dict[str, Any] | None:
    """A filter of some of what rows have, and now and then of what none has; None is none."""
    kind = chance.choice(["and", "or", "not", "none", "leaf", "leaf", "leaf"]) if depth else "leaf"
    if kind == "none":
        return None
    if kind == "not":
        return {"type": "not", "operation": random_filter(chance, rows, 0)}
    if kind in ("and", "or"):
        return {"type": kind, "operations": [random_filter(chance, rows, 0) for _ in range(chance.randint(1, 3))]}
    field = chance.choice(FIELDS)
    values = sorted({value for row in rows for (value,) in labels(row, (field,)) if value is not None})
    if field == "collection_ids":
        return {"type": "in", "field": field, "value": chance.sample(values, min(len(values), 2))}
    kind = chance.choice(["equal", "not_equal", "in", "not_in"])
    if kind in ("equal", "not_equal"):
        return {"type": kind, "field": field, "value": chance.choice([None, *values])}
    return {"type": kind, "field": field, "value": chance.sample(values, min(len(values), 2))}


def matches(row: Row, params: Mapping[str, Any] | None) -> bool:
    """Whether a row matches a filter."""
    match params:
        case None:
            return True
        case {"type": "and", "operations": parts}:
            return all(matches(row, each) for each in parts)
        case {"type": "or", "operations": parts}:
            return any(matches(row, each) for each in parts)
        case {"type": "not", "operation": part}:
            return not matches(row, part)
        case {"type": "in", "field": "collection_ids", "value": values}:
            return bool(set(row["collection_ids"]) & set(values))
        case {"type": "equal" | "in" as kind, "field": field, "value": value}:
            return bool(row[field] in (value if kind == "in" else [value]))
        case {"type": kind, "field": field, "value": value}:
            return bool(row[field] not in (value if kind == "not_in" else [value]))
    raise AssertionError(params)
