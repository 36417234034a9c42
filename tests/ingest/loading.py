"""Loads texts as files into a club."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from clubs import Club
from regulars.ingest import bulk, entities, files
from regulars.ingest.batches import Options, Summary


class Loading:
    """Loads one text after another."""

    def __init__(self, club: Club, folder: Path) -> None:
        self.club = club
        self._folder = folder

    async def __call__(self, entity: str, content: str, name: str = "facts.csv", **options: Any) -> Summary:
        path = self._folder / name
        path.write_text(content)
        read = partial(files.source(path).rows, entities.columns_of(entity))
        return await bulk.load_one(
            self.club.database,
            self.club.server.committers,
            self.club.community.id,
            entity,
            read,
            Options(**options),
        )

    async def profiles(self, *external_ids: str) -> None:
        await self("profiles", "external_id\n" + "\n".join(external_ids))

    async def values(self, external_id: str) -> dict[str, Any]:
        profile_id = await self.fetchval("SELECT profile_id FROM profiles WHERE external_id = $2", external_id)
        answer = await self.club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")
        found: dict[str, Any] = msgspec.json.decode(answer.content)["data"]
        return found

    async def transactions(self) -> dict[str, dict[str, Any]]:
        found = msgspec.json.decode((await self.club.http.get("/api/v3/transactions?page[size]=500")).content)
        return {row["external_id"]: row for row in found["data"]}

    async def fetchval(self, statement: str, *values: object) -> Any:
        async with self.club.database.reading(self.club.community.id) as scope:
            return await scope.fetchval(
                statement.replace("WHERE", "WHERE community_id = $1 AND"), scope.community_id, *values
            )


def counts(summary: Summary) -> tuple[int, int, int]:
    """How many rows were loaded, unchanged, rejected."""
    return summary.loaded, summary.unchanged, summary.rejected


def reasons(summary: Summary) -> dict[int, str]:
    """Why rows were rejected, by their line."""
    return {each.line: each.reason for each in summary.rejections}
