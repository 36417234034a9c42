"""Many who write on the same few profiles at once: no change is lost, none counts twice, nobody waits for ever."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from randomness import SEED
from regulars.bulk.verify import verify
from regulars.facts.community import Community
from regulars.storage.database import Database
from system.serving import community_with_token, served
from system.writer import Report, write

SECONDS = float(os.environ.get("REGULARS_WRITERS_SECONDS") or 6)
"""How long they write; a long run is an hour."""

PROCESSES, WRITERS, PROFILES = 4, 16, 50


@pytest.mark.timeout(SECONDS * 2 + 120)
async def test_what_was_answered_is_what_is_kept(data_folder: Path) -> None:
    with served(data_folder, workers=2) as server:
        community, token = await community_with_token(server.database_url)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as http:
            profiles = [await made(http) for _ in range(PROFILES)]
            reports = written(server.url, token, profiles)
            assert [failure for report in reports for failure in report.failures] == []
            await sums_are_exact(http, profiles, reports)
        await is_kept(server.database_url, community, reports)


async def made(http: httpx.AsyncClient) -> str:
    """A new profile's id."""
    answer = await http.post("/api/v3/profiles", json={})
    assert answer.status_code == 201, answer.text
    profile_id: str = answer.json()["data"]["id"]
    return profile_id


def written(url: str, token: str, profiles: list[str]) -> list[Report]:
    """What the writers report, once their time is up."""
    context = multiprocessing.get_context("spawn")
    numbers = [list(range(process, WRITERS, PROCESSES)) for process in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as processes:
        parts = [processes.submit(write, url, token, profiles, each, SEED, SECONDS) for each in numbers]
        return [report for part in parts for report in part.result(timeout=SECONDS + 60)]


async def sums_are_exact(http: httpx.AsyncClient, profiles: list[str], reports: list[Report]) -> None:
    """Compares every profile's sums with what was answered."""
    spent: dict[Any, Decimal] = dict.fromkeys(profiles, Decimal(0))
    sales: Counter[Any] = Counter()
    for report in reports:
        for profile_id, total, is_void in report.kept.values():
            if profile_id is not None and not is_void:
                spent[profile_id] += Decimal(total)
                sales[profile_id] += Decimal(total) > 0
    names = ["profile_id", "spend_all", "shop_count"]
    answer = await http.post("/api/v3/profiles/aggregations/query", json={"profile_ids": profiles, "names": names})
    assert sum(sales.values()) > 0
    assert answer.json()["data"] == [
        {"profile_id": each, "spend_all": float(spent[each]), "shop_count": sales[each]} for each in profiles
    ]


async def is_kept(database_url: str, community: Community, reports: list[Report]) -> None:
    """Every transaction that was answered is there and no other, and every value is what the facts say."""
    known = sorted(transaction_id for report in reports for transaction_id in report.kept)
    async with Database(database_url, 1) as database:
        async with database.reading(community.id) as scope:
            rows = await scope.fetch("SELECT id FROM transactions WHERE community_id = $1 ORDER BY id", community.id)
        assert [row["id"] for row in rows] == known
        found = [str(each) async for each in verify(database, community.id) if not isinstance(each, int)]
    assert found == []
    print(f"{len(known)} transactions kept;", sum((Counter(each.answers) for each in reports), Counter()))
