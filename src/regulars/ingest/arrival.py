"""How the transactions of a load go in: the first refreshed with their batch, the rest marked, computed at its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from regulars.aggregations import marks
from regulars.facts.refusals import Refused
from regulars.facts.transactions import TransactionRow
from regulars.ingest.commit import Work, commit
from regulars.ingest.computing import compute_marked
from regulars.ingest.given_values import GivenValues, take
from regulars.ingest.grouping import LANES, Committers, Submission, commit_together, lane_of
from regulars.ingest.transactions import Kept, Mode, Put
from regulars.reports import purchases
from regulars.storage.database import Database

P = TypeVar("P")
T = TypeVar("T")

LEAST_IN_LANE = 250
"""Fewer rows are not worth a commit of their own."""

REFRESHED = 20_000
"""So many rows of a load are refreshed with their batches: a small file is done by then."""


class Arrival:
    """One load of transactions into a community, of one file or several."""

    def __init__(self, database: Database, committers: Committers, community_id: int, held: AsyncExitStack) -> None:
        self.database = database
        self.community_id = community_id
        self._committers = committers
        self._held = held
        self._expected = 0
        self.load: int | None = None
        """The number of the load, once it marks."""

    async def expect(self, rows: int) -> None:
        """Notes how many rows come next, as far as that is known; a load of many marks from then on."""
        if self.is_large(rows):
            await self.begin_marking()

    def is_large(self, rows: int) -> bool:
        """Notes how many rows come next; gives whether the load is one of many by then."""
        self._expected += rows
        return self._expected > REFRESHED

    async def begin_marking(self) -> int:
        """Has whatever comes now only marked; gives the number of the load."""
        if self.load is None:
            connection = await self._held.enter_async_context(self.database.apart())
            self.load = await commit(self.database, self.community_id, marks.adopted)
            await self._held.enter_async_context(connection.transaction())
            await connection.execute(marks.LOADING.format(int(self.community_id)))
        return self.load

    async def put(self, rows: Sequence[TransactionRow], *, create_profiles: bool) -> list[Kept | Refused]:
        """What came of rows, in their order."""
        lanes = _lanes(rows)

        async def put(lane: int) -> Sequence[Kept | Refused]:
            puts = [Put(rows[place], Mode.UPSERT) for place in lanes[lane]]
            if self.load is None:
                result = await self._committers.put(self.community_id, puts, create_profiles=create_profiles, lane=lane)
                return result.outcomes
            submission = Submission(puts, None, None, create_profiles, shows=False)
            (result,) = await commit_together(self.database, self.community_id, [submission], self.load)
            return result.outcomes

        found: dict[int, Kept | Refused] = {}
        for places, outcomes in zip(lanes, await at_once(put, range(len(lanes))), strict=True):
            found |= zip(places, outcomes, strict=True)
        return [found[place] for place in range(len(rows))]

    async def _has_marks(self) -> bool:
        async with self.database.reading(self.community_id) as scope:
            return bool(await scope.fetchval(marks.ANY, self.community_id))

    async def commit(self, work: Work[T]) -> T:
        """Runs `work` in one transaction, as `commit` does."""
        return await commit(self.database, self.community_id, work, self.load)

    async def finish(
        self, told: Callable[[int], None] = lambda profiles: None, given: GivenValues | None = None
    ) -> int:
        """Computes what was marked, by loads before that have died too; `told` hears of the profiles of each part.

        Of `given`, values computed elsewhere, those are taken whose facts are the store's; gives how many.
        """
        taken = 0
        if self.load is None and await self._has_marks():
            await self.begin_marking()
        if self.load is not None and given is not None:
            taken = await take(self.database, self.community_id, self.load, given)
        if self.load is not None:
            await compute_marked(self.database, self.community_id, self.load, told)
            # At once, for purchases that are folded in no order of time move the same days and sets again and again.
            await purchases.fold(self.database, self.community_id, waiting=True)
        return taken


@asynccontextmanager
async def arriving(database: Database, committers: Committers, community_id: int) -> AsyncIterator[Arrival]:
    """A load that lasts as long as the block; whoever wants its values written calls `finish` within it.

    What it has marked and not computed is left to the next load, or to the sweep.
    """
    async with AsyncExitStack() as held:
        yield Arrival(database, committers, community_id, held)


async def at_once(put: Callable[[P], Awaitable[T]], parts: Sequence[P]) -> list[T]:
    """What comes of several commits at once; all of them end before an error goes on."""
    ended = await asyncio.gather(*map(put, parts), return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return ended  # type: ignore[return-value]


def _lanes(rows: Sequence[TransactionRow]) -> list[list[int]]:
    """The places of rows that are put at once: all those that name one profile in one lane, so that none waits for
    the other.
    """
    if len(rows) < LANES * LEAST_IN_LANE:
        return [list(range(len(rows)))] if rows else []
    lanes: list[list[int]] = [[] for _ in range(LANES)]
    for place, row in enumerate(rows):
        lanes[lane_of(row)].append(place)
    return [lane for lane in lanes if lane]
