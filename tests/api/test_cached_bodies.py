"""Repeated reads of a profile's values return an encoded body: never one that facts, settings or the clock have outdated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from api.transaction_client import V3, create_profile, create_transaction, sale
from clubs import Club, send_raw
from regulars.api.profile import fast_path
from regulars.model import community as communities
from regulars.model.community import NewCommunity


class Reads:
    """Reads of one profile: by the fast path, and by the general handler, which encodes nothing in advance."""

    def __init__(self, club: Club, profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.club = club
        self.path = f"{V3}/profiles/{profile}/aggregations"
        self.fetched = 0
        plain = club.server.value_reader.read_many

        async def read_many(community_id: int, profile_ids: Sequence[UUID]) -> Any:
            self.fetched += 1
            return await plain(community_id, profile_ids)

        monkeypatch.setattr(club.server.value_reader, "read_many", read_many)

    async def settle(self) -> None:
        """Reads until the body is stored; outdated values are stored first, as the refresh job does."""
        assert (await self.club.http.get(f"{self.path}/calculate")).status_code == 200
        for _ in range(3):
            await self.club.http.get(self.path)
        before = self.fetched
        assert (await self.club.http.get(self.path)).status_code == 200
        assert self.fetched == before, "the stored body is returned"

    async def differs(self) -> bool:
        """Whether the next read differs from the stored body; it is always what the general handler returns."""
        before = self.fetched
        fast = await self.club.http.get(self.path)
        is_new = self.fetched > before
        general = await self.club.http.get(f"{self.path}?general=1")
        assert (fast.status_code, fast.content) == (general.status_code, general.content)
        await self.club.http.get(self.path)
        again = await self.club.http.get(self.path)
        assert again.content == general.content
        return is_new


@pytest.mark.slow
async def test_a_stored_body_is_never_outdated(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    http, clock = club.http, club.clock
    store = (await http.post(f"{V3}/locations", json={"name": "First", "address": {"country": "NO"}})).json()["data"][
        "id"
    ]
    mine = await create_profile(club)
    await create_transaction(club, sale("10.10", profile_id=mine, location_id=store))
    reads = Reads(club, mine, monkeypatch)

    await reads.settle()
    clock.advance(seconds=1)
    assert not await reads.differs(), "only the instant of the read is another"
    # At one instant of the clock: it is the row that has changed.
    await create_transaction(club, sale("20.20", profile_id=mine, location_id=store))
    assert await reads.differs()

    await reads.settle()
    assert (await http.put(f"{V3}/locations/{store}", json={"name": "Second"})).status_code == 200
    await reads.differs()
    assert b'"name":"Second"' in (await http.get(reads.path)).content
    await reads.settle()
    assert (await http.put(f"{V3}/locations/{store}", json={"address": {"country": "SE"}})).status_code == 200
    assert await reads.differs()

    await reads.settle()
    consents = {"profile": {"consents": {"email_marketing": False}}}
    assert (await http.put(f"{V3}/profiles/{mine}", json=consents)).status_code == 200
    await reads.differs()
    await reads.settle()
    slug = club.community.slug
    async with club.database.unscoped_connection() as connection:
        new = NewCommunity(slug=slug, name=slug, country="NO", timezone="Asia/Tokyo", currency=club.community.currency)
        await communities.upsert(connection, new, clock())
    assert await reads.differs(), "the community has another time zone"
    await reads.settle()
    clock.advance(days=800)
    assert await reads.differs(), "spend of the last 12 months is over"

    await reads.settle()
    assert (await http.delete(f"{V3}/profiles/{mine}/purge")).status_code == 204
    assert [(await http.get(each)).status_code for each in (reads.path, f"{reads.path}?general=1")] == [404, 404]
    assert club.server.value_reader._bodies.get_many(club.community.id, [UUID(mine)]) == {}


async def test_only_plain_requests_are_answered_by_the_fast_path(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "_MAX_CALLERS", 0)
    path = f"{V3}/profiles/{await create_profile(club)}/aggregations".encode()
    host, token = (b"host", b"test"), (b"authorization", f"Bearer {club.token}".encode())
    passed: list[bool] = []
    plain = fast_path.AggregationsFastPath._respond

    async def respond(*arguments: Any) -> bool:
        passed.append(not await plain(*arguments))
        return not passed[-1]

    monkeypatch.setattr(fast_path.AggregationsFastPath, "_respond", respond)
    await send_raw(club, "GET", path)
    cases: dict[str, tuple[list[tuple[bytes, bytes]], bytes, int, bool]] = {
        "plain": ([host, token], path, 200, False),
        "no host": ([token], path, 400, True),
        "an invalid host": ([(b"host", b"a b"), token], path, 400, True),
        "two hosts": ([host, host, token], path, 400, True),
        "two tokens": ([host, token, token], path, 400, True),
        "no token": ([host], path, 401, True),
        "another scheme": ([host, (b"authorization", b"Basic YTpi")], path, 401, True),
        "another credential": ([host, token, (b"x-client-authorization", b"x")], path, 200, True),
        "a body": ([host, token, (b"content-length", b"0")], path, 200, True),
        "an encoding": ([host, token, (b"transfer-encoding", b"gzip")], path, 501, True),
        "an escape": ([host, token], path.replace(b"/aggregations", b"/%61ggregations"), 200, True),
    }
    headers = None
    for name, (sent, target, status, is_passed) in cases.items():
        passed.clear()
        answer = await send_raw(club, "GET", target, sent)
        assert (answer.status_code, passed) == (status, [is_passed]), name
        if status == 200:
            shown = {key: value for key, value in answer.headers.items() if key != "ratelimit-remaining"}
            headers = headers or shown
            assert shown == headers, name
