"""The cache of tenant locations: changes are visible in the next search, and its size is limited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from clubs import Club, ManualClock, create_club
from regulars.auth.tenants import TenantScope, resolve_tenants
from regulars.geo.tenant_locations import TenantLocationCache
from regulars.geo.towns.files import TownFiles
from regulars.ingest.commit import commit
from regulars.model import locations
from regulars.model.community import NewCommunity
from regulars.model.locations import LocationIn
from regulars.query.backends import Backends
from regulars.storage.database import Database


@pytest.fixture
async def two_clubs(database: Database, clock: ManualClock) -> AsyncIterator[tuple[Club, Club]]:
    """Two clubs that one may ask for."""
    new = NewCommunity(f"stores-{uuid4().hex}", "One", "NO", "Europe/Oslo", "NOK")
    async for one in create_club(database, clock, new):
        async for other in create_club(database, clock, replace(new, slug=f"{new.slug}-other")):
            yield one, other


async def names(cache: TenantLocationCache, atlas: TownFiles, selected: Sequence[Club]) -> list[str]:
    """What a search of clubs looks through."""
    async with selected[0].database.unscoped_connection() as connection:
        found = [await resolve_tenants(connection, TenantScope(), [], [each.community.slug]) for each in selected]
    tenants = [tenant for each in found for tenant in each]
    return [each.name for each in await cache.list_locations(tenants, await atlas.load())]


async def make(club: Club, name: str, external_id: str | None = None) -> int:
    location = LocationIn(name=name, external_id=external_id)
    return await commit(club.database, club.community.id, lambda uow: locations.create(uow, location))


async def put(club: Club, *stores: LocationIn) -> None:
    rows = [locations.validate(each) for each in stores]
    await commit(club.database, club.community.id, lambda uow: locations.upsert_many(uow, rows))


async def test_every_change_of_a_store_is_visible_in_the_next_search(club: Club, atlas: TownFiles) -> None:
    cache = TenantLocationCache(Backends(club.database))

    async def seen() -> list[str]:
        return await names(cache, atlas, [club])

    assert await seen() == []
    id_ = await make(club, "Nord")
    assert await seen() == ["Nord"]
    await commit(club.database, club.community.id, lambda uow: locations.update(uow, id_, LocationIn(name="Sør")))
    assert await seen() == ["Sør"]
    # Heard of in a purchase, it has no name; it is found from the moment that it gets one.
    await commit(club.database, club.community.id, lambda uow: locations.resolve_ids(uow, ["S1"], create_missing=True))
    assert await seen() == ["Sør"]
    await put(club, LocationIn(external_id="S1", name="Vest"), LocationIn(external_id="S2", name="Øst"))
    assert await seen() == ["Sør", "Vest", "Øst"]
    await put(club, LocationIn(external_id="S3", name="Midt"))
    assert await seen() == ["Sør", "Vest", "Øst", "Midt"]
    await commit(club.database, club.community.id, lambda uow: locations.delete(uow, id_))
    assert await seen() == ["Vest", "Øst", "Midt"]


async def test_a_change_that_is_rolled_back_is_never_visible(club: Club, atlas: TownFiles) -> None:
    cache = TenantLocationCache(Backends(club.database))
    await make(club, "Nord", "S1")
    assert await names(cache, atlas, [club]) == ["Nord"]
    with pytest.raises(Exception, match="external_id"):
        await make(club, "Another", "S1")
    assert await names(cache, atlas, [club]) == ["Nord"]


async def test_the_number_of_cached_stores_is_limited(two_clubs: tuple[Club, Club], atlas: TownFiles) -> None:
    one, other = two_clubs
    cache = TenantLocationCache(Backends(one.database), max_locations=2)
    for club in two_clubs:
        await make(club, "A")
        await make(club, "B")
    assert await names(cache, atlas, [one, other]) == ["A", "B", "A", "B"]
    assert len(cache) == 2
    assert await names(cache, atlas, [one]) == ["A", "B"]
    await make(one, "C")
    assert await names(cache, atlas, [one]) == ["A", "B", "C"]
    assert len(cache) == 0
