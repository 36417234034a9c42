"""A client pages through rows while others are written: none that stayed is skipped or comes twice."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from clubs import START, Club
from hypothesis_settings import SEED, examples
from query.report_client import iter_pages
from query.sample_rows import Row, SampleStore, create_samples, delete, insert
from query.test_records import sample

ROWS = examples(3_000)
"""100,000 in a long run."""
INSERT_BATCH = 5_000


def _some(chance: random.Random, number: int) -> Row:
    """A row whose place among the others has nothing to do with its number; many share a size and a name."""
    return sample(
        number,
        size=chance.choice((None, "small", "large")),
        name=chance.choice((None, *(f"{chance.randrange(50):02}" for _ in range(9)))),
        points=0,
    )


class Writer:
    """Adds, changes and removes rows for as long as it runs. What it may not remove stays in its place."""

    def __init__(self, of: SampleStore, chance: random.Random, passing: set[int]) -> None:
        self._of = of
        self._chance = chance
        self._passing = passing
        self._numbers = itertools.count(10 * ROWS)
        self.written = 0

    async def run(self) -> None:
        """Writes until it is cancelled."""
        while True:
            added = [_some(self._chance, next(self._numbers)) for _ in range(20)]
            await insert(self._of.club, added)
            removed = self._chance.sample(sorted(self._passing), min(20, len(self._passing)))
            await delete(self._of.club, removed)
            self._passing.difference_update(removed)
            await self._change()
            self.written += len(added) + len(removed)

    async def _change(self) -> None:
        async with self._of.club.database.write_transaction(self._of.club.community.id) as scope:
            await scope.execute(
                """
                UPDATE profiles
                SET properties = jsonb_set(properties, '{points}', '1'), updated_at = $2
                WHERE community_id = $1 AND CAST(properties ->> 'id' AS bigint) % 50 = $3
                """,
                self._of.club.community.id,
                START,
                self._chance.randrange(50),
            )


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_rows_that_remain_are_returned_exactly_once(club: Club) -> None:
    chance = random.Random(SEED)
    of = create_samples(club, club.database)
    rows = [_some(chance, number) for number in range(ROWS)]
    for first in range(0, ROWS, INSERT_BATCH):
        await insert(club, rows[first : first + INSERT_BATCH])
    passing = set(chance.sample(range(ROWS), ROWS // 3))
    stayed = set(range(ROWS)) - passing
    writer = Writer(of, chance, passing)
    writing = asyncio.create_task(writer.run())
    found = []
    async for page in iter_pages(of.backends, [of.tenant], "samples", limit=max(1, ROWS // 30)):
        found += [(each["size"], each["name"], each["id"]) for each in page]
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    numbers = [number for _, _, number in found]
    assert writer.written > 0
    assert len(numbers) == len(set(numbers))
    assert stayed <= set(numbers)
    places = {None: 0, "small": 1, "large": 2}
    assert found == sorted(found, key=lambda each: (places[each[0]], each[1] or "", each[2]))
