"""Puts events that happened to members elsewhere: who they are is looked up, and what clocks say is held to ours."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from regulars.facts import profile_lookup
from regulars.facts.refusals import Refused, refuse
from regulars.facts.writing import Writing
from regulars.reports import people

AHEAD = timedelta(days=1)
"""So far the clocks of others may be ahead of ours."""

Who = Mapping[str | None, UUID]
"""Profiles by the names that events give them."""


class Event(Protocol):
    """An event: when it happened, and to whom where that is said."""

    @property
    def at(self) -> datetime:
        """When it happened."""

    @property
    def profile(self) -> str | None:
        """An external id or a profile's id."""


E = TypeVar("E", bound=Event)

Tell = Callable[[Writing, Sequence[E], Who], Awaitable[Collection[int]]]
"""Tells of events, at least one; gives the places of those that are new."""


async def put(writing: Writing, rows: Sequence[E], tell: Tell[E]) -> list[str | Refused]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    await people.staying(writing)
    who = await _who(writing, {row.profile for row in rows})
    latest = writing.now + AHEAD
    taken = [row for row in rows if row.at <= latest and row.profile in who]
    fresh = await tell(writing, taken, who) if taken else ()
    written = iter("loaded" if place in fresh else "unchanged" for place in range(len(taken)))
    return [_refusal(row, who, latest) or next(written) for row in rows]


async def _who(writing: Writing, names: set[str | None]) -> Who:
    refs = {(profile_lookup.EITHER, name) for name in names if name is not None}
    found = await profile_lookup.resolve(writing, refs) if refs else {}
    return {None: people.NOBODY} | {name: profile_id for (_, name), profile_id in found.items()}


def _refusal(row: Event, who: Who, latest: datetime) -> Refused | None:
    if row.profile not in who:
        return refuse("profile", f"There is no profile {row.profile}")
    if row.at > latest:
        return refuse("at", "lies more than a day ahead: set the clock that it comes from")
    return None
