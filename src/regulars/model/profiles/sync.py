"""Sends updates of profiles to webhooks again, so that another system can catch up."""

from datetime import datetime

from regulars.core.errors import field_error
from regulars.model import events
from regulars.model.unit_of_work import UnitOfWork

MAX_PROFILES = 50_000
"""Most profiles of one request, which locks them."""

# The events of a profile are stored while it is locked, so that they are numbered in the order of its changes.
_RECORD = """
WITH locked AS MATERIALIZED (
    SELECT profile_id, updated_at
    FROM profiles
    WHERE community_id = $1 AND deleted_at IS NULL AND ($3::timestamptz IS NULL OR updated_at >= $3)
    ORDER BY profile_id
    LIMIT $4
    FOR NO KEY UPDATE
)
INSERT INTO webhook_events (community_id, type, occurred_at, profile_id, namespace)
SELECT $1, 'profile.updated', $2, profile_id, $5
FROM locked
ORDER BY updated_at, profile_id
"""


async def record_updates(uow: UnitOfWork, since: datetime | None) -> None:
    """Records `profile.updated` for the profiles updated at or after `since`, if an active webhook listens to it.

    Raises ValidationError if they are too many.
    """
    if not uow.listens_to("profile.updated"):
        return
    status = await uow.execute(_RECORD, uow.community_id, uow.now, since, MAX_PROFILES + 1, uow.namespace)
    if int(status.rpartition(" ")[2]) > MAX_PROFILES:
        raise field_error("updated_at", f"selects more than {MAX_PROFILES:,} profiles: name a later time")
    events.announce(uow.community_id)
