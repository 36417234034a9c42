"""Clubs with a few facts of every kind, loaded once for all tests of exports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest_asyncio

from clubs import Club, ManualClock, create_club
from exports.club_facts import NOW, facts
from postgres_servers import Servers
from regulars.auth.tenants import Tenant
from regulars.model.community import NewCommunity
from regulars.query.backends import Backends
from regulars.query.replica.cache import ReplicaCache
from regulars.rollups import partitions
from regulars.storage import retention
from regulars.storage.database import Database
from reports.club_fixture import ClubFixture


@dataclass(frozen=True)
class ExportClubs:
    """Two clubs of two customers, in different time zones, and the backends of their reports."""

    oslo: Club
    kolkata: Club
    backends: Backends

    def tenants(self, count: int, **changes: Any) -> list[Tenant]:
        """The first of the clubs, or both, as tenants of a query."""
        return [replace(ClubFixture(each).tenant, **changes) for each in (self.oslo, self.kolkata)[:count]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clubs(servers: Servers, pools: dict[str, Database]) -> AsyncIterator[ExportClubs]:
    """The clubs."""
    url = servers.urls("embedded")[1]
    if url not in pools:
        pools[url] = Database(url, 4)
        await pools[url].open()
    clock = ManualClock(NOW)
    database = Database(url, 4, clock)
    database.pool = pools[url].pool
    await retention.maintain_partitions(database, 7)
    await partitions.ensure(database)
    new = [
        NewCommunity(slug="exports-oslo", name="Øst & Vest", country="NO", timezone="Europe/Oslo", currency="NOK"),
        NewCommunity(slug="exports-kolkata", name="=Kolkata", country="IN", timezone="Asia/Kolkata", currency="NOK"),
    ]
    async for oslo in create_club(database, clock, new[0]):
        async for kolkata in create_club(database, clock, new[1]):
            for seed, club in enumerate((oslo, kolkata)):
                for entity, rows in facts(seed, "NOK"):
                    summary = await ClubFixture(club).load(entity, rows)
                    assert not summary.rejected, (entity, summary.rejections)
            yield ExportClubs(oslo, kolkata, Backends(database, ReplicaCache(database, 100)))
            await asyncio.sleep(0)
