"""Large loads of members update rollups in their own commit, with the same tables and reports as live writes."""

from __future__ import annotations

import asyncio
import random
import re
import threading
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
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.rollups import snapshots
from regulars.rollups.compaction import compact
from regulars.verify.verify import verify
from reports.source_rows import fetch_rows, fetch_timeseries_rows

CHANNELS = [None, "iOS app", "web", "till 4", 'a "quote", {and} more', "back\\slash", "c:o:lon", ""]
CONSENTS = ["sms_marketing", "email_marketing", "a,b"]


def random_profile(rng: random.Random, number: int, now: Any) -> dict[str, Any]:
    """A random profile that joined now, recently, long ago, or joins in the future."""
    back = rng.choice([0, 3, 70, 5_000, 40_000, 900_000, 20_000_000, -600])
    joined = now - timedelta(minutes=back, seconds=rng.randint(0, 50))
    every: dict[str, Any] = {
        "gender": rng.choice(["female", "male"]),
        "birth_year": rng.choice([1951, 1987, 1999, 2004, 2015]),
        "birth_month": rng.choice([2, 11]),
        "birth_day": rng.choice([1, 2, 28]),
        "joined_at": joined.isoformat(),
        "optin_channel": rng.choice(CHANNELS),
        "optin_subchannel": rng.choice(["a", "b"]),
        "consents": {name: rng.random() < 0.5 for name in rng.sample(CONSENTS, 2)},
        "sms_status": rng.choice(["verified", "enabled"]),
        "subunit_ids": rng.sample([1, 2, 3], rng.randint(0, 2)),
        "mobile_phone": f"+4790{number:06}",
        "addresses": rng.choice([[], [{"country": "SE"}]]),
        "profile_type": rng.choice(["active", "active", "system", "deleted"]),
    }
    chosen = rng.sample(list(every), rng.randint(4, len(every)))
    return {"external_id": f"M{number}", **{name: every[name] for name in chosen}}


def random_membership(rng: random.Random, number: int, profiles: int, now: Any) -> dict[str, Any]:
    """A random membership of an existing or an unknown profile."""
    back = rng.choice([0, 3, 70, 5_000, 40_000, 900_000, 20_000_000, -600])
    row = {
        "external_id": f"m{rng.randint(0, number)}",
        "profile": f"M{rng.randrange(profiles + 2)}",
        "type": rng.choice(["in", "out"]),
        "at": (now - timedelta(minutes=back, seconds=rng.randint(0, 50))).isoformat(),
        "optin_channel": rng.choice([None, "api"]),
        "consents": rng.choice([None, {"club": True}]),
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
GENERATED_COLUMNS = {
    "community_id",
    "profile_id",
    "member_id",
    "membership_id",
    "recorded_xid",
    "id",
    "values_version",
}


async def derived_rows(club: Club) -> dict[str, list[str]]:
    """All rows that are derived from members, without ids that differ in each run and without zeros."""
    rows_by_table = {}
    async with club.database.read_transaction(club.community.id) as scope:
        for name, source in TABLES.items():
            owner = "p.external_id AS owner, " if "profiles" in source else ""
            rows = await scope.fetch(f"SELECT {owner}t.* {source} WHERE t.community_id = $1", club.community.id)
            comparable = [
                {
                    key: bytes(value) if isinstance(value, msgspec.Raw) else value
                    for key, value in row.items()
                    if key not in GENERATED_COLUMNS
                }
                for row in rows
                if 0 not in (row.get("delta"), row.get("count"), row.get("members_count"))
            ]
            rows_by_table[name] = sorted(map(repr, comparable))
    return rows_by_table


async def report_results(club: Club) -> dict[str, list[Any]]:
    """The results of reports."""
    database, community_id, now = club.database, club.community.id, club.clock.at
    grouped = await fetch_rows(database, community_id, "members_grouped_count", ["grouping_type"])
    # A group without members may be listed or not.
    results = {"members_grouped_count": [row | {"updated_at": None} for row in grouped if row["members_count"]]}
    starts = [now.replace(hour=0, minute=0, second=0) - timedelta(days=each) for each in reversed(range(100))]
    query = ("1d", starts, [each + timedelta(days=1) for each in starts])
    for report, fields in {
        "members_count_history": ["grouping_type"],
        "member_balance": ["gender", "age"],
        "members_count_snapshot": ["age", "country"],
    }.items():
        results[report] = await fetch_timeseries_rows(database, community_id, report, fields, *query)
    return {
        name: sorted(repr({k: v for k, v in row.items() if k != "community_id"}) for row in rows)
        for name, rows in results.items()
    }


async def verify_differences(club: Club) -> list[str]:
    results = [each async for each in verify(club.database, club.community.id)]
    return [str(each) for each in results if not isinstance(each, int)]


async def change_timezone(club: Club, zone: str) -> None:
    """Changes the time zone of a club."""
    community = club.community
    row = {
        "slug": community.slug,
        "name": community.name,
        "country": community.country,
        "timezone": zone,
        "currency": community.currency,
    }
    assert (
        outcome_counts(
            await loader.load_communities(club.database, lambda: iter([RawRow(1, msgspec.json.encode(row))]))
        )[2]
        == 0
    )


@pytest.fixture
def large_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads count as large from their first row on."""
    monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", 0)


ZONES = ["Europe/Oslo", "America/St_Johns", "UTC"]


@pytest.mark.slow
@pytest.mark.parametrize("example", range(examples(1)))
async def test_a_load_and_live_writes_result_in_the_same_tables_and_reports(
    club: Club, other_club: Club, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: int
) -> None:
    rng = random.Random(SEED + example)
    start = club.clock.advance(hours=13, minutes=7)
    files: list[tuple[str, str]] = []
    for existing in (0, 50):
        new_profiles = [random_profile(rng, number, start) for number in range(existing, existing + 50)]
        repeated = [random_profile(rng, rng.randrange(existing), start) for _ in range(10)] if existing else []
        files.append(("profiles", lines([*new_profiles, *repeated])))
        files.append(("memberships", lines([random_membership(rng, n, existing + 50, start) for n in range(60)])))
    for each_club, refreshed in ((club, 2**60), (other_club, 0)):
        monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", refreshed)
        each_club.clock.at = start
        await change_timezone(each_club, ZONES[example % len(ZONES)])
        for entity, content in files:
            summary = await FileLoader(each_club, tmp_path)(entity, content, "facts.ndjson", batch_rows=17)
            assert summary.accepted
            await compact(each_club.database, each_club.community.id)
            each_club.clock.advance(minutes=30)
    one, other = await derived_rows(club), await derived_rows(other_club)
    # Deltas of one commit that cancel out change no count.
    changed_at = r", 'updated_at': datetime.datetime\([^)]*\)"
    for each in (one, other):
        each["group_counts"] = [re.sub(changed_at, "", row) for row in each["group_counts"]]
    for name in TABLES:
        assert one[name] == other[name], name
    assert await report_results(club) == await report_results(other_club)
    assert await verify_differences(other_club) == []
    assert await snapshots.take(other_club.database, other_club.community.id) == await snapshots.take(
        club.database, club.community.id
    )


async def count_deltas(club: Club) -> int:
    async with club.database.read_transaction(club.community.id) as scope:
        count: int = await scope.fetchval(
            "SELECT count(*) FROM group_count_deltas WHERE community_id = $1", club.community.id
        )
    return count


@pytest.mark.usefixtures("large_loads")
async def test_nothing_is_left_to_compaction(load: FileLoader) -> None:
    rng = random.Random(SEED)
    await load("profiles", lines([random_profile(rng, n, load.club.clock.at) for n in range(30)]), "p.ndjson")
    assert await count_deltas(load.club) == 0
    assert await verify_differences(load.club) == []


@pytest.mark.usefixtures("large_loads")
async def test_loading_the_same_file_twice_is_a_no_op(load: FileLoader) -> None:
    rng = random.Random(SEED)
    rows = lines([random_profile(rng, n, load.club.clock.at) for n in range(30)])
    first = await load("profiles", rows, "p.ndjson")
    before = await derived_rows(load.club)
    load.club.clock.advance(minutes=5)
    again = await load("profiles", rows, "p.ndjson")
    assert (again.accepted, again.unchanged + again.rejected) == (0, 30), first
    assert await derived_rows(load.club) == before


@pytest.mark.usefixtures("large_loads")
async def test_updates_of_existing_members_leave_past_snapshots_unchanged(load: FileLoader) -> None:
    rows = [{"external_id": f"M{n}", "gender": "male", "joined_at": "2026-10-01T10:00:00Z"} for n in range(5)]
    await load("profiles", lines(rows), "p.ndjson")
    before = (await derived_rows(load.club))["snapshot_members"]
    load.club.clock.advance(hours=2)
    changed = [{"external_id": f"M{n}", "gender": "female"} for n in range(5)]
    assert outcome_counts(await load("profiles", lines(changed), "p.ndjson")) == (5, 0, 0)
    assert (await derived_rows(load.club))["snapshot_members"] == before
    assert await verify_differences(load.club) == []


@pytest.mark.usefixtures("large_loads")
async def test_a_load_rebuilds_buckets_after_the_time_zone_of_the_club_changed(load: FileLoader) -> None:
    rng = random.Random(SEED)
    club = load.club
    await load("profiles", lines([random_profile(rng, n, club.clock.at) for n in range(20)]), "p.ndjson")
    await change_timezone(club, "Asia/Tokyo")
    club.clock.advance(minutes=5)
    await load("profiles", lines([random_profile(rng, n, club.clock.at) for n in range(20, 40)]), "p.ndjson")
    assert await verify_differences(club) == []
    by_load = await derived_rows(club)
    await compact(club.database, club.community.id)
    assert await derived_rows(club) == by_load


@pytest.mark.usefixtures("large_loads")
async def test_a_rejected_row_leaves_the_others_counted(load: FileLoader) -> None:
    rows = [{"external_id": f"M{n}", "email": f"m{n % 3}@example.com"} for n in range(5)]
    assert outcome_counts(await load("profiles", lines(rows), "p.ndjson")) == (3, 0, 2)
    assert await verify_differences(load.club) == []


@pytest.mark.usefixtures("large_loads")
async def test_an_error_of_duckdb_falls_back_to_live_rollups(load: FileLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_rollups, "_SPANS", "SELECT error('too much')")
    rng = random.Random(SEED)
    summary = await load("profiles", lines([random_profile(rng, n, load.club.clock.at) for n in range(30)]), "p.ndjson")
    assert summary.accepted
    assert await count_deltas(load.club) > 0
    assert await verify_differences(load.club) == []


@pytest.mark.usefixtures("large_loads")
async def test_a_load_that_is_cancelled_ends_with_the_statement_of_duckdb(
    load: FileLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def blocked() -> int:
        began.set()
        may_end.wait()
        return 1

    class Engine(DuckDBEngine):
        def __init__(self) -> None:
            super().__init__()
            self.connection.create_function("blocked", blocked, [], "INTEGER", side_effects=True)

    monkeypatch.setattr(member_rollups, "DuckDBEngine", Engine)
    monkeypatch.setattr(member_rollups, "_SPANS", "SELECT blocked()")
    loading = asyncio.create_task(load("profiles", lines([{"external_id": f"M{n}"} for n in range(30)]), "p.ndjson"))
    await asyncio.to_thread(began.wait)
    loading.cancel()
    asyncio.get_running_loop().call_soon(may_end.set)
    with pytest.raises(asyncio.CancelledError):
        await loading
    async with load.club.database.read_transaction(load.club.community.id) as scope:
        assert await scope.fetchval("SELECT count(*) FROM profiles WHERE community_id = $1", scope.community_id) == 0
