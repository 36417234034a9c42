"""Work for each community."""

from __future__ import annotations

from regulars.jobs import per_community


async def test_no_further_community_is_started_after_a_stop() -> None:
    visited: list[int] = []

    async def work(community_id: int) -> int:
        visited.append(community_id)
        return community_id

    assert await per_community.run_for_each("work", [1, 2, 3], work, lambda: len(visited) == 2) == 3
    assert visited == [1, 2]
