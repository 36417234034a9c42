"""Work for all communities, one after the other."""

from __future__ import annotations

from regulars.jobs import per_community


async def test_who_must_stop_begins_with_no_other_community() -> None:
    seen: list[int] = []

    async def work(community_id: int) -> int:
        seen.append(community_id)
        return community_id

    assert await per_community.run_for_each("work", [1, 2, 3], work, lambda: len(seen) == 2) == 3
    assert seen == [1, 2]
