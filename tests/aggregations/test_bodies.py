"""Encoded bodies of values: equal to the byte, and bounded in number and time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import msgspec
import pytest

from aggregations.test_serialization import AS_OF, row
from regulars.aggregations import bodies, serialization
from regulars.aggregations.bodies import Body, BodyCache, encode_body, encode_instant
from regulars.core.field_type import FieldType
from regulars.web.bodies import encode

VERSION = (7, datetime(2026, 1, 1, tzinfo=UTC), "NOK")
LATER = datetime(2026, 12, 1, tzinfo=UTC)
PLACES = {number: msgspec.Raw(b'{"id": %d,"name":"\\u0000"}' % number) for number in range(1, 9)}
LOCATIONS = [each.name for each in serialization.ALL_AGGREGATIONS if each.type is FieldType.LOCATION]


def body(size: int = 0) -> Body:
    """A body with a text of this size."""
    return Body(VERSION, None, (b"x" * size, b"", b""), (), 1)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"spend_all": -5, "discount_avg": Decimal("16E+6"), "likely_region": 'T\0"%s\u2028'},
        dict.fromkeys(LOCATIONS, 3),
        {name: number for number, name in enumerate(LOCATIONS, 1)} | {"purchased_brands": ["\0", "", "{}"]},
    ],
)
def test_a_body_is_that_of_its_values(values: dict[str, object]) -> None:
    stored = row(**values, next_change_at=None)
    encoded = encode_body(stored, 2, VERSION)
    expected = encode({"data": serialization.serialize(stored, AS_OF, 2, PLACES)})
    assert encoded.at(encode_instant(AS_OF), PLACES) == expected
    assert encoded.at(encode_instant(AS_OF), PLACES) == expected
    assert bodies.location_ids({uuid4(): encoded}) == serialization.location_ids([stored])


def test_a_body_is_current_for_its_version_until_its_values_change() -> None:
    unlimited, limited = (
        encode_body(row(next_change_at=None), 2, VERSION),
        encode_body(row(next_change_at=LATER), 2, VERSION),
    )
    assert unlimited.is_current(VERSION, LATER)
    assert limited.is_current(VERSION, AS_OF)
    assert not limited.is_current(VERSION, LATER)
    assert not unlimited.is_current((8, *VERSION[1:]), AS_OF)


async def test_a_body_is_worth_storing_at_the_second_read() -> None:
    cache, profile = BodyCache(), uuid4()
    assert [cache.is_worthwhile(1, profile) for _ in range(2)] == [False, True]
    assert not cache.is_worthwhile(2, profile)
    assert cache.get_many(1, [profile]) == {}
    cache.put(1, profile, first := body())
    cache.put(1, profile, second := body(1))
    assert cache.get_many(1, [profile, uuid4()]) == {profile: second} != {profile: first}
    assert cache.get_many(2, [profile]) == {}
    cache.discard(1, profile)
    cache.discard(1, profile)
    assert cache.get_many(1, [profile]) == {}
    cache.close()
    cache.close()
    assert len(cache) == 0


async def test_memory_is_bounded_and_what_is_read_stays() -> None:
    cache, often = BodyCache(100_000), uuid4()
    cache.put(1, often, stays := body(1_000))
    most = 0
    for _ in range(200):
        cache.put(1, uuid4(), body(1_000))
        assert cache.get_many(1, [often]) == {often: stays}
        most = max(most, len(cache))
    assert 20 < most <= 100_000 // 2_000
    cache.close()


async def test_values_without_a_read_are_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GENERATION_SECONDS", 0.0)
    cache, profile = BodyCache(), UUID(int=1)
    cache.put(1, profile, body())
    for _ in range(1_000):
        if not len(cache):
            break
        await asyncio.sleep(0)
    assert len(cache) == 0
    cache.put(1, profile, body())
    assert len(cache) == 1
    cache.close()


async def test_a_read_is_remembered_for_two_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GENERATION_SECONDS", 0.0)
    monkeypatch.setattr(bodies, "FIRST_READ_BITS", 64)
    cache, profile = BodyCache(), UUID(int=1)
    assert not cache.is_worthwhile(1, profile)
    for _ in range(1_000):
        if cache._timer is None:
            break
        await asyncio.sleep(0)
    assert cache._timer is None
    assert not cache.is_worthwhile(1, profile)
    cache.close()


async def test_few_profiles_share_a_bit_of_first_reads() -> None:
    cache = BodyCache()
    assert sum(cache.is_worthwhile(community_id, uuid4()) for community_id in (1, 2) for _ in range(5_000)) < 50
    cache.close()
