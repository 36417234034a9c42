"""What is stored of segments, read back in every way, for comparison with what an oracle expects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from clubs import Club
from query.filter_oracle import matches
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.segments import definitions
from regulars.segments.explain import Currency, segments_of
from segments.segment_client import SegmentClient, segment_client

Memberships = dict[str, set[UUID]]


def resolved(tree: Any, trees: Mapping[str, Any]) -> Any:
    """A filter with the filters of segments in place of their names."""
    if tree["type"] == "in_segment":
        return resolved(trees[tree["segment"]], trees)
    if tree["type"] == "not":
        return {**tree, "operation": resolved(tree["operation"], trees)}
    if tree["type"] in ("and", "or"):
        return {**tree, "operations": [resolved(each, trees) for each in tree["operations"]]}
    return tree


def expected_memberships(trees: Mapping[str, Any], rows: Mapping[UUID, Mapping[str, Any]]) -> Memberships:
    """The profiles of each segment by plain Python, of the rows of members."""
    return {
        name: {profile_id for profile_id, row in rows.items() if matches(resolved(tree, trees), row)}
        for name, tree in trees.items()
    }


@dataclass
class SegmentRecorder:
    """Follows the events of a club's segments, and remembers the expected memberships of each instant."""

    club: Club
    client: SegmentClient
    trees: dict[str, Any] = field(default_factory=dict)
    from_events: Memberships = field(default_factory=dict)
    last_event: int = 0
    past: dict[datetime, Memberships] = field(default_factory=dict)
    known_since: dict[str, datetime] = field(default_factory=dict)

    async def create(self, name: str, tree: Any, expected: set[UUID]) -> None:
        """Creates a segment, whose first members are expected, and computes it."""
        self.trees[name] = tree
        await self.client.create(name, tree)
        await self.maintain()
        self.from_events[name] = set(expected)
        self.known_since[name] = self.club.clock()

    async def maintain(self) -> None:
        """Runs the job that maintains segments."""
        assert await SegmentMaintenance(self.club.database).run_community(self.club.community.id) == 0

    async def check_live(self, expected: Memberships) -> None:
        """Compares counts, and the segments of each profile, with what is expected; no job has to run before."""
        for name, members in expected.items():
            count = (await self.client.get(f"/{name}/count"))["members_count"]
            assert count == len(members), (name, self.trees[name], members)
        async with self.club.database.read_transaction(self.club.community.id) as scope:
            community = await self._community(scope)
            stored = await definitions.fetch(scope)
            profile_ids = [
                row["profile_id"]
                for row in await scope.fetch(
                    "SELECT profile_id FROM profiles WHERE community_id = $1", scope.community_id
                )
            ]
            currency = Currency(community["timezone"], community["minor_digits"])
            found = await segments_of(scope, stored, profile_ids, currency)
        assert {
            name: {profile_id for profile_id, names in found.items() if name in names} for name in expected
        } == expected

    async def _community(self, scope: Any) -> Any:
        return await scope.fetchrow("SELECT * FROM communities WHERE id = $1", scope.community_id)

    async def check_stored(self, expected: Memberships) -> None:
        """Compares the stored memberships and the events so far with what is expected."""
        async with self.club.database.read_transaction(self.club.community.id) as scope:
            rows = await scope.fetch(_CURRENT, scope.community_id)
            events = await scope.fetch(_EVENTS, scope.community_id, self.last_event)
        stored: Memberships = {name: set() for name in self.trees}
        for row in rows:
            stored[row["name"]].add(row["profile_id"])
        assert stored == expected
        for event in events:
            members = self.from_events[event["subject_id"]]
            is_entered = event["type"] == "segment.entered"
            assert (event["profile_id"] in members) is not is_entered, dict(event)
            (members.add if is_entered else members.discard)(event["profile_id"])
            self.last_event = event["id"]
        assert self.from_events == expected
        self.past[self.club.clock()] = {name: set(members) for name, members in expected.items()}

    def remove_purged(self, existing: Collection[UUID]) -> None:
        """Removes profiles that are found nowhere any more, neither in events nor in the past."""
        for memberships in (self.from_events, *self.past.values()):
            for members in memberships.values():
                members.intersection_update(existing)

    async def check_past(self, at: datetime) -> None:
        """Compares the memberships of a past instant with what was expected then."""
        for name, members in self.past[at].items():
            if self.known_since[name] <= at:
                found = await self.client.get(f"/{name}/count", at=at.isoformat())
                assert found["members_count"] == len(members), (name, at)


_CURRENT = """
SELECT segment.name, membership.profile_id
FROM segment_memberships AS membership
JOIN segments AS segment ON segment.community_id = $1 AND segment.version_id = membership.version_id
WHERE membership.community_id = $1 AND membership.left_at IS NULL
"""

_EVENTS = """
SELECT id, type, profile_id, subject_id
FROM webhook_events
WHERE community_id = $1 AND id > $2 AND type LIKE 'segment.%'
ORDER BY id
"""


async def segment_recorder(club: Club) -> SegmentRecorder:
    """A recorder of a club whose webhook listens to segments."""
    body = {"trigger": "segment.*", "url": "https://example.com/hook"}
    assert (await club.http.post("/api/v3/webhooks", json=body)).status_code == 201
    return SegmentRecorder(club, await segment_client(club))
