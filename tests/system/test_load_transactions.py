"""A backfill of transactions runs during live writes, is killed and repeated."""

from __future__ import annotations

import asyncio
import signal
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest

from hypothesis_settings import SEED
from regulars.aggregations.dirty_profiles import HAS_DIRTY
from regulars.storage.database import Database
from regulars.verify.verify import verify
from system.server_process import community_with_token, run_server, start_load
from system.writer import Writer

ROWS, PROFILES, HOT, WRITERS = 6_000, 300, 20, 2
START = datetime.fromisoformat("2024-01-01T08:00:00")


def write_transactions(path: Path, hot: list[str]) -> None:
    """Writes transactions of frequently written profiles, by id, and of many others, by external id."""
    names = [*hot, *(f"M{number}" for number in range(PROFILES))]
    table = {
        "external_id": [f"H{number}" for number in range(ROWS)],
        "profile": [names[number * 7 % len(names)] for number in range(ROWS)],
        "transacted_at": [START + timedelta(hours=number * 2) for number in range(ROWS)],
        "total": [number % 500 - 20 for number in range(ROWS)],
    }
    path.mkdir()
    for name, first, rows in (("2024", 0, ROWS - 500), ("2025", ROWS - 500, 500)):
        pyarrow.parquet.write_table(pa.table(table).slice(first, rows), path / f"{name}.parquet")


async def has_dirty_profiles(database: Database, community_id: int) -> bool:
    async with database.read_transaction(community_id) as scope:
        return bool(await scope.fetchval(HAS_DIRTY, community_id))


async def wait_until_dirty(database: Database, community_id: int, load: asyncio.subprocess.Process) -> None:
    """Waits until the load has marked profiles as dirty."""
    for _ in range(3_000):
        assert load.returncode is None, "it ended before it could be killed"
        if await has_dirty_profiles(database, community_id):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing is marked")


async def wait_until_refreshed(database: Database, community_id: int) -> None:
    """Waits until no profile is dirty: the next load or the server refreshes those of the killed load."""
    for _ in range(600):
        if not await has_dirty_profiles(database, community_id):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("marks are left")


@pytest.mark.timeout(300)
async def test_a_backfill_during_live_writes_and_a_kill_ends_consistently(data_folder: Path, tmp_path: Path) -> None:
    with run_server(data_folder, workers=1) as server:
        community, token = await community_with_token(server.database_url)
        async with (
            Database(server.database_url, 2) as database,
            httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        ):
            made = [await http.post("/api/v3/profiles", json={}) for _ in range(HOT)]
            hot = [str(answer.json()["data"]["id"]) for answer in made]
            write_transactions(tmp_path / "lake", hot)
            writers = [Writer(http, number, SEED, hot) for number in range(WRITERS)]
            writing = asyncio.gather(*(writer.write(1) for writer in writers))
            load = partial(
                start_load, data_folder / "data", "transactions", tmp_path / "lake", "--create-profiles", rows=250
            )
            killed = await load()
            await wait_until_dirty(database, community.id, killed)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            again = await load()
            out, _ = await again.communicate()
            assert (again.returncode, b" 0 rejected" in out) == (0, True), out
            reports = await writing
            assert [failure for report in reports for failure in report.failures] == []
            await wait_until_refreshed(database, community.id)
            found = [str(each) async for each in verify(database, community.id) if not isinstance(each, int)]
            assert found == []
            async with database.read_transaction(community.id) as scope:
                statement = "SELECT count(*) FROM transactions WHERE community_id = $1 AND external_id LIKE 'H%'"
                assert await scope.fetchval(statement, community.id) == ROWS
