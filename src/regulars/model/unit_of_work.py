"""The unit of work: a write transaction of a community, and the records that it has changed so far."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from regulars.model import events
from regulars.model.community import Community
from regulars.model.events import Event
from regulars.storage.database import Scope

_CHANGES = (
    "dirty_profiles", "dirty_members", "removed_profiles", "erased_profiles", "merged_profiles",
    "changed_transactions", "new_transactions",
    "stored_values", "values_changed", "locations_changed", "events", "writers", "locked_profiles",
)  # fmt: skip


@dataclass(slots=True)
class AffectedRecords:
    """The profiles and transactions that a unit of work has changed since its beginning."""

    profiles: set[UUID] = field(default_factory=set)
    transactions: set[int] = field(default_factory=set)


MemberRollupUpdate = Callable[["UnitOfWork"], Awaitable[None]]
"""Updates all counts and rollups of members within the transaction of a unit of work."""


@dataclass(slots=True)
class UnitOfWork(Scope):
    """A scope for writing facts. The commit that opened it brings everything derived from the changes up to date.

    `update_member_rollups` replaces the deltas of members that compaction would apply later. With `load_id`, dirty
    profiles are computed at the end of that load.
    """

    community: Community
    is_community_current: bool = True
    """Whether the community was read in this transaction, or its version compared."""
    dirty_profiles: dict[UUID, str] = field(default_factory=dict)
    """The profiles whose values must be recomputed, with the reason that the outbox records."""
    dirty_members: set[UUID] = field(default_factory=set)
    """The profiles whose membership or dimensions must be recomputed."""
    removed_profiles: set[UUID] = field(default_factory=set)
    """The profiles whose values must be removed."""
    erased_profiles: set[UUID] = field(default_factory=set)
    """The profiles that must be removed from all counts, past ones included."""
    merged_profiles: dict[UUID, UUID] = field(default_factory=dict)
    """The destination of each profile that was merged into another one."""
    changed_transactions: set[int] = field(default_factory=set)
    """The ids of transactions that were created, changed or deleted."""
    new_transactions: set[int] = field(default_factory=set)
    """Those of them that were created."""
    stored_values: set[UUID] = field(default_factory=set)
    """The profiles whose values were computed and stored by the unit of work itself."""
    slow_profiles: set[UUID] = field(default_factory=set)
    """The profiles whose refresh takes long."""
    values_changed: bool = False
    locations_changed: bool = False
    load_id: int | None = None
    is_backfill: bool = False
    """Whether new memberships are also counted in past snapshots."""
    update_member_rollups: "MemberRollupUpdate | None" = None
    delta_rows: int = 0
    """The number of rows appended for compaction."""
    purchases_recorded: int = 0
    """The number of transactions recorded for reports."""
    purchases_superseded: int = 0
    """The number of these that replace an earlier version."""
    namespace: str | None = None
    """The namespace of the caller, whose own webhooks do not receive the events of this unit of work."""
    events: list[Event] = field(default_factory=list)
    """The events that active webhooks listen to. The commit stores them."""
    writers: dict[UUID, frozenset[str | None]] = field(default_factory=dict)
    """The namespaces of the callers that changed each profile, if a webhook listens to changes of values."""
    locked_profiles: set[UUID] = field(default_factory=set)
    """Active profiles that an earlier statement has locked: their values can be refreshed."""
    _cleared: AffectedRecords = field(default_factory=AffectedRecords)

    def affected(self) -> AffectedRecords:
        """The profiles and transactions that were changed so far, including those before `clear`."""
        profiles = {
            *self.dirty_profiles,
            *self.dirty_members,
            *self.removed_profiles,
            *self.merged_profiles,
            *self.merged_profiles.values(),
        }
        return AffectedRecords(
            self._cleared.profiles | profiles, self._cleared.transactions | self.changed_transactions
        )

    def clear(self) -> None:
        """Clears the changes, once everything derived from them is up to date."""
        self._cleared = self.affected()
        self.dirty_profiles = {}
        self.dirty_members = set()
        self.removed_profiles = set()
        self.erased_profiles = set()
        self.merged_profiles = {}
        self.changed_transactions = set()
        self.new_transactions = set()
        self.stored_values = set()
        self.values_changed = self.locations_changed = False

    def listens_to(self, event_type: str) -> bool:
        """Whether an active webhook of the community listens to a type of event."""
        return bool(self.community.triggers) and events.is_listened_to(self.community.triggers, event_type)

    def record_event(
        self,
        event_type: str,
        profile_id: UUID | None = None,
        subject_id: object = None,
        data: Mapping[str, Any] | None = None,
        *,
        namespace: str | None = None,
    ) -> None:
        """Records an event if a webhook listens to it; see `Event`.

        `namespace` defaults to that of the unit of work.
        """
        if self.listens_to(event_type):
            subject = None if subject_id is None else str(subject_id)
            self.events.append(Event(event_type, profile_id, subject, data, namespace or self.namespace))

    def mark_dirty(self, profile_id: UUID, reason: str, namespace: str | None = None) -> None:
        """Schedules the refresh of a profile's values in this commit; the first reason is recorded.

        `namespace` is that of the caller, by default that of the unit of work.
        """
        self.dirty_profiles.setdefault(profile_id, reason)
        if self.community.triggers:
            self.writers[profile_id] = self.writers.get(profile_id, frozenset()) | {namespace or self.namespace}

    def mark_all_dirty(self, profile_ids: Iterable[UUID], reason: str) -> None:
        """Schedules the refresh of the values of several profiles."""
        for profile_id in profile_ids:
            self.mark_dirty(profile_id, reason)

    def mark_member_dirty(self, profile_id: UUID, reason: str) -> None:
        """Schedules the refresh of a profile's values, membership and dimensions."""
        self.mark_dirty(profile_id, reason)
        self.dirty_members.add(profile_id)

    def mark_members_dirty(self, profile_ids: Iterable[UUID], reason: str) -> None:
        """Schedules the refresh of the values, membership and dimensions of several profiles."""
        for profile_id in profile_ids:
            self.mark_member_dirty(profile_id, reason)

    def remove(self, profile_id: UUID) -> None:
        """Removes a profile's values: it left, was merged into another one or was purged."""
        self.removed_profiles.add(profile_id)
        self.dirty_members.add(profile_id)
        self.dirty_profiles.pop(profile_id, None)

    def erase(self, profile_id: UUID) -> None:
        """Removes a profile's values and all its counts, past ones included."""
        self.remove(profile_id)
        self.erased_profiles.add(profile_id)

    def merge(self, source_id: UUID, destination_id: UUID) -> None:
        """Removes a profile's values and reassigns its counts to the destination."""
        self.remove(source_id)
        self.merged_profiles[source_id] = destination_id
        self.mark_member_dirty(destination_id, "profile.merged")

    def invalidate_values(self) -> None:
        """Invalidates the values of all profiles of the community: a fact that many profiles share has changed."""
        self.values_changed = True

    def invalidate_locations(self) -> None:
        """Invalidates the locations that responses embed; values stay valid."""
        self.locations_changed = True

    @asynccontextmanager
    async def tracked_savepoint(self) -> AsyncIterator[None]:
        """A savepoint that also restores the recorded changes when it is rolled back."""
        before = {name: copy(getattr(self, name)) for name in _CHANGES}
        try:
            async with self.savepoint():
                yield
        except BaseException:
            for name, value in before.items():
                setattr(self, name, value)
            raise
