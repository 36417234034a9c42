"""Group commit: concurrent writes share a commit, and each caller gets its own response and rejections."""

import asyncio
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from api.transaction_client import fill_spend
from clubs import Club
from ingest.transaction_writes import stored_rows, transaction_write
from regulars.aggregations.table import SLOW_REFRESH_SALES
from regulars.core.errors import ValidationError, field_error
from regulars.ingest import group_commit, idempotency, transactions, write_queue
from regulars.ingest.commit import commit
from regulars.ingest.group_commit import GroupCommitter
from regulars.ingest.transactions import StoredTransaction, WriteMode, WriteOutcome
from regulars.ingest.write_queue import Representations
from regulars.model import community as communities
from regulars.model.products import products
from regulars.model.unit_of_work import UnitOfWork


async def profile(club: Club, **body: Any) -> str:
    answer = await club.http.post("/api/v3/profiles", json=body)
    found: str = answer.json()["data"]["id"]
    return found


def record_group_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records the number of callers of each commit."""
    sizes: list[int] = []
    together = group_commit.commit_group

    async def counting(database: Any, community_id: int, batch: Any) -> Any:
        sizes.append(len(batch))
        return await together(database, community_id, batch)

    monkeypatch.setattr(group_commit, "commit_group", counting)
    return sizes


async def test_concurrent_writes_share_a_commit(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_group_sizes(monkeypatch)
    group_committer = GroupCommitter(club.database, 500, max_writers=1)
    rows = [transaction_write(club, external_id=str(number)) for number in range(20)]
    results = await asyncio.gather(*(group_committer.write(club.community.id, [each]) for each in rows))
    assert sum(sizes) == 20
    assert len(sizes) <= 2
    ids = [each.id for result in results for each in result.outcomes if isinstance(each, StoredTransaction)]
    found = dict(await stored_rows(club, "external_id, id"))
    assert [found[str(number)] for number in range(20)] == ids
    await group_committer.finish()


async def test_the_community_is_read_again_only_after_a_change(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    get_by_id = communities.get_by_id

    async def counting(connection: Any, community_id: int) -> Any:
        reads.append(community_id)
        return await get_by_id(connection, community_id)

    monkeypatch.setattr(communities, "get_by_id", counting)
    committer = club.server.group_committer

    async def reads_of_a_write() -> int:
        reads.clear()
        await committer.community(club.community.id)
        await committer.write(club.community.id, [transaction_write(club)])
        return len(reads)

    assert [await reads_of_a_write() for _ in range(2)] == [1, 0]
    async with club.database.unscoped_connection() as connection:
        await communities.set_provider_statuses(connection, club.community.slug, False, club.clock())
    assert [await reads_of_a_write() for _ in range(3)] == [1, 1, 0]
    webhook = {"trigger": "transaction.created", "url": "https://example.com", "is_active": True}
    assert (await club.http.post("/api/v3/webhooks", json=webhook)).is_success
    assert [await reads_of_a_write() for _ in range(3)] == [1, 1, 0]
    # The first write after the change is an event already.
    assert len(await stored_rows(club, "id", "webhook_events")) == 3


async def test_a_change_of_the_community_during_a_commit_that_has_read_it_is_no_error(club: Club) -> None:
    async def work(uow: UnitOfWork) -> list[WriteOutcome]:
        async with club.database.unscoped_connection() as connection:
            await communities.set_provider_statuses(connection, club.community.slug, False, club.clock())
        return await transactions.write(uow, [transaction_write(club, location="M1")])

    outcomes = await commit(club.database, club.community.id, work)
    assert [type(each) for each in outcomes] == [StoredTransaction]


async def test_rows_of_different_shards_are_committed_apart(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_group_sizes(monkeypatch)
    group_committer = GroupCommitter(club.database, 500, max_writers=2)
    callers = [
        [transaction_write(club, external_id=f"{caller}-{number}") for number in range(3)] for caller in range(2)
    ]
    results = await asyncio.gather(
        *(group_committer.write(club.community.id, each, shard=shard) for shard, each in enumerate(callers))
    )
    assert sizes == [1, 1]
    assert all(isinstance(each, StoredTransaction) for result in results for each in result.outcomes)


async def test_rows_of_one_profile_wait_for_each_other(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    await profile(club, external_id="M1")
    sizes = record_group_sizes(monkeypatch)
    group_committer = GroupCommitter(club.database, 500, max_writers=2)
    rows = [transaction_write(club, external_id=str(number), profile="M1") for number in range(20)]
    await asyncio.gather(*(group_committer.write(club.community.id, [each]) for each in rows))
    assert sizes == [20]


async def test_other_rows_do_not_wait_for_a_slow_profile(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_SLOW_PROFILES", 1)
    for name in ("large", "larger", "small"):
        await profile(club, external_id=name)
    group_committer = GroupCommitter(club.database, 5_000, max_writers=1)
    for name in ("large", "larger"):
        many = [
            transaction_write(club, external_id=f"{name}-{number}", profile=name)
            for number in range(SLOW_REFRESH_SALES)
        ]
        await group_committer.write(club.community.id, many)
    sizes = record_group_sizes(monkeypatch)
    # Both profiles are found slow, only the last one is remembered.
    for profiles in (["large", "larger", "small"], ["larger", "small"], ["large", "small"], ["large", "small"]):
        await asyncio.gather(
            *(group_committer.write(club.community.id, [transaction_write(club, profile=each)]) for each in profiles)
        )
    assert sizes == [3, 1, 1, 2, 1, 1]


async def test_rows_do_not_wait_for_a_commit_that_takes_long(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "SLOW_COMMIT_SECONDS", 0.0)
    blocked, free = [await profile(club, external_id=name) for name in ("blocked", "free")]
    group_committer = GroupCommitter(club.database, 500)
    commit_group, is_running = group_commit.commit_group, asyncio.Event()

    async def running(*arguments: Any) -> Any:
        is_running.set()
        return await commit_group(*arguments)

    monkeypatch.setattr(group_commit, "commit_group", running)

    async def write(profile_id: str) -> Any:
        return await group_committer.write(club.community.id, [transaction_write(club, profile=profile_id)])

    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "SELECT FROM profiles WHERE community_id = $1 AND profile_id = $2 FOR UPDATE", club.community.id, blocked
        )
        waiting = [asyncio.create_task(write(blocked))]
        await is_running.wait()
        waiting.append(asyncio.create_task(write(blocked)))
        await write(free)
        assert not any(each.done() for each in waiting)
    await asyncio.gather(*waiting)
    assert len(await stored_rows(club, "id")) == 3


async def test_batches_have_a_maximum_size(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_group_sizes(monkeypatch)
    group_committer = GroupCommitter(club.database, 4, max_writers=1)
    callers = [[transaction_write(club) for _ in range(size)] for size in (3, 1, 1, 9, 2)]
    await asyncio.gather(*(group_committer.write(club.community.id, each) for each in callers))
    assert sizes == [2, 1, 1, 1]
    assert len(await stored_rows(club, "id")) == 16


async def test_one_commit_locks_few_idempotency_keys(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "MAX_IDEMPOTENCY_KEYS", 5)
    sizes = record_group_sizes(monkeypatch)
    group_committer = GroupCommitter(club.database, 500, max_writers=1)
    keys = [idempotency.hash_key(str(number), b"POST", b"", "community") for number in range(12)]
    rows = [transaction_write(club, external_id=str(number)) for number in range(12)]
    await asyncio.gather(
        *(
            group_committer.write(club.community.id, [each], idempotency_key=key)
            for each, key in zip(rows, keys, strict=True)
        )
    )
    assert sizes == [5, 5, 2]


async def test_on_commit_is_called_with_each_committed_batch(club: Club) -> None:
    group_committer = GroupCommitter(club.database, 500)
    committed: list[list[WriteOutcome]] = []
    group_committer.on_commit = lambda results: committed.append(
        [each for result in results for each in result.outcomes]
    )
    result = await group_committer.write(club.community.id, [transaction_write(club)])
    assert committed == [result.outcomes]


async def test_an_error_of_an_observer_concerns_no_write(club: Club) -> None:
    def fail(results: object) -> None:
        raise RuntimeError("observer")

    group_committer = GroupCommitter(club.database, 500, max_writers=1)
    group_committer.on_commit = fail
    for _ in range(2):
        with capture_logs() as logs:
            await asyncio.wait_for(group_committer.write(club.community.id, [transaction_write(club)]), 10)
        assert [each["event"] for each in logs] == ["group_commit.observer_failed"]
    assert len(await stored_rows(club, "id")) == 2


async def test_a_cancelled_writer_leaves_no_write_waiting(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    group_committer = GroupCommitter(club.database, 500, max_writers=1)
    started = asyncio.Event()
    together = group_commit.commit_group

    async def hang(*arguments: Any, **options: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(group_commit, "commit_group", hang)
    writing = asyncio.ensure_future(group_committer.write(club.community.id, [transaction_write(club)]))
    await started.wait()
    (writer,) = group_committer._writers
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(writing, 10)
    monkeypatch.setattr(group_commit, "commit_group", together)
    await asyncio.wait_for(group_committer.write(club.community.id, [transaction_write(club)]), 10)


async def test_rows_that_create_profiles_are_batched_separately(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_group_sizes(monkeypatch)
    group_committer = GroupCommitter(club.database, 500)
    results = await asyncio.gather(
        *(
            group_committer.write(
                club.community.id, [transaction_write(club, profile=f"P{index}")], create_profiles=create, shard=0
            )
            for index, create in enumerate((True, False, True))
        )
    )
    assert sizes == [1, 1, 1]
    assert [isinstance(result.outcomes[0], StoredTransaction) for result in results] == [True, False, True]


async def test_only_the_row_that_the_database_rejects_is_rejected(club: Club) -> None:
    await profile(club, external_id="member")
    await fill_spend(club, await profile(club, external_id="large"))
    group_committer = GroupCommitter(club.database, 500)
    rows = [transaction_write(club, external_id=str(number), profile="member") for number in range(9)]
    rows[4] = transaction_write(club, profile="large")
    results = await asyncio.gather(*(group_committer.write(club.community.id, [each]) for each in rows))
    rejected = [index for index, result in enumerate(results) if isinstance(result.outcomes[0], ValidationError)]
    assert rejected == [4]
    assert len(await stored_rows(club, "id")) == 8 + 1


async def test_a_rejection_of_a_whole_batch_concerns_its_own_row_only(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_inline = products.get_or_create_inline

    async def gone(uow: UnitOfWork, inline: Any) -> Any:
        # As if a product were deleted between its lookup and the insert.
        if any(each.sku == "gone" for each in inline):
            raise field_error("product_variant.product_id", "is no product")
        return await create_inline(uow, inline)

    monkeypatch.setattr(products, "get_or_create_inline", gone)
    group_committer = GroupCommitter(club.database, 500)
    rows = [
        transaction_write(club, items=[{"product_variant": {"sku": sku, "name": sku}}]) for sku in ("a", "gone", "b")
    ]
    results = await asyncio.gather(*(group_committer.write(club.community.id, [each]) for each in rows))
    assert [isinstance(result.outcomes[0], StoredTransaction) for result in results] == [True, False, True]


# Responses -------------------------------------------------------------------------------------------------


async def ids(
    uow: UnitOfWork, outcomes: list[WriteOutcome], representations: Representations
) -> tuple[int, bytes] | None:
    found = [each.id for each in outcomes if isinstance(each, StoredTransaction)]
    assert set(found) <= representations.keys()
    return (201, repr(found).encode()) if found else None


def key(name: str, body: bytes) -> idempotency.IdempotencyKey:
    return idempotency.hash_key(name, b"POST /", body, "community")


async def test_the_same_key_in_one_batch_and_later_writes_once(club: Club) -> None:
    group_committer = GroupCommitter(club.database, 500)

    async def sent(body: bytes) -> write_queue.CommitResult:
        return await group_committer.write(
            club.community.id,
            [transaction_write(club)],
            build_response=ids,
            idempotency_key=key("k", body),
            returns_transactions=True,
        )

    first, same, other = await asyncio.gather(sent(b"1"), sent(b"1"), sent(b"2"))
    assert first.response == same.response is not None
    assert isinstance(other.outcomes[0], ValidationError)
    later, another = await asyncio.gather(sent(b"1"), sent(b"3"))
    assert later.response == first.response
    assert isinstance(another.outcomes[0], ValidationError)
    assert len(await stored_rows(club, "id")) == 1


async def test_a_rejected_first_request_answers_its_duplicates_in_the_batch(club: Club) -> None:
    group_committer = GroupCommitter(club.database, 500)
    invalid = transaction_write(club, profile="unknown")
    results = await asyncio.gather(
        *(
            group_committer.write(
                club.community.id,
                [invalid],
                build_response=ids,
                idempotency_key=key("k", b"1"),
                returns_transactions=True,
            )
            for _ in range(2)
        )
    )
    assert [result.response for result in results] == [None, None]
    assert all(isinstance(result.outcomes[0], ValidationError) for result in results)


# Errors -------------------------------------------------------------------------------------------------


async def test_an_error_of_a_batch_is_raised_to_each_caller_and_the_next_batch_is_committed(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    group_committer = GroupCommitter(club.database, 500)
    together = group_commit.commit_group

    async def failing(database: Any, community_id: int, batch: Any) -> Any:
        monkeypatch.setattr(group_commit, "commit_group", together)
        raise OSError("the disk is full")

    monkeypatch.setattr(group_commit, "commit_group", failing)
    results = await asyncio.gather(
        *(group_committer.write(club.community.id, [transaction_write(club)]) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [OSError] * 3
    assert isinstance(
        (await group_committer.write(club.community.id, [transaction_write(club)])).outcomes[0], StoredTransaction
    )


@pytest.mark.parametrize("halving", [False, True])
async def test_a_deadlock_rejects_no_row(club: Club, monkeypatch: pytest.MonkeyPatch, halving: bool) -> None:
    calls = 0
    original = transactions.write

    async def deadlocked(uow: UnitOfWork, writes: Any, **more: Any) -> list[WriteOutcome]:
        nonlocal calls
        calls += 1
        if calls == 1 and halving:
            raise field_error("", "no")
        if calls <= 2:
            await uow.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")
        return await original(uow, writes, **more)

    monkeypatch.setattr(group_commit, "write", deadlocked)
    group_committer = GroupCommitter(club.database, 500)
    assert isinstance(
        (await group_committer.write(club.community.id, [transaction_write(club)])).outcomes[0], StoredTransaction
    )
    assert len(await stored_rows(club, "id")) == 1


async def test_repeated_deadlocks_are_an_error(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deadlocked(uow: UnitOfWork, writes: Any, **more: Any) -> list[WriteOutcome]:
        raise asyncpg.DeadlockDetectedError

    monkeypatch.setattr(group_commit, "write", deadlocked)
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await GroupCommitter(club.database, 500).write(club.community.id, [transaction_write(club)])


async def test_the_row_of_a_cancelled_caller_is_committed(club: Club) -> None:
    group_committer = GroupCommitter(club.database, 500)
    waiting = asyncio.ensure_future(
        group_committer.write(club.community.id, [transaction_write(club, WriteMode.CREATE)])
    )
    await asyncio.sleep(0)
    waiting.cancel()
    await group_committer.finish()
    assert len(await stored_rows(club, "id")) == 1
