"""The queue of writes: which rows are committed together, and when a second commit begins beside another one."""

import asyncio

import pytest

from clubs import Club
from ingest.transaction_writes import transaction_write
from regulars.ingest import write_queue
from regulars.ingest.write_queue import (
    LARGE_COMMIT_ROWS,
    MIN_ROWS_OF_SECOND_COMMIT,
    WRITERS_PER_COMMUNITY,
    PendingWrite,
    WriteQueue,
)


def pending(club: Club, *profiles: str | None, shard: int | None = None) -> PendingWrite:
    writes = [transaction_write(club, profile=each) if each else transaction_write(club) for each in profiles]
    return PendingWrite(writes, None, None, create_profiles=False, returns_transactions=False, shard=shard)


def started(queue: WriteQueue) -> bool:
    """As the committer does after each write."""
    if queue.needs_writer():
        queue.writers += 1
        return True
    return False


def append(queue: WriteQueue, *writes: PendingWrite) -> list[bool]:
    """Whether a writer was started for each of the writes."""
    found = []
    for each in writes:
        queue.append(each)
        found.append(started(queue))
    return found


async def test_few_rows_wait_for_the_running_commit(club: Club) -> None:
    queue = WriteQueue(500, max_writers=2)
    assert append(queue, pending(club, "A")) == [True]
    first = queue.take()
    few = [pending(club, f"B{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT - 1)]
    assert not any(append(queue, *few))
    queue.finish(first)
    assert queue.take() == few


async def test_rows_wait_for_the_next_rows_of_those_who_were_answered(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_queue, "MAX_GATHERING_SECONDS", 60.0)
    queue = WriteQueue(500, max_writers=1)
    append(queue, pending(club, "A"), pending(club, "B"))
    first = queue.take()
    waiting = [pending(club, "C")]
    append(queue, *waiting)
    queue.finish(first)
    gathering = asyncio.ensure_future(queue.gather(first, 600.0))
    await asyncio.sleep(0)
    await queue.gather(first, 600.0)
    # Callers count, not their rows.
    waiting.append(pending(club, "D", "E", "F"))
    assert append(queue, waiting[-1]) == [False]
    await asyncio.sleep(0)
    assert not gathering.done()
    waiting += [pending(club, "G"), pending(club, "H")]
    append(queue, *waiting[2:])
    await gathering
    assert queue.take() == waiting


async def test_the_first_who_returns_waits_for_the_others(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "MAX_GATHERING_SECONDS", 60.0)
    queue = WriteQueue(500, max_writers=1)
    append(queue, pending(club, "A"), pending(club, "B"))
    both = queue.take()
    queue.finish(both)
    gathering = asyncio.ensure_future(queue.gather(both, 600.0))
    await asyncio.sleep(0)
    append(queue, pending(club, "A"))
    await asyncio.sleep(0)
    assert not gathering.done()
    append(queue, pending(club, "B"))
    await gathering
    assert len(queue.take()) == 2


async def test_rows_do_not_wait_long_or_needlessly_for_more(club: Club) -> None:
    queue = WriteQueue(500, max_writers=2)
    append(queue, pending(club, *(f"A{number}" for number in range(LARGE_COMMIT_ROWS + 1))))
    large = queue.take()
    queue.finish(large)
    # A single caller does not wait for itself.
    await queue.gather(large, 600.0)
    append(queue, pending(club, "B"))
    # The fixed costs of a large commit do not matter.
    await queue.gather(large, 600.0)
    second = queue.take()
    append(queue, pending(club, "C"))
    # Another commit is running.
    await queue.gather(second, 600.0)
    queue.finish(second)
    # The time is up.
    await queue.gather(second, 0.0)
    append(queue, *(pending(club, f"D{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT)))
    await queue.gather(second, 600.0)
    assert len(queue.take()) == MIN_ROWS_OF_SECOND_COMMIT + 1


async def test_many_rows_begin_a_second_commit_but_no_third(club: Club) -> None:
    queue = WriteQueue(500, max_writers=2)
    append(queue, first := pending(club, "A"))
    batch = queue.take()
    assert batch == [first]
    many = [pending(club, f"B{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT)]
    assert append(queue, *many) == [False] * (MIN_ROWS_OF_SECOND_COMMIT - 1) + [True]
    second = queue.take()
    assert second == many
    assert not any(append(queue, *(pending(club, f"C{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT))))
    queue.finish(second)
    assert len(queue.take()) == MIN_ROWS_OF_SECOND_COMMIT


async def test_one_writer_is_enough_where_other_processes_write(club: Club) -> None:
    queue = WriteQueue(500, max_writers=1)
    append(queue, pending(club, "A"))
    queue.take()
    assert not any(append(queue, *(pending(club, f"B{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT))))


async def test_a_writer_ends_if_few_rows_wait_while_another_commits(club: Club) -> None:
    queue = WriteQueue(500, max_writers=2)
    append(queue, pending(club, "A"))
    first = queue.take()
    append(queue, *(pending(club, f"B{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT)))
    second = queue.take()
    append(queue, last := pending(club, "C"))
    queue.finish(first)
    assert queue.take() == []
    queue.writers -= 1
    queue.finish(second)
    assert queue.take() == [last]


async def test_rows_of_a_profile_that_is_committed_wait(club: Club) -> None:
    queue = WriteQueue(500, max_writers=2)
    append(queue, pending(club, "A", "B"))
    first = queue.take()
    same = [pending(club, "B") for _ in range(MIN_ROWS_OF_SECOND_COMMIT)]
    assert not any(append(queue, *same))
    others = [pending(club, f"C{number}") for number in range(MIN_ROWS_OF_SECOND_COMMIT)]
    assert any(append(queue, *others))
    second = queue.take()
    assert second == others
    queue.finish(first)
    assert queue.take() == same


async def test_rows_without_profile_and_external_id_wait_for_nothing(club: Club) -> None:
    assert pending(club, None).locked == frozenset()
    queue = WriteQueue(500, max_writers=2)
    append(queue, pending(club, None))
    queue.take()
    assert any(append(queue, *(pending(club, None) for _ in range(MIN_ROWS_OF_SECOND_COMMIT))))


async def test_no_row_waits_for_a_large_commit_or_one_that_takes_long(club: Club) -> None:
    queue = WriteQueue(5_000, max_writers=2)
    append(queue, pending(club, *(f"A{number}" for number in range(LARGE_COMMIT_ROWS + 1))))
    large = queue.take()
    assert append(queue, pending(club, "A1"), pending(club, "B")) == [False, True]
    queue.take()
    queue.finish(large)
    queue = WriteQueue(5_000, max_writers=2)
    append(queue, pending(club, "A"))
    first = queue.take()
    assert append(queue, other := pending(club, "B")) == [False]
    queue.mark_slow(first)
    assert started(queue)
    assert queue.take() == [other]
    queue.finish(first)
    assert queue.take() == []


async def test_shards_of_a_file_are_committed_concurrently(club: Club) -> None:
    queue = WriteQueue(5_000, max_writers=1)
    shards = [pending(club, *(f"{shard}-{number}" for number in range(40)), shard=shard) for shard in range(2)]
    assert append(queue, *shards) == [True] * WRITERS_PER_COMMUNITY
    assert [queue.take(), queue.take()] == [[each] for each in shards]
