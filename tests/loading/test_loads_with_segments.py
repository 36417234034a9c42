"""Memberships of segments after large loads: evaluated when the values of the dirty profiles are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from loading.file_loader import FileLoader
from loading.history_files import load_path, load_without_finishing, verify_differences, write_sales
from regulars.loading import load_job, refresh_dirty
from segments.segment_client import segment_client
from segments.test_membership import events, listen, maintain

BUYERS = {"type": "greater_than", "field": "aggregations.shop_count", "value": 0}
NO_BUYERS = {"type": "equal", "field": "aggregations.shop_count", "value": 0}


async def test_a_large_load_ends_with_the_right_memberships(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_job, "EAGER_REFRESH_ROWS", 0)
    monkeypatch.setattr(refresh_dirty, "PROFILES_PER_WRITE", 3)
    club = load.club
    client = await segment_client(club)
    for name, filter_ in (("buyers", BUYERS), ("no-buyers", NO_BUYERS)):
        await client.create(name, filter_)
    await maintain(club)
    await listen(club)
    path = write_sales(tmp_path / "sales.parquet")
    await load_path(load, path, create_profiles=True)
    count = (await client.get("/buyers/count"))["members_count"]
    assert count > 3
    async with club.database.read_transaction(club.community.id) as scope:
        stored = await scope.fetchval(
            "SELECT count(*) FROM segment_memberships WHERE community_id = $1 AND left_at IS NULL", club.community.id
        )
    assert stored == count
    assert {(kind, name) for kind, _, name in await events(club)} == {("segment.entered", "buyers")}
    assert len(await events(club)) == count
    assert await verify_differences(club) == []


async def test_members_whose_values_are_not_computed_yet_stay_where_they_are(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_job, "EAGER_REFRESH_ROWS", 0)
    club = load.club
    client = await segment_client(club)
    await load_path(load, write_sales(tmp_path / "first.parquet"), create_profiles=True)
    await client.create("buyers", BUYERS)
    await maintain(club)
    await listen(club)
    before = await client.get("/buyers/count")
    async with load_without_finishing(load, write_sales(tmp_path / "second.parquet", 100)):
        assert await events(club) == []
    assert await client.get("/buyers/count") == before
