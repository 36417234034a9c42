"""Segments whose filters can't be evaluated any more, over all communities: a field that they use was removed."""

from dataclasses import dataclass

from regulars.segments import definitions
from regulars.storage.database import Database

_COMMUNITIES = "SELECT id, slug, segments_version FROM communities WHERE segments_version IS NOT NULL ORDER BY slug"


@dataclass(frozen=True, slots=True)
class InvalidSegment:
    """A segment whose filter can't be evaluated, and why."""

    community: str
    name: str
    problem: str


async def list_invalid(database: Database) -> list[InvalidSegment]:
    """The invalid segments of all communities."""
    invalid = []
    async with database.unscoped_connection() as connection:
        communities = await connection.fetch(_COMMUNITIES)
    for community in communities:
        async with database.read_transaction(community["id"]) as scope:
            found = await definitions.load(scope, community["segments_version"])
        invalid += [
            InvalidSegment(community["slug"], name, each.problem)
            for name, each in found.filters.items()
            if each.problem
        ]
    return invalid
