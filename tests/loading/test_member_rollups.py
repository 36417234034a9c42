"""Members of a large load are counted at once: the same tables and answers as batch by batch, whatever comes when."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clubs import Club
from hypothesis_settings import SEED, examples
from loading.file_loader import FileLoader, outcome_counts
from regulars.loading import load_job as arrivals
from regulars.loading import loader, member_rollups
from regulars.loading.readers.rows import RawRow
from regulars.rollups import snapshots
from regulars.rollups.compaction import compact
from regulars.verify.verify import verify
from reports.source_rows import fetch_rows, fetch_timeseries_rows

CHANNELS = [None, "iOS app", "web", "till 4", 'a "quote", {and} more', "back\\slash", "c:o:lon", ""]
CONSENTS = ["sms_marketing", "email_marketing", "a,b"]


def drawn(chance: random.Random, number: int, now: Any) -> dict[str, Any]:
    """A row of a profile that came in now, lately, long ago, or comes in later."""
    back = chance.choice([0, 3, 70, 5_000, 40_000, 900_000, 20_000_000, -600])
    joined = now - timedelta(minutes=back, seconds=chance.randint(0, 50))
    every: dict[str, Any] = {
        "gender": chance.choice(["female", "male"]),
        "birth_year": chance.choice([1951, 1987, 1999, 2004, 2015]),
        "birth_month": chance.choice([2, 11]),
        "birth_day": chance.choice([1, 2, 28]),
        "joined_at": joined.isoformat(),
        "optin_channel": chance.choice(CHANNELS),
        "optin_subchannel": chance.choice(["a", "b"]),
        "consents": {name: chance.random() < 0.5 for name in chance.sample(CONSENTS, 2)},
        "sms_status": chance.choice(["verified", "enabled"]),
        "subunit_ids": chance.sample([1, 2, 3], chance.randint(0, 2)),
        "mobile_phone": f"+4790{number:06}",
        "addresses": chance.choice([[], [{"country": "SE"}]]),
        "profile_type": chance.choice(["active", "active", "system", "deleted"]),
    }
    kept = chance.sample(list(every), chance.randint(4, len(every)))
    return {"external_id": f"M{number}", **{name: every[name] for name in kept}}


def turned(chance: random.Random, number: int, profiles: int, now: Any) -> dict[str, Any]:
    """A row of a membership: of a profile that is there, or of nobody."""
    back = chance.choice([0, 3, 70, 5_000, 40_000, 900_000, 20_000_000, -600])
    row = {
        "external_id": f"m{chance.randint(0, number)}",
        "profile": f"M{chance.randrange(profiles + 2)}",
        "type": chance.choice(["in", "out"]),
        "at": (now - timedelta(minutes=back, seconds=chance.randint(0, 50))).isoformat(),
        "optin_channel": chance.choice([None, "api"]),
        "consents": chance.choice([None, {"club": True}]),
    }
    return {name: value for name, value in row.items() if value is not None}


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)


TABLES = {
    "members": "FROM members AS t JOIN profiles AS p USING (community_id, profile_id)",
    "member_dimension_history": "FROM member_dimension_history AS t JOIN profiles AS p USING (community_id, profile_id)",
    "membership_events": "FROM membership_events AS t JOIN profiles AS p USING (community_id, profile_id)",
    "group_counts": "FROM group_counts AS t",
    "group_rollups": "FROM group_rollups AS t",
    "balance_rollups": "FROM balance_rollups AS t",
    "snapshot_counts": "FROM snapshot_counts AS t",
    "snapshot_rollups": "FROM snapshot_rollups AS t",
    "snapshot_members": "FROM snapshot_members AS t JOIN profiles AS p USING (community_id, profile_id)",
    "snapshot_coverage": "FROM snapshot_coverage AS t",
    "profile_aggregations": "FROM profile_aggregations AS t JOIN profiles AS p USING (community_id, profile_id)",
}
NEW_EACH_TIME = {"community_id", "profile_id", "member_id", "membership_id", "transaction_id", "id", "values_version"}


async def kept(club: Club) -> dict[str, list[str]]:
    """All rows that follow from members, but for what is new each time, and for numbers that say nothing."""
    found = {}
    async with club.database.read_transaction(club.community.id) as scope:
        for name, source in TABLES.items():
            owner = "p.external_id AS owner, " if "profiles" in source else ""
            rows = await scope.fetch(f"SELECT {owner}t.* {source} WHERE t.community_id = $1", club.community.id)
            comparable = [
                {
                    key: bytes(value) if isinstance(value, msgspec.Raw) else value
                    for key, value in row.items()
                    if key not in NEW_EACH_TIME
                }
                for row in rows
                if 0 not in (row.get("n"), row.get("members_count"))
            ]
            found[name] = sorted(map(repr, comparable))
    return found


async def answers(club: Club) -> dict[str, list[Any]]:
    """What reports say."""
    database, community_id, now = club.database, club.community.id, club.clock.at
    grouped = await fetch_rows(database, community_id, "members_grouped_count", ["grouping_type"])
    # A group in which nobody stands any more may be told or not.
    found = {"members_grouped_count": [row | {"updated_at": None} for row in grouped if row["members_count"]]}
    starts = [now.replace(hour=0, minute=0, second=0) - timedelta(days=each) for each in reversed(range(100))]
    asked = ("1d", starts, [each + timedelta(days=1) for each in starts])
    for report, fields in {
        "members_count_history": ["grouping_type"],
        "member_balance": ["gender", "age"],
        "members_count_snapshot": ["age", "country"],
    }.items():
        found[report] = await fetch_timeseries_rows(database, community_id, report, fields, *asked)
    return {
        name: sorted(repr({k: v for k, v in row.items() if k != "community_id"}) for row in rows)
        for name, rows in found.items()
    }


async def differences(club: Club) -> list[str]:
    found = [each async for each in verify(club.database, club.community.id)]
    return [str(each) for each in found if not isinstance(each, int)]


async def move(club: Club, zone: str) -> None:
    """Has a club live by the clock of another zone."""
    mine = club.community
    row = {"slug": mine.slug, "name": mine.name, "country": mine.country, "timezone": zone, "currency": mine.currency}
    assert (
        outcome_counts(
            await loader.load_communities(club.database, lambda: iter([RawRow(1, msgspec.json.encode(row))]))
        )[2]
        == 0
    )


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads are large from their first row on."""
    monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", 0)


ZONES = ["Europe/Oslo", "America/St_Johns", "UTC"]


@pytest.mark.parametrize("example", range(examples(2)))
async def test_a_load_and_live_writes_result_in_the_same_tables_and_reports(
    club: Club, other_club: Club, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: int
) -> None:
    chance = random.Random(SEED + example)
    began = club.clock.advance(hours=13, minutes=7)
    files: list[tuple[str, str]] = []
    for known in (0, 50):
        fresh = [drawn(chance, number, began) for number in range(known, known + 50)]
        again = [drawn(chance, chance.randrange(known), began) for _ in range(10)] if known else []
        files.append(("profiles", lines([*fresh, *again])))
        files.append(("memberships", lines([turned(chance, n, known + 50, began) for n in range(60)])))
    for mine, refreshed in ((club, 2**60), (other_club, 0)):
        monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", refreshed)
        mine.clock.at = began
        await move(mine, ZONES[example % len(ZONES)])
        for entity, content in files:
            summary = await FileLoader(mine, tmp_path)(entity, content, "facts.ndjson", batch_rows=17)
            assert summary.accepted
            await compact(mine.database, mine.community.id)
            mine.clock.advance(minutes=30)
    one, other = await kept(club), await kept(other_club)
    # Of one commit only what is left of its differences changes a count.
    changed_at = r", 'updated_at': datetime.datetime\([^)]*\)"
    for each in (one, other):
        each["group_counts"] = [re.sub(changed_at, "", row) for row in each["group_counts"]]
    for name in TABLES:
        assert one[name] == other[name], name
    assert await answers(club) == await answers(other_club)
    assert await differences(other_club) == []
    assert await snapshots.take(other_club.database, other_club.community.id) == await snapshots.take(
        club.database, club.community.id
    )


async def appended(club: Club) -> int:
    async with club.database.read_transaction(club.community.id) as scope:
        found: int = await scope.fetchval(
            "SELECT count(*) FROM group_count_deltas WHERE community_id = $1", club.community.id
        )
    return found


@pytest.mark.usefixtures("at_once")
async def test_nothing_is_left_to_compaction(load: FileLoader) -> None:
    chance = random.Random(SEED)
    await load("profiles", lines([drawn(chance, n, load.club.clock.at) for n in range(30)]), "p.ndjson")
    assert await appended(load.club) == 0
    assert await differences(load.club) == []


@pytest.mark.usefixtures("at_once")
async def test_loading_the_same_file_twice_is_a_no_op(load: FileLoader) -> None:
    chance = random.Random(SEED)
    rows = lines([drawn(chance, n, load.club.clock.at) for n in range(30)])
    first = await load("profiles", rows, "p.ndjson")
    before = await kept(load.club)
    load.club.clock.advance(minutes=5)
    again = await load("profiles", rows, "p.ndjson")
    assert (again.accepted, again.unchanged + again.rejected) == (0, 30), first
    assert await kept(load.club) == before


@pytest.mark.usefixtures("at_once")
async def test_updates_of_existing_members_leave_past_snapshots_unchanged(load: FileLoader) -> None:
    rows = [{"external_id": f"M{n}", "gender": "male", "joined_at": "2026-10-01T10:00:00Z"} for n in range(5)]
    await load("profiles", lines(rows), "p.ndjson")
    before = (await kept(load.club))["snapshot_members"]
    load.club.clock.advance(hours=2)
    changed = [{"external_id": f"M{n}", "gender": "female"} for n in range(5)]
    assert outcome_counts(await load("profiles", lines(changed), "p.ndjson")) == (5, 0, 0)
    assert (await kept(load.club))["snapshot_members"] == before
    assert await differences(load.club) == []


@pytest.mark.usefixtures("at_once")
async def test_a_load_rebuilds_buckets_after_the_time_zone_of_the_club_changed(load: FileLoader) -> None:
    chance = random.Random(SEED)
    club = load.club
    await load("profiles", lines([drawn(chance, n, club.clock.at) for n in range(20)]), "p.ndjson")
    await move(club, "Asia/Tokyo")
    club.clock.advance(minutes=5)
    await load("profiles", lines([drawn(chance, n, club.clock.at) for n in range(20, 40)]), "p.ndjson")
    assert await differences(club) == []
    by_load = await kept(club)
    await compact(club.database, club.community.id)
    assert await kept(club) == by_load


@pytest.mark.usefixtures("at_once")
async def test_a_rejected_row_leaves_the_others_counted(load: FileLoader) -> None:
    rows = [{"external_id": f"M{n}", "email": f"m{n % 3}@example.com"} for n in range(5)]
    assert outcome_counts(await load("profiles", lines(rows), "p.ndjson")) == (3, 0, 2)
    assert await differences(load.club) == []


@pytest.mark.usefixtures("at_once")
async def test_an_error_of_duckdb_falls_back_to_live_rollups(load: FileLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_rollups, "_SPANS", "SELECT error('too much')")
    chance = random.Random(SEED)
    summary = await load("profiles", lines([drawn(chance, n, load.club.clock.at) for n in range(30)]), "p.ndjson")
    assert summary.accepted
    assert await appended(load.club) > 0
    assert await differences(load.club) == []
