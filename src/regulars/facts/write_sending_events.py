"""Puts events of sendings: by columns, one statement a batch."""

from collections.abc import Sequence

from regulars.core.errors import ValidationError
from regulars.facts import timed_events
from regulars.facts.sending_events import SendingEventRow
from regulars.facts.timed_events import ProfileIds
from regulars.model import placeholders
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import sending_events
from regulars.rollups.sending_events import SendingEventBatch


async def write_many(uow: UnitOfWork, rows: Sequence[SendingEventRow]) -> list[str | ValidationError]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    return await timed_events.write_events(uow, rows, _tell)


async def _tell(uow: UnitOfWork, rows: Sequence[SendingEventRow], who: ProfileIds) -> set[int]:
    sending_ids = await placeholders.get_or_create_ids(uow, "sendings", {row.sending for row in rows})
    return await sending_events.record(
        uow,
        SendingEventBatch(
            sending_ids=[sending_ids[row.sending] for row in rows],
            dispatch_keys=[row.dispatch_key for row in rows],
            event_keys=[row.event_key for row in rows],
            event_types=[row.event_type for row in rows],
            occurred_at=[row.occurred_at for row in rows],
            profile_ids=[who[row.profile] for row in rows],
        ),
    )
