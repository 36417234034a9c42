"""The response to the first request with a key is stored with its facts, and replayed for a day."""

from datetime import timedelta

import pytest

from clubs import Club
from regulars.core.errors import ValidationError
from regulars.ingest import idempotency
from regulars.ingest.commit import commit
from regulars.model.unit_of_work import UnitOfWork


async def send(club: Club, key: str, body: bytes, response: bytes) -> bytes:
    async def handle() -> tuple[int, bytes]:
        return 201, response

    async def work(uow: UnitOfWork) -> bytes:
        status, content = await idempotency.run_once(
            uow, idempotency.hash_key(key, b"POST /x", body, "community"), handle
        )
        assert status == 201
        return content

    return await commit(club.database, club.community.id, work)


async def test_the_first_response_is_replayed(club: Club) -> None:
    assert await send(club, "k", b"1", b"first") == b"first"
    assert await send(club, "k", b"1", b"second") == b"first"
    assert await send(club, "other", b"1", b"second") == b"second"


async def test_another_body_or_path_is_another_request(club: Club) -> None:
    await send(club, "k", b"1", b"first")
    with pytest.raises(ValidationError):
        await send(club, "k", b"2", b"second")
    assert len({idempotency.hash_key("k", target, b"1", "community") for target in (b"POST /x", b"POST /y")}) == 2


async def test_keys_are_scoped_to_their_community(club: Club, other_club: Club) -> None:
    await send(club, "k", b"1", b"first")
    assert await send(other_club, "k", b"2", b"second") == b"second"


async def test_a_key_is_valid_for_a_day_across_midnight(club: Club) -> None:
    await send(club, "k", b"1", b"first")
    club.clock.at += timedelta(hours=23, minutes=59)
    assert await send(club, "k", b"1", b"second") == b"first"
    club.clock.at += timedelta(minutes=1)
    assert await send(club, "k", b"1", b"second") == b"second"


async def test_a_response_that_was_not_sent_is_not_stored(club: Club) -> None:
    async def work(uow: UnitOfWork) -> None:
        async def handle() -> tuple[int, bytes]:
            raise KeyError("x")

        await idempotency.run_once(uow, idempotency.hash_key("k", b"POST /x", b"1", "community"), handle)

    with pytest.raises(KeyError):
        await commit(club.database, club.community.id, work)
    assert await send(club, "k", b"1", b"first") == b"first"


@pytest.mark.parametrize("key", ["x" * 256, "a\nb"])
def test_a_key_is_short_and_printable(key: str) -> None:
    with pytest.raises(ValidationError):
        idempotency.hash_key(key, b"", b"", "community")
