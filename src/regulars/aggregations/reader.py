"""Reads values: the row that is kept where it is still true, computed from the facts where it is not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from regulars.aggregations import serialization
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.table import READ_STORED_ROWS, values_statement
from regulars.model.locations import EMBEDDED_LOCATIONS
from regulars.storage.database import Database, Scope

MAX_PROFILES_PER_READ = 200

_encoder = msgspec.json.Encoder(decimal_format="number")


async def compute_rows(scope: Scope, asked: Sequence[tuple[UUID, datetime]]) -> list[Any]:
    """The values of profiles, each at its own instant, from the facts: a row for each profile that exists,
    with `k` its place in what was asked, from 1.
    """
    rows = await scope.fetch(
        values_statement(), scope.community_id, [profile for profile, _ in asked], [as_of for _, as_of in asked]
    )
    return sorted(rows, key=lambda row: row["k"])


class ProfileValues(msgspec.Struct, frozen=True):
    """A profile's values with what is needed to send them."""

    row: Any
    as_of: datetime
    minor_digits: int
    locations: dict[int, msgspec.Raw]

    def values(self, shown: tuple[Aggregation, ...] = serialization.ALL_AGGREGATIONS) -> dict[str, Any]:
        """The values as they go out."""
        return serialization.serialize(self.row, self.as_of, self.minor_digits, self.locations, shown)


@dataclass(slots=True)
class _Places:
    epoch: int
    by_id: dict[int, msgspec.Raw]


class ValueReader:
    """Reads profiles' values for one process. Reads that arrive together are answered by one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[int, dict[UUID, list[asyncio.Future[ProfileValues | None]]]] = {}
        self._busy: set[int] = set()
        self._places: dict[int, _Places] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, community_id: int, profile_id: UUID) -> ProfileValues | None:
        """The values of a profile now; None where there is no such profile."""
        future: asyncio.Future[ProfileValues | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(community_id, {}).setdefault(profile_id, []).append(future)
        if community_id not in self._busy:
            self._busy.add(community_id)
            task = asyncio.create_task(self._serve(community_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _serve(self, community_id: int) -> None:
        # While one statement runs, the next reads gather.
        waiting = self._waiting
        try:
            while waiting.get(community_id):
                gathered = waiting[community_id]
                batch = dict(list(gathered.items())[:MAX_PROFILES_PER_READ])
                for profile_id in batch:
                    del gathered[profile_id]
                try:
                    found = await self.read_many(community_id, list(batch))
                except Exception as error:
                    for futures in batch.values():
                        for future in futures:
                            if not future.done():
                                future.set_exception(error)
                    continue
                for profile_id, futures in batch.items():
                    for future in futures:
                        if not future.done():
                            future.set_result(found.get(profile_id))
        finally:
            self._busy.discard(community_id)

    async def read_many(self, community_id: int, profile_ids: Sequence[UUID]) -> dict[UUID, ProfileValues]:
        """The values of profiles now, by profile; unknown ones are left out."""
        async with self._database.unscoped_connection() as connection:
            rows = await connection.fetch(READ_STORED_ROWS, str(community_id), profile_ids)
        if not rows:
            return {}
        # Taken after the rows, so that none of them is of a later instant.
        now = self._database.clock()
        fresh: dict[UUID, Any] = {}
        due: list[UUID] = []
        for row in rows:
            if _is_due(row, now):
                due.append(row["profile_id"])
            else:
                fresh[row["profile_id"]] = row
        if due:
            async with self._database.read_transaction(community_id) as scope:
                for row in await compute_rows(scope, [(profile_id, now) for profile_id in due]):
                    fresh[row["profile_id"]] = row
        digits, epoch = rows[0]["minor_digits"], rows[0]["locations_version"]
        locations = await self._locations(community_id, epoch, serialization.location_ids(fresh.values()))
        return {profile_id: ProfileValues(row, now, digits, locations) for profile_id, row in fresh.items()}

    async def read_as_of(self, community_id: int, asked: Sequence[tuple[UUID, datetime]]) -> list[ProfileValues | None]:
        """The values of profiles, each at its own instant, in the order asked; None for unknown profiles."""
        async with self._database.read_transaction(community_id) as scope:
            return await self.read_in_scope(scope, asked)

    async def read_in_scope(self, scope: Scope, asked: Sequence[tuple[UUID, datetime]]) -> list[ProfileValues | None]:
        """As read_as_of, in a transaction that is under way."""
        rows = await compute_rows(scope, asked)
        digits = await scope.fetchval("SELECT minor_digits FROM communities WHERE id = $1", scope.community_id)
        found = await EMBEDDED_LOCATIONS.fetch_many(scope, sorted(serialization.location_ids(rows)))
        locations = {key: _embedded(value) for key, value in found.items()}
        by_place = {row["k"]: ProfileValues(row, row["calculated_at"], digits, locations) for row in rows}
        return [by_place.get(place) for place in range(1, len(asked) + 1)]

    async def _locations(self, community_id: int, epoch: int, needed: set[int]) -> dict[int, msgspec.Raw]:
        known = self._places.get(community_id)
        if known is None or known.epoch != epoch:
            known = self._places[community_id] = _Places(epoch, {})
        if missing := needed - known.by_id.keys():
            async with self._database.read_transaction(community_id) as scope:
                found = await EMBEDDED_LOCATIONS.fetch_many(scope, sorted(missing))
            known.by_id.update((key, _embedded(value)) for key, value in found.items())
        return known.by_id

    async def finish(self) -> None:
        """Waits for the reads that run."""
        await asyncio.gather(*self._tasks)


def _is_due(row: Any, now: datetime) -> bool:
    return row["outdated"] or (row["next_change_at"] is not None and row["next_change_at"] <= now)


def _embedded(location: object) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(location))
