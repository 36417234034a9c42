"""Events that happened in other systems: their profiles, timestamps in the future, and verification of counts."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from regulars.core.errors import QuotingText, ValidationError, field_error
from regulars.facts.fact_type import RowOutcome
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import profile_lock, timezones, verification
from regulars.storage.database import Scope

MAX_CLOCK_SKEW = timedelta(days=1)
"""How far the clocks of other systems may be ahead of this one."""

ProfileIds = Mapping[str | None, UUID]
"""Profile ids by the names that events use for them."""


class UnknownProfileError(ValidationError):
    """An event names a profile that does not exist."""


class TimedEvent(Protocol):
    """An event: when it happened, and to which profile, if any."""

    @property
    def occurred_at(self) -> datetime:
        """When it happened."""

    @property
    def profile(self) -> str | None:
        """The external id or the id of a profile."""


E = TypeVar("E", bound=TimedEvent)

RecordEvents = Callable[[UnitOfWork, Sequence[E], ProfileIds], Awaitable[Collection[int]]]
"""Stores events, at least one, and returns the indexes of those that are new."""


async def write_events(uow: UnitOfWork, rows: Sequence[E], record: RecordEvents[E]) -> list[RowOutcome]:
    """Stores events while no profile can be erased or merged, and returns an outcome per row."""
    await profile_lock.lock_identities_shared(uow)
    return await write_valid(uow, rows, record)


async def write_valid(uow: UnitOfWork, rows: Sequence[E], record: RecordEvents[E]) -> list[RowOutcome]:
    """Stores the events whose profile exists and whose timestamp is plausible, and returns an outcome per row."""
    profile_ids = await resolve_profiles(uow, {row.profile for row in rows})
    latest = uow.now + MAX_CLOCK_SKEW
    errors = [_error(row, profile_ids, latest) for row in rows]
    valid = [row for row, error in zip(rows, errors, strict=True) if error is None]
    new = await record(uow, valid, profile_ids) if valid else ()
    outcomes = iter("accepted" if index in new else "unchanged" for index in range(len(valid)))
    return [error or next(outcomes) for error in errors]


async def find_discrepancies(statement: str, fact_type: str, scope: Scope, as_of: datetime | None) -> Sequence[Any]:
    """Returns the counts that differ from the events, by a statement that recounts them; none as of a timestamp."""
    if as_of is not None:
        return ()
    return await verification.find_discrepancies(scope, statement, await timezones.get(scope, fact_type))


async def resolve_profiles(scope: Scope, names: set[str | None]) -> ProfileIds:
    """The ids of the profiles that events name; unknown ones are left out."""
    refs = {(lookup.EXTERNAL_ID_OR_ID, name) for name in names if name is not None}
    resolved = await lookup.resolve(scope, refs) if refs else {}
    return {None: profile_lock.NO_PROFILE} | {name: profile_id for (_, name), profile_id in resolved.items()}


def _error(row: TimedEvent, profile_ids: ProfileIds, latest: datetime) -> ValidationError | None:
    if row.profile not in profile_ids:
        message = QuotingText(f"There is no profile {row.profile}", "There is no profile with this id")
        return UnknownProfileError({"profile": message})
    if row.occurred_at > latest:
        return field_error("at", "lies more than a day ahead: set the clock that it comes from")
    return None
