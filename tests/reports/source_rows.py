"""Reads the row sources of a report without a request: named parameters, rows as they come."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from regulars.reports.registry import REPORTS_BY_NAME
from regulars.storage.database import Database


async def fetch_rows(
    database: Database,
    community_id: int,
    report: str,
    fields: Collection[str],
    values: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The rows of the smallest source of a report that has these fields."""
    given = {"community": community_id, "club": community_id, "now": database.clock(), "min_cell_size": 0}
    given |= values or {}
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    statement = re.sub(r"\$([a-z]\w*)", number, REPORTS_BY_NAME[report].source_for(fields).sql)
    async with database.read_transaction(community_id) as scope:
        return [dict(row) for row in await scope.fetch(statement, *(given[name] for name in names))]


async def fetch_timeseries_rows(
    database: Database,
    community_id: int,
    report: str,
    fields: Collection[str],
    interval: str,
    starts: list[datetime],
    ends: list[datetime],
) -> list[dict[str, Any]]:
    """The rows of a timeseries in these buckets."""
    values = {"interval": interval, "starts": starts, "ends": ends}
    return await fetch_rows(database, community_id, report, fields, values)
