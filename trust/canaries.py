"""Erasure: unique texts of erased members are searched in tables, dumps, logs and files."""

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import asyncpg
import httpx

from regulars.facts import maintenance, purchases
from regulars.model import community as communities
from regulars.rollups import compaction
from regulars.storage import embedded, personal_data
from regulars.storage.database import Database
from trust.clubs import Club, create_club
from trust.isolation import UNLIMITED
from trust.run import Run
from trust.server import RunningServer, command, connect, serving
from trust.writers import PROFILES

# What is planted in a member, and where it is searched for in tables, is said once, by the suite.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

import clubs
from api import test_erasure as erasure
from api.test_erasure import Planted

MEMBERS = 40
_PIECE = 1 << 22


def run(run: Run) -> None:
    """Writes unique texts into many members, erases all of them, and searches everything on disk."""
    members = run.scaled_count(MEMBERS, 2)
    run.describe(
        f"{members} members are created, changed, merged and rejected by every kind of request and import, each "
        "with unique texts, an e-mail address and a phone number in every field, in keys of objects, and as "
        "Idempotency-Key. Half of them are purged, the others depersonalised."
    )
    run.describe(
        "Then every column of every table is searched, `pg_dump` of the database, the logs of the server and of "
        "PostgreSQL, and all temporary files; and, after VACUUM FULL, ANALYZE and CHECKPOINT, every file of the "
        "data directory except the write-ahead log and the planner's statistics. What depersonalising retains, "
        "and why, is declared in `storage/personal_data.py`."
    )
    with serving(run.folder / "server", workers=2, **UNLIMITED) as server:
        asyncio.run(_run(run, server, create_club(server), members))


async def _run(run: Run, server: RunningServer, club: Club, members: int) -> None:
    headers = {"Authorization": f"Bearer {club.token}"}
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http,
        Database(server.app_url, 2) as database,
    ):
        async with database.unscoped_connection() as connection:
            community = await communities.get_by_id(connection, club.id)
        # What of a test's club is needed to plant.
        client = cast(clubs.Club, SimpleNamespace(database=database, community=community, http=http))
        purged: list[Planted] = []
        depersonalised: list[Planted] = []
        for number in range(members):
            planted = Planted(client)
            await _plant(planted)
            (depersonalised if number % 2 else purged).append(planted)
        planted_texts = await _count(server, [*purged, *depersonalised])
        run.figure("members erased", members)
        run.figure("rows that contained their texts before", planted_texts)
        assert planted_texts > members, "nothing was planted"
        for planted in purged:
            answer = await http.delete(f"{PROFILES}/{planted.profile_ids[0]}/purge")
            assert answer.status_code == 204, answer.text
        for planted in depersonalised:
            answer = await http.post(f"{PROFILES}/{planted.profile_ids[0]}/depersonalise")
            assert answer.status_code == 200, answer.text
        await _compact(database, club)
    await _search_tables(run, server, purged, depersonalised)
    _search_files(run, server, purged, [*purged, *depersonalised])
    verified = command(server.folder, "verify").splitlines()[-1]
    run.check("`regulars verify` finds no differences", verified, "0 differences" in verified)


async def _plant(planted: Planted) -> None:
    await erasure._reject_before(planted)
    await erasure._plant_profiles(planted)
    await erasure._plant_purchases(planted)
    await erasure._plant_messages(planted)
    await erasure._ask(planted)


async def _compact(database: Database, club: Club) -> None:
    """Runs compaction and deletes empty counts, as the background jobs do."""
    for work in (compaction.compact_pending, purchases.compact_pending, maintenance.delete_empty_counts):
        while await work(database, club.id):
            pass


async def _count(server: RunningServer, members: list[Planted]) -> int:
    owner = await asyncpg.connect(server.owner_url)
    try:
        return sum([len(await erasure._found(owner, planted)) for planted in members])
    finally:
        await owner.close()


async def _search_tables(run: Run, server: RunningServer, purged: list[Planted], depersonalised: list[Planted]) -> None:
    owner = await asyncpg.connect(server.owner_url)
    unexplained: Counter[str] = Counter()
    try:
        for members, purge in ((purged, True), (depersonalised, False)):
            for planted in members:
                for table, column in await erasure._found(owner, planted):
                    if not personal_data.TABLES[table].retention_reason(column, purge=purge):
                        unexplained[f"{table}.{column} of a {'purged' if purge else 'depersonalised'} member"] += 1
    finally:
        await owner.close()
    searched = len(personal_data.TABLES) * (len(purged) + len(depersonalised))
    run.figure("searches of a table for a member", searched)
    run.check_none(
        "no column of any table contains a text that should be erased", sorted(unexplained), searched, "searches"
    )


def _search_files(run: Run, server: RunningServer, purged: list[Planted], every: list[Planted]) -> None:
    folder = server.folder
    data = folder / "data/postgresql"
    dump = folder / "dump.sql"
    pg_dump = [str(embedded.binaries_folder() / "pg_dump"), "--dbname", server.owner_url, "--file", str(dump)]
    subprocess.run(pg_dump, check=True, capture_output=True)
    logs = [folder / "server.log", data / "log"]
    temporary = [each for each in (folder / "temporary").rglob("*") if each.is_file()]
    _search(run, "a purged", "a dump of the database", [dump], purged)
    _search(run, "an erased", "the logs of the server and of PostgreSQL", logs, every)
    _search(run, "an erased", "temporary files", temporary, every)
    with connect(server.owner_url) as connection:
        connection.execute("VACUUM (FULL, ANALYZE)")
        connection.execute("CHECKPOINT")
    # Files of the tables before are emptied at the next checkpoint and then removed.
    with connect(server.owner_url) as connection:
        connection.execute("CHECKPOINT")
        # ANALYZE leaves the statistics of a table that is empty now as they were: docs/privacy.md.
        statistics = connection.execute("SELECT pg_relation_filepath('pg_statistic')").fetchone()
    assert statistics is not None
    apart = data / str(statistics[0])
    files = [each for each in data.rglob("*") if each.is_file() and "pg_wal" not in each.parts and each != apart]
    _search(run, "a purged", "the data directory without the write-ahead log", files, purged)


def _search(run: Run, whose: str, what: str, files: list[Path], members: list[Planted]) -> None:
    texts = [text for each in members for text in (each.mark, each.phone)]
    pattern = re.compile("|".join([*texts, *(text.encode().hex() for text in texts)]).encode(), re.IGNORECASE)
    found: list[str] = []
    size = 0
    for file in files:
        for piece in _pieces(file):
            size += len(piece)
            found += [f"{file.name}: {_around(piece, each)}" for each in pattern.finditer(piece)]
    run.figure(f"searched in {what}", size / 1_000_000, "MB")
    run.check(
        f"no text of {whose} member is in {what}",
        f"{len(found)} found of {len(texts)} texts, in {len(files)} files",
        not found,
    )
    for each in found[:10]:
        run.log(f"  {each}")


def _around(piece: bytes, found: "re.Match[bytes]") -> str:
    return repr(piece[max(0, found.start() - 60) : found.end() + 40])


def _pieces(file: Path) -> Iterator[bytes]:
    """Yields the content of a file in overlapping parts; nothing if it was removed."""
    try:
        with file.open("rb") as opened:
            before = b""
            while piece := opened.read(_PIECE):
                yield before + piece
                before = piece[-64:]
    except FileNotFoundError:
        return
