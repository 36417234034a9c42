"""How many members stand in each group: exact at every instant, folded or not."""

from __future__ import annotations

from clubs import Club
from regulars.reports.folding import fold


async def counts(club: Club) -> dict[tuple[str, str], int]:
    """The folded and unfolded numbers of all groups."""
    async with club.database.reading(club.community.id) as scope:
        rows = await scope.fetch(
            """
            SELECT grouping_type, grouping_value, sum(n)::bigint AS n
            FROM (
                SELECT grouping_type, grouping_value, members_count AS n FROM group_counts WHERE community_id = $1
                UNION ALL
                SELECT grouping_type, grouping_value, n FROM group_deltas WHERE community_id = $1
            ) AS every
            GROUP BY 1, 2
            """,
            club.community.id,
        )
    return {(row["grouping_type"], row["grouping_value"]): row["n"] for row in rows}


async def test_a_member_stands_in_groups(club: Club) -> None:
    answer = await club.http.post(
        "/api/v3/profiles",
        json={
            "gender": "female", "birth_year": 1987, "optin_channel": "iOS app", "consents": {"sms_marketing": True},
            "group_ids": [3, 4], "mobile_phone": "+4791234567", "joined_at": "2026-10-01 12:00:00",
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    before = await counts(club)
    assert before["all", ""] == 1
    assert before["gender", "female"] == 1
    assert before["birth_year_group", "1985"] == 1
    assert before["optin_platform", "ios"] == 1
    assert before["country", "NO"] == 1
    assert await fold(club.database, club.community.id) > 0
    assert await counts(club) == before
    member = answer.json()["data"]["id"]
    answer = await club.http.delete(f"/api/v3/profiles/{member}")
    assert set((await counts(club)).values()) == {0}
    assert await fold(club.database, club.community.id) > 0
    assert set((await counts(club)).values()) == {0}
