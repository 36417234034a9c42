"""Response bodies with the values of profiles: encoded once for each version of a stored row."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec

from regulars.aggregations import serialization
from regulars.core.timestamps import format_timestamp

MAX_CACHED_BYTES = 64 * 2**20
"""Most memory of a process for encoded values: those of some 25,000 profiles."""

FIRST_READ_BITS = 2**23
"""A generation remembers profiles that were read once by a bit each, in 1 MiB."""

GENERATION_SECONDS = 60.0
"""Values without a read stay in memory at most twice as long, so that those of erased profiles do not."""

RowVersion = tuple[int, datetime, str]
"""What changes with every change of a stored row: the transaction that wrote it and its instant; and the currency."""

_encoder = msgspec.json.Encoder(decimal_format="number")

# JSON never contains this character, so it separates the texts from what is inserted.
_SEPARATOR = b"\0"
_BODY_BYTES = 1_250
"""What a body and its entry in the cache occupy beside its texts."""


class _LocationMarks(dict[int, msgspec.Raw]):
    """For each location the mark at which its JSON is inserted."""

    def __missing__(self, location_id: int) -> msgspec.Raw:
        return msgspec.Raw(b"\0%d\0" % location_id)


_MARKS = _LocationMarks()
_INSTANT_MARK = msgspec.Raw(b"\0\0")


class Body(msgspec.Struct, frozen=True, gc=False):
    """The encoded values of a stored row, without what else they depend on: its locations and the instant of the read.

    `parts` are texts, with an empty place for each location and for the instant. Tuples of plain values are nothing that
    the garbage collector has to visit, however many bodies there are.
    """

    version: RowVersion
    next_change_at: datetime | None
    parts: tuple[bytes, ...]
    locations: tuple[tuple[int, int], ...]
    instant_place: int

    def at(self, instant: bytes, locations: Mapping[int, msgspec.Raw]) -> bytes:
        """The complete body of a read at an instant, which is passed as JSON."""
        parts: list[Any] = list(self.parts)
        for place, location_id in self.locations:
            parts[place] = locations[location_id]
        parts[self.instant_place] = instant
        return b"".join(parts)

    def is_current(self, version: RowVersion, now: datetime) -> bool:
        """Whether the row has this version and its values are still valid at this instant."""
        return self.version == version and (self.next_change_at is None or self.next_change_at > now)

    @property
    def size(self) -> int:
        """The memory that it occupies, in bytes."""
        return sum(map(len, self.parts)) + _BODY_BYTES


def encode_body(row: Mapping[str, Any], digits: int, version: RowVersion) -> Body:
    """Encodes the values of a row."""
    values = serialization.serialize(row, version[1], digits, _MARKS)
    values["calculated_at"] = _INSTANT_MARK
    parts = _encoder.encode({"data": values}).split(_SEPARATOR)
    locations, instant_place = [], 0
    for place in range(1, len(parts), 2):
        if mark := parts[place]:
            locations.append((place, int(mark)))
        else:
            instant_place = place
    return Body(version, row["next_change_at"], tuple(parts), tuple(locations), instant_place)


def encode_instant(at: datetime) -> bytes:
    """The JSON of the instant of a read."""
    return _encoder.encode(format_timestamp(at))


class BodyCache:
    """The bodies of one process that were read last. A caller must compare the version of the row.

    A body is stored when its profile is read for the second time, so that reads of ever different profiles do not pay
    for a cache that they do not use; a few are stored at their first read, because first reads share bits. There are two
    generations: what is read moves to the younger one, and the older one is dropped as a whole when the younger one is
    full, or after GENERATION_SECONDS.
    """

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max_bytes = max_bytes // 2
        self._young: dict[int, Body] = {}
        self._old: dict[int, Body] = {}
        self._young_bytes = 0
        self._young_reads = bytearray(FIRST_READ_BITS // 8)
        self._old_reads = bytearray(FIRST_READ_BITS // 8)
        self._timer: asyncio.TimerHandle | None = None

    def get_many(self, community_id: int, profile_ids: Sequence[UUID]) -> dict[UUID, Body]:
        """The last bodies of profiles, without those that have none."""
        found: dict[UUID, Body] = {}
        if not self._young and not self._old:
            return found
        for profile_id in profile_ids:
            key = _key(community_id, profile_id)
            body = self._young.get(key)
            if body is None and (body := self._old.pop(key, None)) is not None:
                self._add(key, body)
            if body is not None:
                found[profile_id] = body
        return found

    def is_worthwhile(self, community_id: int, profile_id: UUID) -> bool:
        """Whether the profile was read before, so that its body is worth storing; records this read."""
        self._start_timer()
        place, bit = divmod(hash(_key(community_id, profile_id)) % FIRST_READ_BITS, 8)
        bit = 1 << bit
        was_read = (self._young_reads[place] | self._old_reads[place]) & bit
        self._young_reads[place] |= bit
        return was_read != 0

    def put(self, community_id: int, profile_id: UUID, body: Body) -> None:
        """Stores the body of a profile instead of its last one."""
        self.discard(community_id, profile_id)
        self._add(_key(community_id, profile_id), body)

    def discard(self, community_id: int, profile_id: UUID) -> None:
        """Removes what is stored of a profile."""
        key = _key(community_id, profile_id)
        self._old.pop(key, None)
        if key in self._young:
            self._young_bytes -= self._young.pop(key).size

    def close(self) -> None:
        """Removes everything."""
        self._begin_generation()
        self._begin_generation()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _add(self, key: int, body: Body) -> None:
        if self._young_bytes + body.size > self._max_bytes:
            self._begin_generation()
        self._young[key] = body
        self._young_bytes += body.size
        self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GENERATION_SECONDS, self._age)

    def _begin_generation(self) -> None:
        self._old, self._young, self._young_bytes = self._young, {}, 0
        self._old_reads, self._young_reads = self._young_reads, bytearray(FIRST_READ_BITS // 8)

    def _age(self) -> None:
        self._timer = None
        is_used = bool(self._young) or self._young_reads.count(0) < len(self._young_reads)
        self._begin_generation()
        if is_used:
            self._start_timer()


def _key(community_id: int, profile_id: UUID) -> int:
    return community_id << 128 | profile_id.int


def location_ids(found: Mapping[UUID, Body]) -> set[int]:
    """The locations that bodies contain."""
    return {location_id for _, location_id in chain.from_iterable(body.locations for body in found.values())}
