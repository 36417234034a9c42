"""Restates the keys of dispatches that were stored while a hash of the recipient's name identified those without an id."""

from functools import partial
from uuid import UUID

from regulars.core import validation
from regulars.facts import sending_events
from regulars.ingest.commit import commit
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import profile_lock
from regulars.storage.database import Database

RECIPIENTS_PER_COMMIT = 200
"""Recipients whose dispatches one commit restates, so that no other writer waits long."""

_NEXT = """
SELECT DISTINCT profile_id
FROM sending_dispatches
WHERE community_id = $1 AND profile_id > $2
ORDER BY profile_id
LIMIT $3
"""

_NAMED = """
SELECT profile_id AS recipient, profile_id, external_id
FROM profiles
WHERE community_id = $1 AND profile_id = ANY ($2)
UNION ALL
SELECT merged_into, profile_id, external_id
FROM profiles
WHERE community_id = $1 AND merged_into = ANY ($2)
"""


async def list_pending(database: Database) -> list[int]:
    """The ids of the communities with former keys."""
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch("SELECT id FROM communities WHERE has_former_dispatch_keys ORDER BY id")
    return [row["id"] for row in rows]


async def restate_keys(database: Database, community_id: int) -> int:
    """Restates the keys of a community's dispatches; returns the number of recipients.

    Commits part by part, and can be repeated after an interruption. A key is recognized by the present names of the
    recipient and of profiles that were merged into it.
    """
    total = 0
    last: UUID | None = UUID(int=0)
    while last is not None:
        recipients, last = await commit(database, community_id, partial(_restate_part, after=last))
        total += recipients
    return total


async def _restate_part(uow: UnitOfWork, after: UUID) -> tuple[int, UUID | None]:
    await profile_lock.lock_identities_exclusive(uow)
    rows = await uow.fetch(_NEXT, uow.community_id, after, RECIPIENTS_PER_COMMIT)
    ids = [row["profile_id"] for row in rows]
    named = await uow.fetch(_NAMED, uow.community_id, ids)
    former_keys = [
        (row["recipient"], validation.hash_key(f"profile {name}"))
        for row in named
        for name in (str(row["profile_id"]), str(row["profile_id"]).upper(), row["external_id"])
        if name is not None
    ]
    await sending_events.restate_keys(uow, former_keys)
    if len(ids) == RECIPIENTS_PER_COMMIT:
        return len(ids), ids[-1]
    await uow.execute("UPDATE communities SET has_former_dispatch_keys = false WHERE id = $1", uow.community_id)
    return len(ids), None
