"""A file is written by two concurrent commits, each with its own profiles."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from loading.file_loader import FileLoader, outcome_counts, reasons_by_line
from regulars.ingest import group_commit
from regulars.ingest.write_queue import WRITERS_PER_COMMUNITY, PendingWrite
from regulars.loading import load_job
from regulars.loading.batches import LoadStoppedError
from regulars.model.transactions.schema import EXTERNAL_ID_OR_ID

PROFILES = 12
ROWS = WRITERS_PER_COMMUNITY * load_job.MIN_ROWS_PER_SHARD


def file(rows: int, invalid: Sequence[int] = ()) -> str:
    """Transactions of alternating profiles, some of them unknown."""
    lines = [
        f"T{number},{'X' if number in invalid else 'M'}{number % PROFILES},2026-10-01T10:00:00Z,{number}"
        for number in range(rows)
    ]
    return "external_id,profile,transacted_at,total\n" + "\n".join(lines) + "\n"


async def profiles(load: FileLoader) -> None:
    """Creates the profiles of the file."""
    await load.profiles(*(f"M{number}" for number in range(PROFILES)))


def record_commits(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Records the profiles of each commit, as rows name them."""
    batches: list[list[str]] = []
    commit_group = group_commit.commit_group

    async def recording(database: Any, community_id: int, batch: Sequence[PendingWrite]) -> Any:
        batches.append([write.row.profile[1] for each in batch for write in each.writes if write.row.profile])
        return await commit_group(database, community_id, batch)

    monkeypatch.setattr(group_commit, "commit_group", recording)
    return batches


async def test_rows_of_one_profile_are_in_one_commit(load: FileLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    await profiles(load)
    commits = record_commits(monkeypatch)
    assert outcome_counts(await load("transactions", file(ROWS))) == (ROWS, 0, 0)
    assert sum(map(len, commits)) == ROWS
    named = [set(each) for each in commits]
    assert sum(map(len, named)) == len(set().union(*named)) == PROFILES
    for number in (0, PROFILES - 1):
        spent = sum(range(number, ROWS, PROFILES))
        assert (await load.values(f"M{number}"))["spend_all"] == spent


async def test_few_rows_are_one_commit(load: FileLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    await profiles(load)
    commits = record_commits(monkeypatch)
    assert outcome_counts(await load("transactions", file(ROWS - 1))) == (ROWS - 1, 0, 0)
    assert [len(each) for each in commits] == [ROWS - 1]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_outcomes_are_reported_at_the_line_of_their_row(load: FileLoader, dry_run: bool) -> None:
    await profiles(load)
    invalid = [0, 7, ROWS - 1]
    summary = await load("transactions", file(ROWS, invalid), dry_run=dry_run)
    assert outcome_counts(summary) == (ROWS - len(invalid), 0, len(invalid))
    assert reasons_by_line(summary) == {
        number + 2: f"profile there is no profile X{number % PROFILES}" for number in invalid
    }


async def test_an_error_of_one_commit_leaves_the_other(load: FileLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    await profiles(load)
    commit_group = group_commit.commit_group

    async def failing(database: Any, community_id: int, batch: Sequence[PendingWrite]) -> Any:
        if any(write.row.profile == (EXTERNAL_ID_OR_ID, "M3") for each in batch for write in each.writes):
            raise asyncpg.DeadlockDetectedError("without end")
        return await commit_group(database, community_id, batch)

    monkeypatch.setattr(group_commit, "commit_group", failing)
    with pytest.raises(LoadStoppedError) as stopped:
        await load("transactions", file(ROWS))
    assert isinstance(stopped.value.__cause__, asyncpg.DeadlockDetectedError)
    stored = {row["external_id"] for row in (await load.transactions()).values()}
    assert "T3" not in stored
    monkeypatch.undo()
    summary = await load("transactions", file(ROWS))
    assert summary.accepted + summary.unchanged == ROWS
    assert summary.accepted >= ROWS // PROFILES
