"""The lock that keeps profiles from being erased or merged while events of them are recorded: one per community."""

from uuid import UUID

from regulars.storage.database import Scope

NO_PROFILE = UUID(int=0)
"""Stands for the profile of an event without one."""


async def lock_identities_shared(scope: Scope) -> None:
    """Keeps profiles from being erased or merged until the end of the transaction; they are looked up next."""
    await scope.fetchval("SELECT pg_advisory_xact_lock_shared(hashtext('regulars.identities'), $1)", scope.community_id)


async def lock_identities_exclusive(scope: Scope) -> None:
    """Keeps events from being recorded until the end of the transaction, so that erased profiles get no new ones."""
    await scope.fetchval("SELECT pg_advisory_xact_lock(hashtext('regulars.identities'), $1)", scope.community_id)
