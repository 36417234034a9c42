"""Puts events that happened to members elsewhere: who they are is looked up, and what clocks say is held to ours."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from regulars.core.errors import ValidationError, field_error
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import profile_lock

MAX_CLOCK_SKEW = timedelta(days=1)
"""So far the clocks of others may be ahead of ours."""

ProfileIds = Mapping[str | None, UUID]
"""Profiles by the names that events give them."""


class TimedEvent(Protocol):
    """An event: when it happened, and to whom where that is said."""

    @property
    def occurred_at(self) -> datetime:
        """When it happened."""

    @property
    def profile(self) -> str | None:
        """An external id or a profile's id."""


E = TypeVar("E", bound=TimedEvent)

RecordEvents = Callable[[UnitOfWork, Sequence[E], ProfileIds], Awaitable[Collection[int]]]
"""Tells of events, at least one; gives the places of those that are new."""


async def write_events(uow: UnitOfWork, rows: Sequence[E], tell: RecordEvents[E]) -> list[str | ValidationError]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    await profile_lock.lock_identities_shared(uow)
    who = await _who(uow, {row.profile for row in rows})
    latest = uow.now + MAX_CLOCK_SKEW
    taken = [row for row in rows if row.occurred_at <= latest and row.profile in who]
    fresh = await tell(uow, taken, who) if taken else ()
    written = iter("loaded" if place in fresh else "unchanged" for place in range(len(taken)))
    return [_refusal(row, who, latest) or next(written) for row in rows]


async def _who(uow: UnitOfWork, names: set[str | None]) -> ProfileIds:
    refs = {(lookup.EXTERNAL_ID_OR_ID, name) for name in names if name is not None}
    found = await lookup.resolve(uow, refs) if refs else {}
    return {None: profile_lock.NO_PROFILE} | {name: profile_id for (_, name), profile_id in found.items()}


def _refusal(row: TimedEvent, who: ProfileIds, latest: datetime) -> ValidationError | None:
    if row.profile not in who:
        return field_error("profile", f"There is no profile {row.profile}")
    if row.occurred_at > latest:
        return field_error("at", "lies more than a day ahead: set the clock that it comes from")
    return None
