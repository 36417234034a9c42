"""Reads values: stored rows that are current, or values computed from the facts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from regulars.aggregations import bodies, serialization
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.batched_reads import BatchedReads
from regulars.aggregations.bodies import Body, BodyCache
from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.table import READ_ROW_VERSIONS, READ_STORED_ROWS
from regulars.core import money
from regulars.model.locations import EMBEDDED_LOCATIONS
from regulars.storage.database import Database, Scope

_encoder = msgspec.json.Encoder(decimal_format="number")


async def compute_rows(scope: Scope, requests: Sequence[tuple[UUID, datetime]]) -> list[Any]:
    """Computes the values of profiles from the facts, each at its own instant.

    Returns a row for each existing profile, ordered by `k`, its position in the request from 1.
    """
    rows = await scope.fetch(
        values_statement(), scope.community_id, [profile for profile, _ in requests], [as_of for _, as_of in requests]
    )
    return sorted(rows, key=lambda row: row["k"])


async def read_current(scope: Scope, profile_ids: Sequence[UUID], now: datetime) -> "dict[UUID, ProfileValues]":
    """The values of profiles at `now` by profile, in a running transaction; unknown profiles are omitted."""
    rows = {row["profile_id"]: row for row in await scope.fetch(READ_STORED_ROWS, str(scope.community_id), profile_ids)}
    if not rows:
        return {}
    digits = money.minor_digits(next(iter(rows.values()))["currency"])
    if stale := [(profile_id, now) for profile_id, row in rows.items() if _is_stale(row, now)]:
        rows |= {row["profile_id"]: row for row in await compute_rows(scope, stale)}
    found = await EMBEDDED_LOCATIONS.fetch_many(scope, sorted(serialization.location_ids(rows.values())))
    locations = {key: _embedded(value) for key, value in found.items()}
    return {profile_id: ProfileValues(row, now, digits, locations) for profile_id, row in rows.items()}


class ProfileValues(msgspec.Struct, frozen=True):
    """Values of a profile with the data needed to serialize them."""

    row: Any
    as_of: datetime
    minor_digits: int
    locations: dict[int, msgspec.Raw]

    def values(self, shown: tuple[Aggregation, ...] = serialization.ALL_AGGREGATIONS) -> dict[str, Any]:
        """The serialized values."""
        return serialization.serialize(self.row, self.as_of, self.minor_digits, self.locations, shown)


@dataclass(slots=True)
class _LocationCache:
    version: int
    by_id: dict[int, msgspec.Raw]


class ValueReader:
    """Reads values of profiles for one process; concurrent reads of a community share a statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._location_cache: dict[int, _LocationCache] = {}
        self._bodies = BodyCache()
        self._value_reads: BatchedReads[ProfileValues] = BatchedReads(
            lambda community_id, profile_ids: self.read_many(community_id, profile_ids)
        )
        self._body_reads = BatchedReads(self._read_bodies)

    async def read(self, community_id: int, profile_id: UUID) -> ProfileValues | None:
        """The current values of a profile; None if it does not exist."""
        return await self._value_reads.read(community_id, profile_id)

    def read_body(self, community_id: int, profile_id: UUID) -> "asyncio.Future[bytes | None]":
        """The current values of a profile as the body of a response; None if it does not exist.

        All bodies of one statement are ready before the first of them is returned: the server's thread then wakes up
        once for all of their responses instead of once for each.
        """
        return self._body_reads.read(community_id, profile_id)

    async def _read_bodies(self, community_id: int, profile_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        cached = self._bodies.get_many(community_id, profile_ids)
        # A statement of its own for few profiles costs more than it saves.
        found = await self._read_unchanged(community_id, cached) if 2 * len(cached) > len(profile_ids) else {}
        if len(found) == len(profile_ids):
            return found
        others = [each for each in profile_ids if each not in found]
        values_by_id = await self.read_many(community_id, others)
        for profile_id in others:
            values = values_by_id.get(profile_id)
            if values is None:
                self._bodies.discard(community_id, profile_id)
            else:
                found[profile_id] = self._encode(community_id, profile_id, values, cached.get(profile_id))
        return found

    async def _read_unchanged(self, community_id: int, cached: Mapping[UUID, Body]) -> dict[UUID, bytes]:
        """The bodies of those profiles whose stored row is still the one that was encoded."""
        async with self._database.unscoped_connection() as connection:
            rows = await connection.fetch(READ_ROW_VERSIONS, str(community_id), list(cached))
        # After the query, so that no row is from a later instant.
        now = self._database.clock()
        current: dict[UUID, Body] = {}
        for profile_id, row_version, calculated_at, is_outdated, _, currency in rows:
            body = cached[profile_id]
            if not is_outdated and body.is_current((row_version, calculated_at, currency), now):
                current[profile_id] = body
        if not current:
            return {}
        locations = await self._locations(community_id, rows[0]["locations_version"], bodies.location_ids(current))
        instant = bodies.encode_instant(now)
        return {profile_id: body.at(instant, locations) for profile_id, body in current.items()}

    def _encode(self, community_id: int, profile_id: UUID, values: ProfileValues, cached: Body | None) -> bytes:
        row = values.row
        if "row_version" in row:
            version = (row["row_version"], row["calculated_at"], row["currency"])
            if cached is not None and cached.version == version:
                return cached.at(bodies.encode_instant(values.as_of), values.locations)
            if self._bodies.is_worthwhile(community_id, profile_id):
                body = bodies.encode_body(row, values.minor_digits, version)
                self._bodies.put(community_id, profile_id, body)
                return body.at(bodies.encode_instant(values.as_of), values.locations)
        return _encoder.encode({"data": values.values()})

    async def read_many(self, community_id: int, profile_ids: Sequence[UUID]) -> dict[UUID, ProfileValues]:
        """The current values by profile; unknown profiles are omitted."""
        async with self._database.unscoped_connection() as connection:
            rows = await connection.fetch(READ_STORED_ROWS, str(community_id), profile_ids)
        if not rows:
            return {}
        # After the query, so that no row is from a later instant.
        now = self._database.clock()
        current: dict[UUID, Any] = {}
        stale: list[UUID] = []
        for row in rows:
            if _is_stale(row, now):
                stale.append(row["profile_id"])
            else:
                current[row["profile_id"]] = row
        if stale:
            async with self._database.read_transaction(community_id) as scope:
                for row in await compute_rows(scope, [(profile_id, now) for profile_id in stale]):
                    current[row["profile_id"]] = row
        digits, version = money.minor_digits(rows[0]["currency"]), rows[0]["locations_version"]
        locations = await self._locations(community_id, version, serialization.location_ids(current.values()))
        return {profile_id: ProfileValues(row, now, digits, locations) for profile_id, row in current.items()}

    async def read_as_of(
        self, community_id: int, requests: Sequence[tuple[UUID, datetime]]
    ) -> list[ProfileValues | None]:
        """The values of profiles, each at its own instant, in the order of the request; None for unknown profiles."""
        async with self._database.read_transaction(community_id) as scope:
            return await self.read_in_scope(scope, requests)

    async def read_in_scope(
        self, scope: Scope, requests: Sequence[tuple[UUID, datetime]]
    ) -> list[ProfileValues | None]:
        """As read_as_of, in a running transaction."""
        rows = await compute_rows(scope, requests)
        currency = await scope.fetchval("SELECT currency FROM communities WHERE id = $1", scope.community_id)
        digits = money.minor_digits(currency)
        found = await EMBEDDED_LOCATIONS.fetch_many(scope, sorted(serialization.location_ids(rows)))
        locations = {key: _embedded(value) for key, value in found.items()}
        by_position = {row["k"]: ProfileValues(row, row["calculated_at"], digits, locations) for row in rows}
        return [by_position.get(position) for position in range(1, len(requests) + 1)]

    async def _locations(self, community_id: int, version: int, needed: set[int]) -> dict[int, msgspec.Raw]:
        cached = self._location_cache.get(community_id)
        if cached is None or cached.version != version:
            cached = self._location_cache[community_id] = _LocationCache(version, {})
        if missing := needed - cached.by_id.keys():
            async with self._database.read_transaction(community_id) as scope:
                found = await EMBEDDED_LOCATIONS.fetch_many(scope, sorted(missing))
            cached.by_id.update((key, _embedded(value)) for key, value in found.items())
        return cached.by_id

    async def finish(self) -> None:
        """Waits for running reads."""
        await self._value_reads.finish()
        await self._body_reads.finish()
        self._bodies.close()


def _is_stale(row: Any, now: datetime) -> bool:
    return row["outdated"] or (row["next_change_at"] is not None and row["next_change_at"] <= now)


def _embedded(location: object) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(location))
