"""Members are loaded while a server changes them; the load is killed and repeated."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import httpx
import msgspec
import pytest

from hypothesis_settings import SEED
from regulars.storage.database import Database
from regulars.verify.verify import verify
from system.server_process import community_with_token, run_server, start_load

ROWS, HOT = 500, 20


def write_members(path: Path) -> None:
    """Writes rows of many members, some of them twice, including those that are changed concurrently."""
    names = [*(f"M{number}" for number in range(ROWS)), *(f"hot{number}" for number in range(HOT))]
    chance = random.Random(SEED)
    chance.shuffle(names)
    rows = [
        {
            "external_id": name,
            "gender": chance.choice(("female", "male")),
            "birth_year": chance.randint(1940, 2015),
            "joined_at": f"20{chance.randint(15, 25)}-0{chance.randint(1, 9)}-{chance.randint(10, 28)}T10:00:00Z",
            "optin_channel": chance.choice(("ios app", "web", "pos")),
            "consents": {"sms_marketing": chance.random() < 0.5},
        }
        for name in [*names, *chance.sample(names, 100)]
    ]
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


async def wait_for_first_rows(database: Database, community_id: int, load: asyncio.subprocess.Process) -> None:
    for _ in range(1_200):
        assert load.returncode is None, "it ended before it could be killed"
        async with database.read_transaction(community_id) as scope:
            statement = "SELECT count(*) FROM profiles WHERE community_id = $1 AND external_id LIKE 'M%'"
            if await scope.fetchval(statement, community_id):
                return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing is loaded")


async def change_members(http: httpx.AsyncClient, ids: list[str], stop: asyncio.Event) -> None:
    """Changes members and adds purchases until `stop` is set, with pauses: a load takes most of its time to start."""
    chance = random.Random(SEED + 1)
    while not stop.is_set():
        await asyncio.sleep(0.1)
        profile_id = chance.choice(ids)
        answer = await http.put(
            f"/api/v3/profiles/{profile_id}", json={"gender": chance.choice(("female", "male", "other"))}
        )
        assert answer.status_code == 200, answer.text
        item = {"name": "Thing", "price_current": 5, "price_sell": 5, "quantity": 1}
        sale = {
            "profile_id": profile_id,
            "transacted_at": "2026-01-10 12:00:00",
            "timezone": "UTC",
            "total": 5,
            "items": [item],
        }
        answer = await http.post("/api/v3/transactions", json=sale)
        assert answer.status_code == 201, answer.text


async def differences(database: Database, community_id: int) -> list[str]:
    return [str(each) async for each in verify(database, community_id) if not isinstance(each, int)]


# The load of transactions that is killed is the short form of this one.
@pytest.mark.long
@pytest.mark.timeout(300)
async def test_members_loaded_during_changes_and_a_kill_are_counted_correctly(
    data_folder: Path, tmp_path: Path
) -> None:
    write_members(tmp_path / "members.ndjson")
    with run_server(data_folder, workers=1) as server:
        community, token = await community_with_token(server.database_url)
        async with (
            Database(server.database_url, 2) as database,
            httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        ):
            made = [await http.post("/api/v3/profiles", json={"external_id": f"hot{number}"}) for number in range(HOT)]
            stop = asyncio.Event()
            changes = asyncio.create_task(change_members(http, [str(each.json()["data"]["id"]) for each in made], stop))
            killed = await start_load(data_folder / "data", "profiles", tmp_path / "members.ndjson", rows=50)
            await wait_for_first_rows(database, community.id, killed)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            # What has come until then is whole: nothing waits for the load to be done again.
            assert await differences(database, community.id) == []
            again = await start_load(data_folder / "data", "profiles", tmp_path / "members.ndjson", rows=50)
            out, _ = await again.communicate()
            assert (again.returncode, b" 0 rejected" in out) == (0, True), out
            stop.set()
            await changes
            assert await differences(database, community.id) == []
            async with database.read_transaction(community.id) as scope:
                statement = "SELECT count(*) FROM members WHERE community_id = $1 AND is_member"
                assert await scope.fetchval(statement, community.id) == ROWS + HOT
