"""Ids are numbered within their community, so they reveal nothing about the volume of another one."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from clubs import Club
from postgres_servers import on_both_servers
from regulars.storage.database import Database, Scope

pytestmark = on_both_servers

# Tokens belong to an organization, and only operators see their ids.
_NUMBERED = """
SELECT c.relname AS table, a.attname AS column, a.attidentity <> '' AS is_identity,
       pg_get_expr(d.adbin, d.adrelid) AS drawn
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND a.atttypid IN ('int'::regtype, 'bigint'::regtype) AND c.relname <> 'tokens'
  AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ '[(]')
  AND EXISTS (SELECT FROM pg_attribute AS k WHERE k.attrelid = c.oid AND k.attname = 'community_id')
ORDER BY 1, 2
"""


async def numbered(database: Database) -> list[Any]:
    """Each whole number of a community's rows that the database draws."""
    async with database.unscoped_connection() as connection:
        found: list[Any] = await connection.fetch(_NUMBERED)
    return found


async def test_every_id_comes_from_a_sequence_of_the_community(database: Database) -> None:
    found = await numbered(database)
    assert {(row["table"], row["column"]) for row in found} >= {
        ("locations", "id"),
        ("profiles", "member_id"),
        ("transactions", "id"),
        ("transaction_items", "id"),
        ("webhooks", "id"),
    }
    for row in found:
        own = {("profiles", "member_id"): "next_member_id()", ("locations", "id"): "next_location_id()"}
        expected = own.get((row["table"], row["column"]), "next_id()")
        assert (row["is_identity"], row["drawn"]) == (False, expected), row


async def test_writes_of_one_community_do_not_change_the_ids_of_another(club: Club, other_club: Club) -> None:
    async def draw(club: Club, expression: str, times: int) -> list[int]:
        async with club.database.write_transaction(club.community.id) as scope:
            rows = await scope.fetch(f"SELECT {expression} FROM generate_series(1, {times})")
        return [row[0] for row in rows]

    for row in await numbered(club.database):
        (before,) = await draw(club, row["drawn"], 1)
        others = await draw(other_club, row["drawn"], 7)
        assert await draw(club, row["drawn"], 1) == [before + 1], row
        assert others == list(range(others[0], others[0] + 7)), row
        if row["table"] == "locations":
            assert {number >> 12 for number in others} != {before >> 12}
            continue
        # No two communities have a number in common, and readers of JSON keep it exact.
        for numbers, of in (([before], club), (others, other_club)):
            assert {number >> 32 for number in numbers} == {of.community.id}
            assert max(numbers) < 2**53


async def test_a_community_with_many_locations_gets_more_blocks_of_ids(club: Club, other_club: Club) -> None:
    drawn: dict[int, set[int]] = {}
    for each in (club, other_club, club):
        async with each.database.write_transaction(each.community.id) as scope:
            rows = await scope.fetch("SELECT next_location_id() FROM generate_series(1, 4100)")
        numbers = [row[0] for row in rows]
        assert numbers == sorted(numbers)
        # Values are computed with them in 32 bits.
        assert max(numbers) < 2**32
        drawn.setdefault(each.community.id, set()).update(numbers)
    assert [len(each) for each in drawn.values()] == [8200, 4100]
    assert set.isdisjoint(*drawn.values())


async def test_a_block_is_added_only_when_the_last_one_is_used_up(club: Club) -> None:
    async with club.database.write_transaction(club.community.id) as scope:
        before = await scope.fetchval("SELECT next_location_id()")
        await scope.execute("SELECT add_location_ids()")
        assert await scope.fetchval("SELECT next_location_id()") == before + 1


async def test_ids_are_consecutive_while_another_community_writes(club: Club, other_club: Club) -> None:
    async def made(club: Club, n: int) -> int:
        answer = await club.http.post("/api/v3/brands", json={"external_id": str(n), "name": f"Brand {n}"})
        assert answer.status_code == 201, answer.text
        found: int = answer.json()["data"]["id"]
        return found

    ids = []
    for n in range(3):
        ids.append(await made(club, n))
        for m in range(n + 1):
            await made(other_club, 10 * n + m)
    assert ids == [ids[0], ids[0] + 1, ids[0] + 2]


async def test_an_id_needs_a_community(club: Club) -> None:
    async with club.database.write_transaction(club.community.id) as scope:
        assert await _drawn(scope) > 0
        await scope.execute("SET LOCAL regulars.community_id = ''")
        with pytest.raises(asyncpg.UndefinedTableError):
            async with scope.savepoint():
                await _drawn(scope)


async def _drawn(scope: Scope) -> int:
    found: int = await scope.fetchval("SELECT next_id()")
    return found
