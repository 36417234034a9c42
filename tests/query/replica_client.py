"""Queries a replica as a request does: in a snapshot of its own, under row-level security."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from clubs import Club
from regulars.auth.tenants import Tenant
from regulars.query.replica.cache import ReplicaCache
from regulars.storage.database import Scope


def tenant_of(club: Club, min_cell_size: int | None = None) -> Tenant:
    """The club as a tenant."""
    it = club.community
    return Tenant(
        community_id=it.id,
        loyalty_club_id=it.id,
        customer_id=it.id,
        organization_id=it.organization_id,
        slug=it.slug,
        name=it.name,
        timezone=it.timezone,
        currency=it.currency,
        minor_digits=it.minor_digits,
        attributes={},
        min_cell_size=min_cell_size,
    )


async def fetch(club: Club, cache: ReplicaCache, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement now."""
    async with club.database.read_transaction(club.community.id) as scope:
        return await fetch_in(scope, club, cache, statement, values)


async def fetch_in(
    scope: Scope,
    club: Club,
    cache: ReplicaCache,
    statement: str,
    values: Sequence[Any] = (),
    now: datetime | None = None,
    max_wait_seconds: float | None = None,
) -> list[tuple[Any, ...]]:
    """The rows of a statement in a snapshot that is there already."""
    return await cache.fetch(
        scope.connection, tenant_of(club), now or club.clock(), statement, values, max_wait_seconds
    )
