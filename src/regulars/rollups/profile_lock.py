"""To whom things happen: they stay who they are while events are told, by one lock instead of a lock a profile."""

from uuid import UUID

from regulars.storage.database import Scope

NO_PROFILE = UUID(int=0)
"""Stands for the profile of an event that names none."""


async def lock_identities_shared(scope: Scope) -> None:
    """Holds until the end of the transaction that nobody is purged or merged: who they are is looked up next."""
    await scope.fetchval("SELECT pg_advisory_xact_lock_shared(hashtext('regulars.recipients'), $1)", scope.community_id)


async def lock_identities_exclusive(scope: Scope) -> None:
    """Holds until the end of the transaction that nobody tells events: who is gone gets none any more."""
    await scope.fetchval("SELECT pg_advisory_xact_lock(hashtext('regulars.recipients'), $1)", scope.community_id)
