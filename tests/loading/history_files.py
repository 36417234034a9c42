"""Files for large loads, how they are loaded, and queries of what is stored."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from clubs import Club
from hypothesis_settings import SEED
from loading.file_loader import FileLoader
from regulars.loading import catalog, loader
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.load_job import LoadJob, open_load_job
from regulars.loading.parquet_fast_path import SlowRows, read_plain_rows
from regulars.loading.readers import files
from regulars.model.community import Community
from regulars.verify.verify import verify

MEMBERS = [f"M{number}" for number in range(20)]

PURCHASE_TABLES = ("purchases", "purchase_versions", "purchase_rollups", "purchase_compaction_state", "member_bitmaps")
"""Tables that reports of transactions are derived from."""


def write_sales(path: Path, rows: int = 200, **more: list[Any]) -> Path:
    """Writes a file of random sales, with and without a member."""
    rng = random.Random(SEED)
    # Distinct instants, because the order of simultaneous sales is undefined.
    minutes = rng.sample(range(1_000_000), rows)
    table = {
        "external_id": [f"T{number}" for number in range(rows)],
        "profile": [rng.choice([*MEMBERS, None]) for _ in range(rows)],
        "transacted_at": [
            datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(minutes=minute) for minute in minutes
        ],
        "total": [Decimal(rng.randrange(-5_000, 50_000)) / 100 for _ in range(rows)],
        "location": [rng.choice(["S1", "S2", None]) for _ in range(rows)],
        "systems": [rng.choice([["pos"], ["WEB", "app"], [], None]) for _ in range(rows)],
        **more,
    }
    pyarrow.parquet.write_table(pa.table(table), path)
    return path


async def load_path(load: FileLoader, path: Path, *, by_rows: bool = False, **options: Any) -> LoadSummary:
    """Loads a file, by columns or row by row."""
    source = files.inspect_file(path)
    read = partial(source.rows, catalog.columns_of("transactions"))
    club = load.club
    target = (club.database, club.server.group_committer, club.community.id)
    return await loader.load_and_finish(
        *target, "transactions", read, LoadOptions(**options), None if by_rows else source
    )


@asynccontextmanager
async def load_without_finishing(load: FileLoader, path: Path) -> AsyncIterator[LoadJob]:
    """A load job with all rows written and no value refreshed."""
    club = load.club
    source = files.inspect_file(path)
    async with open_load_job(club.database, club.server.group_committer, club.community.id) as arrival:
        await loader.load_file(
            arrival, "transactions", partial(source.rows, catalog.columns_of("transactions")), None, source
        )
        yield arrival


async def fetch_rows(club: Club, statement: str) -> list[dict[str, Any]]:
    async with club.database.read_transaction(club.community.id) as scope:
        return [dict(row) for row in await scope.fetch(statement, club.community.id)]


async def count_dirty(club: Club) -> int:
    (row,) = await fetch_rows(
        club, "SELECT count(*) AS n FROM profile_aggregations WHERE community_id = $1 AND values_version < 0"
    )
    return int(row["n"])


async def verify_differences(club: Club) -> list[str]:
    """The differences that verify finds; asserts that no profile is dirty."""
    assert await count_dirty(club) == 0
    results = [each async for each in verify(club.database, club.community.id)]
    return [str(each) for each in results if not isinstance(each, int)]


async def count_outbox(club: Club, reason: str) -> int:
    (row,) = await fetch_rows(club, f"SELECT count(*) AS n FROM outbox WHERE community_id = $1 AND reason = '{reason}'")
    return int(row["n"])


STORED_TRANSACTIONS = """
SELECT stored.*, own.external_id AS owner
FROM transactions AS stored
LEFT JOIN profiles AS own USING (community_id, profile_id)
WHERE stored.community_id = $1
ORDER BY stored.external_id
"""


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without ids that differ in each run."""
    return [{name: value for name, value in row.items() if name not in ("id", "profile_id")} for row in rows]


AWKWARD: dict[str, list[Any]] = {
    "texts": ["plain", "ødeløv", 'a "quote"', "back\\slash", "tab\tin", "nul\0", "x" * 255, "x" * 256, "", "77777"],
    "times": [
        "2026-10-01", "2026-10-01 12:30", "2026-10-01T12:30:15.250", "2026-10-01T12:30:15+02:00", "2026-10-01T12:30Z",
        "2026-10-25 02:30", "2026-03-29 02:30", "2026-13-01", "1899-01-01", "today", "2026-10-01T24:00:00", None,
    ],
    "totals": [
        "5", "5.00", "-0.5", "0", "-0", "005", "1e3", "1.234", "1.2340", "1.1234567", "999999999999", "99999999999.99",
        "x", "", None,
    ],
    "zones": ["UTC", "Europe/Oslo", "America/New_York", "CET", "Nowhere/Land", "", None, None, None],
    "currencies": ["NOK", "nok", "SEK", None, None, None],
}  # fmt: skip


def write_awkward(path: Path, rows: int = 600) -> Path:
    """Writes a file whose columns have cells of every form."""
    rng = random.Random(SEED + 1)

    def some(name: str, *usual: str | None) -> list[Any]:
        return [rng.choice(AWKWARD[name]) if rng.random() < 0.2 else rng.choice(usual) for _ in range(rows)]

    ids = [f"T{number if rng.random() < 0.95 else number // 2}" for number in range(rows)]
    table = {
        "external_id": [rng.choice(AWKWARD["texts"]) if rng.random() < 0.05 else each for each in ids],
        "profile": some("texts", "M1", "M2", "unknown", None),
        "transacted_at": some("times", "2026-10-01 12:00:00", "2026-01-01T10:00:00Z"),
        "timezone": some("zones", "Europe/Oslo", None),
        "total": some("totals", "5.00", "-2.5", "349"),
        "currency": some("currencies", None),
        "location": some("texts", "S1", "S2", None),
        "systems": [rng.choice([["pos"], ["Web", "pos"], [], None, ["a,b"], [""], [None]]) for _ in range(rows)],
        "is_void": [rng.choice([True, False, None]) for _ in range(rows)],
        "receipt_ref": some("texts", None, "R1"),
        "sku": [rng.choice([None] * 9 + ["A"]) for _ in range(rows)],
        "type": [rng.choice([None] * 9 + ["sale"]) for _ in range(rows)],
    }
    pyarrow.parquet.write_table(pa.table(table), path)
    return path


def count_plain_rows(path: Path, community: Community) -> int:
    """How many rows of a file are plain."""
    slow = SlowRows()
    with path.open("rb") as file:
        columns = catalog.columns_of("transactions")
        batches = list(read_plain_rows(file, columns, community, 100, slow, lambda position: None))
    number = sum(len(table) for tables in batches for table in tables)
    assert number + sum(slow.flags) == len(slow.flags)
    return number
