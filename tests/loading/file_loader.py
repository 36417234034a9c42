"""Loads texts as files into a club."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from clubs import Club
from regulars.loading import catalog, loader
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.readers import files


class FileLoader:
    """Loads files into one club."""

    def __init__(self, club: Club, folder: Path) -> None:
        self.club = club
        self._folder = folder

    async def __call__(self, entity: str, content: str, name: str = "facts.csv", **options: Any) -> LoadSummary:
        path = self._folder / name
        path.write_text(content)
        read = partial(files.inspect_file(path).rows, catalog.columns_of(entity))
        return await loader.load_and_finish(
            self.club.database,
            self.club.server.group_committer,
            self.club.community.id,
            entity,
            read,
            LoadOptions(**options),
        )

    async def parquet(self, path: Path, **options: Any) -> LoadSummary:
        """Loads a Parquet file of transactions, plain rows by columns."""
        source = files.inspect_file(path)
        read = partial(source.rows, catalog.columns_of("transactions"))
        target = (self.club.database, self.club.server.group_committer, self.club.community.id)
        return await loader.load_and_finish(*target, "transactions", read, LoadOptions(**options), source)

    async def profiles(self, *external_ids: str) -> None:
        await self("profiles", "external_id\n" + "\n".join(external_ids))

    async def values(self, external_id: str) -> dict[str, Any]:
        profile_id = await self.fetchval("SELECT profile_id FROM profiles WHERE external_id = $2", external_id)
        answer = await self.club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")
        data: dict[str, Any] = msgspec.json.decode(answer.content)["data"]
        return data

    async def transactions(self) -> dict[str, dict[str, Any]]:
        body = msgspec.json.decode((await self.club.http.get("/api/v3/transactions?page[size]=500")).content)
        return {row["external_id"]: row for row in body["data"]}

    async def fetchval(self, statement: str, *values: object) -> Any:
        async with self.club.database.read_transaction(self.club.community.id) as scope:
            return await scope.fetchval(
                statement.replace("WHERE", "WHERE community_id = $1 AND"), scope.community_id, *values
            )


def outcome_counts(summary: LoadSummary) -> tuple[int, int, int]:
    """How many rows were accepted, unchanged and rejected."""
    return summary.accepted, summary.unchanged, summary.rejected


def reasons_by_line(summary: LoadSummary) -> dict[int, str]:
    """The reasons of rejections by line."""
    return {each.line: each.reason for each in summary.rejections}
