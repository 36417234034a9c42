"""One club drawn at random: as files for the live store, and as the tables that a report is computed of."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa

from clubs import START, Club
from loading.file_loader import FileLoader
from reports import random_members

Rows = list[dict[str, Any]]

TYPES = ("active", "active", "active", "temporary", "system")
PHONES = ("", "+47 412345{}", "0046 70 123 4{}", "+1 202 555 01{}", "412345{}")
HOMES: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"country": "SE"}],
    [{"line": "x"}, {"country": "DK"}, {"iso": "FI", "is_default": True}],
)
STATUSES = (None, "enabled", "verified", "unsubscribed")


@dataclass(frozen=True)
class RandomProfiles:
    """The rows of a club's files; None is left out."""

    profiles: Rows
    memberships: Rows
    transactions: Rows


def random_profiles(chance: random.Random, stores: Sequence[int], number: int) -> RandomProfiles:
    """Members with all that reports know of them, who come and go at instants of their own, and buy."""
    profiles: Rows = []
    memberships: Rows = []
    transactions: Rows = []
    for place in range(number):
        profile = f"P{place:03d}"
        member = random_members.as_request(random_members.random_member(chance))
        instants = iter(chance.sample(range(1_500_000), 5))
        profiles.append(
            {
                **member,
                "external_id": profile,
                "joined_at": chance.choice((None, _ago(next(instants)))),
                "profile_type": chance.choice(TYPES),
                "optin_subchannel": chance.choice((None, "spring", "autumn: late")),
                "mobile_phone": chance.choice(PHONES).format(f"{place:02d}") or None,
                "addresses": chance.choice(HOMES),
                "sms_status": chance.choice(STATUSES),
                "push_status": chance.choice(STATUSES),
                "group_ids": chance.sample((7, 8), chance.randint(0, 2)),
                "favorite_stores": chance.sample(list(stores), chance.randint(0, 2)),
                "properties": {**member["properties"], "E-mail": "a@example.org", "size": chance.choice((38, 40.5))},
            }
        )
        for _ in range(chance.choice((0, 0, 1, 2, 4))):
            has_details = chance.random() < 0.3
            memberships.append(
                {
                    "profile": profile,
                    "type": chance.choice(("in", "out")),
                    "at": _ago(next(instants)),
                    "optin_channel": chance.choice(random_members.CHANNELS) if has_details else None,
                    "consents": {"profiling": chance.random() < 0.5} if has_details else None,
                }
            )
        for sale in range(chance.choice((0, 0, 1, 3))):
            transactions.append(
                {
                    "external_id": f"{profile}-{sale}",
                    "profile": profile,
                    "transacted_at": _ago(chance.randrange(900_000)),
                    "total": str(chance.choice((10, 240.5, 1000))),
                }
            )
    return RandomProfiles(profiles, memberships, transactions)


def _ago(minutes: int) -> str:
    return (START - timedelta(minutes=minutes)).isoformat()


async def load(club: Club, loading: FileLoader, club_drawn: RandomProfiles) -> None:
    """Loads the files into the live store."""
    for entity in ("profiles", "memberships", "transactions"):
        summary = await loading(entity, _as_csv(getattr(club_drawn, entity)), f"{entity}.csv")
        assert summary.rejections == [], summary.rejections[:3]


async def as_tables(club: Club, club_drawn: RandomProfiles) -> dict[str, pa.Table | None]:
    """The same rows as tables, with what the live store alone gives a profile: its number, when it was made, and, where
    it did not say, when it joined."""
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT external_id, member_id, joined_at, created_at, updated_at FROM profiles WHERE community_id = $1",
            club.community.id,
        )
    details = {row["external_id"]: dict(row) for row in rows}
    profiles = [row | details[row["external_id"]] for row in club_drawn.profiles]
    return {
        "profiles": _as_table(profiles),
        "memberships": _as_table(club_drawn.memberships),
        "transactions": _as_table(club_drawn.transactions),
        "locations": None,
        "products": None,
    }


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _as_csv(rows: Rows) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, _columns(rows))
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items() if value is not None} for row in rows)
    return written.getvalue()


def _as_table(rows: Rows) -> pa.Table:
    columns = {name: [_text(row.get(name)) for row in rows] for name in _columns(rows)}
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))
