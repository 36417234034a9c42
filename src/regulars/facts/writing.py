"""One write in the making: its transaction, and what it has touched so far."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from regulars.facts.community import Community
from regulars.storage.database import Scope


@dataclass(slots=True)
class Concerned:
    """The profiles and transactions that a write has touched since its beginning."""

    profiles: set[UUID] = field(default_factory=set)
    transactions: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Writing(Scope):
    """A scope that facts are written in. The commit that opened it refreshes what was touched.

    `touched` holds, by profile, the cause that goes to the outbox; `members` the profiles of which more than their
    purchases may have changed, so that who is a member, and as what, is derived anew; `transactions` the ids of those
    that were made, changed or taken away, so that reports are told of them. `slow` are the profiles whose refresh took
    long. With `load`, the number of a load, what is touched is only marked, and computed when that load ends. `moves`
    is how many rows it appended for the folder; `bought` of how many transactions reports were told, `taken_back` of
    how many of these otherwise than before. With `of_history`, memberships that come are counted in the snapshots of
    the past too; with `at_once`, what changes of members is added to all counts in this commit, and nothing is left to
    the folder. `quotes_rows` says that its response gives reasons that quote rejected rows.
    """

    community: Community
    touched: dict[UUID, str] = field(default_factory=dict)
    members: set[UUID] = field(default_factory=set)
    removed: set[UUID] = field(default_factory=set)
    purged: set[UUID] = field(default_factory=set)
    merged: dict[UUID, UUID] = field(default_factory=dict)
    transactions: set[int] = field(default_factory=set)
    slow: set[UUID] = field(default_factory=set)
    values_changed: bool = False
    locations_changed: bool = False
    load: int | None = None
    of_history: bool = False
    at_once: bool = False
    moves: int = 0
    bought: int = 0
    taken_back: int = 0
    quotes_rows: bool = False
    _settled: Concerned = field(default_factory=Concerned)

    def concerned(self) -> Concerned:
        """The profiles and transactions that were touched so far, settled or not."""
        profiles = {*self.touched, *self.members, *self.removed, *self.merged, *self.merged.values()}
        return Concerned(self._settled.profiles | profiles, self._settled.transactions | self.transactions)

    def settled(self) -> None:
        """Forgets what was touched, now that everything derived is true again."""
        self._settled = self.concerned()
        self.touched = {}
        self.members = set()
        self.removed = set()
        self.purged = set()
        self.merged = {}
        self.transactions = set()
        self.values_changed = self.locations_changed = False

    def touch(self, profile_id: UUID, cause: str) -> None:
        """Has a profile's values refreshed in this commit; the first cause given is kept."""
        self.touched.setdefault(profile_id, cause)

    def touch_all(self, profile_ids: Iterable[UUID], cause: str) -> None:
        """Touches several profiles."""
        for profile_id in profile_ids:
            self.touch(profile_id, cause)

    def touch_member(self, profile_id: UUID, cause: str) -> None:
        """Has a profile's values refreshed, and who it is as a member derived anew."""
        self.touch(profile_id, cause)
        self.members.add(profile_id)

    def touch_members(self, profile_ids: Iterable[UUID], cause: str) -> None:
        """Touches several profiles as members."""
        for profile_id in profile_ids:
            self.touch_member(profile_id, cause)

    def remove(self, profile_id: UUID) -> None:
        """Has a profile's values removed in this commit: it leaves, is merged away or purged."""
        self.removed.add(profile_id)
        self.members.add(profile_id)
        self.touched.pop(profile_id, None)

    def purge(self, profile_id: UUID) -> None:
        """Has a profile removed in this commit from all that is known of members, of the past too."""
        self.remove(profile_id)
        self.purged.add(profile_id)

    def merge(self, source_id: UUID, destination_id: UUID) -> None:
        """Has a profile removed in this commit, and what is counted of it counted of the one that it went into."""
        self.remove(source_id)
        self.merged[source_id] = destination_id
        self.touch_member(destination_id, "profile.merged")

    def raise_values_epoch(self) -> None:
        """Marks every profile of the community as to be recomputed: a fact that many share has changed."""
        self.values_changed = True

    def raise_locations_epoch(self) -> None:
        """Marks embedded locations as changed; values stay as they are."""
        self.locations_changed = True

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """A savepoint that also forgets what was touched within it when it fails."""
        before = (
            dict(self.touched), set(self.members), set(self.removed), set(self.purged), dict(self.merged),
            set(self.transactions),
        )  # fmt: skip
        changed = (self.values_changed, self.locations_changed)
        try:
            async with self.savepoint():
                yield
        except BaseException:
            (
                self.touched, self.members, self.removed, self.purged, self.merged, self.transactions,
            ) = before  # fmt: skip
            self.values_changed, self.locations_changed = changed
            raise
