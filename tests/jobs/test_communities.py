"""Work for all communities, one after the other."""

from __future__ import annotations

from regulars.jobs import communities


async def test_who_must_stop_begins_with_no_other_community() -> None:
    seen: list[int] = []

    async def work(community_id: int) -> int:
        seen.append(community_id)
        return community_id

    assert await communities.each("work", [1, 2, 3], work, lambda: len(seen) == 2) == 3
    assert seen == [1, 2]
