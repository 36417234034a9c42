"""One write in the making: its transaction, and what it has touched so far."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from regulars.model.community import Community
from regulars.storage.database import Scope


@dataclass(slots=True)
class AffectedRecords:
    """The profiles and transactions that a write has touched since its beginning."""

    profiles: set[UUID] = field(default_factory=set)
    transactions: set[int] = field(default_factory=set)


MemberRollupUpdate = Callable[["UnitOfWork"], Awaitable[None]]
"""Adds what a unit of work changes of members to all counts and rollups, within its transaction."""


@dataclass(slots=True)
class UnitOfWork(Scope):
    """A scope that facts are written in. The commit that opened it refreshes what was touched.

    `touched` holds, by profile, the cause that goes to the outbox; `members` the profiles of which more than their
    purchases may have changed, so that who is a member, and as what, is derived anew; `transactions` the ids of those
    that were made, changed or taken away, so that reports are told of them. `slow` are the profiles whose refresh took
    long. With `load`, the number of a load, what is touched is only marked, and computed when that load ends. `moves`
    is how many rows it appended for the folder; `bought` of how many transactions reports were told, `taken_back` of
    how many of these otherwise than before. With `of_history`, memberships that come are counted in the snapshots of
    the past too; `update_member_rollups` adds what changes of members to all counts in this commit, and leaves nothing to compaction.
    `response_quotes_rows` says that its response gives reasons that quote rejected rows.
    """

    community: Community
    dirty_profiles: dict[UUID, str] = field(default_factory=dict)
    dirty_members: set[UUID] = field(default_factory=set)
    removed_profiles: set[UUID] = field(default_factory=set)
    erased_profiles: set[UUID] = field(default_factory=set)
    merged_profiles: dict[UUID, UUID] = field(default_factory=dict)
    changed_transactions: set[int] = field(default_factory=set)
    slow_profiles: set[UUID] = field(default_factory=set)
    values_changed: bool = False
    locations_changed: bool = False
    load_id: int | None = None
    is_backfill: bool = False
    update_member_rollups: "MemberRollupUpdate | None" = None
    delta_rows: int = 0
    purchases_recorded: int = 0
    purchases_superseded: int = 0
    response_quotes_rows: bool = False
    _settled: AffectedRecords = field(default_factory=AffectedRecords)

    def affected(self) -> AffectedRecords:
        """The profiles and transactions that were touched so far, settled or not."""
        profiles = {
            *self.dirty_profiles,
            *self.dirty_members,
            *self.removed_profiles,
            *self.merged_profiles,
            *self.merged_profiles.values(),
        }
        return AffectedRecords(
            self._settled.profiles | profiles, self._settled.transactions | self.changed_transactions
        )

    def clear(self) -> None:
        """Forgets what was touched, now that everything derived is true again."""
        self._settled = self.affected()
        self.dirty_profiles = {}
        self.dirty_members = set()
        self.removed_profiles = set()
        self.erased_profiles = set()
        self.merged_profiles = {}
        self.changed_transactions = set()
        self.values_changed = self.locations_changed = False

    def mark_dirty(self, profile_id: UUID, reason: str) -> None:
        """Has a profile's values refreshed in this commit; the first cause given is kept."""
        self.dirty_profiles.setdefault(profile_id, reason)

    def mark_all_dirty(self, profile_ids: Iterable[UUID], reason: str) -> None:
        """Touches several profiles."""
        for profile_id in profile_ids:
            self.mark_dirty(profile_id, reason)

    def mark_member_dirty(self, profile_id: UUID, reason: str) -> None:
        """Has a profile's values refreshed, and who it is as a member derived anew."""
        self.mark_dirty(profile_id, reason)
        self.dirty_members.add(profile_id)

    def mark_members_dirty(self, profile_ids: Iterable[UUID], reason: str) -> None:
        """Touches several profiles as members."""
        for profile_id in profile_ids:
            self.mark_member_dirty(profile_id, reason)

    def remove(self, profile_id: UUID) -> None:
        """Has a profile's values removed in this commit: it leaves, is merged away or purged."""
        self.removed_profiles.add(profile_id)
        self.dirty_members.add(profile_id)
        self.dirty_profiles.pop(profile_id, None)

    def erase(self, profile_id: UUID) -> None:
        """Has a profile removed in this commit from all that is known of members, of the past too."""
        self.remove(profile_id)
        self.erased_profiles.add(profile_id)

    def merge(self, source_id: UUID, destination_id: UUID) -> None:
        """Has a profile removed in this commit, and what is counted of it counted of the one that it went into."""
        self.remove(source_id)
        self.merged_profiles[source_id] = destination_id
        self.mark_member_dirty(destination_id, "profile.merged")

    def invalidate_values(self) -> None:
        """Marks every profile of the community as to be recomputed: a fact that many share has changed."""
        self.values_changed = True

    def invalidate_locations(self) -> None:
        """Marks embedded locations as changed; values stay as they are."""
        self.locations_changed = True

    @asynccontextmanager
    async def tracked_savepoint(self) -> AsyncIterator[None]:
        """A savepoint that also forgets what was touched within it when it fails."""
        before = (
            dict(self.dirty_profiles), set(self.dirty_members), set(self.removed_profiles), set(self.erased_profiles), dict(self.merged_profiles),
            set(self.changed_transactions),
        )  # fmt: skip
        changed = (self.values_changed, self.locations_changed)
        try:
            async with self.savepoint():
                yield
        except BaseException:
            (
                self.dirty_profiles, self.dirty_members, self.removed_profiles, self.erased_profiles, self.merged_profiles, self.changed_transactions,
            ) = before  # fmt: skip
            self.values_changed, self.locations_changed = changed
            raise
