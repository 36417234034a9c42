"""Schedules of exports as rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from regulars.exports.cron import CronExpression
from regulars.query.parser.request import decode_body
from regulars.storage.database import Database


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule of an organization.

    `request` is the body that created it; `community_ids` and `permits` are those at that time.
    """

    organization_id: int
    id: UUID
    name: str
    request: Mapping[str, Any]
    community_ids: Sequence[int]
    permits: Sequence[str]
    token_id: int | None
    cron: str
    timezone: str
    webhook_secret: bytes | None
    next_run_at: datetime
    created_at: datetime
    updated_at: datetime

    @property
    def expression(self) -> CronExpression:
        """Its cron expression, in its time zone."""
        return CronExpression(self.cron, ZoneInfo(self.timezone))


_COLUMNS = """
    organization_id, id, name, request, community_ids, permits, token_id, cron, timezone, webhook_secret, next_run_at,
    created_at, updated_at
"""


def _parse_row(row: Any) -> Schedule:
    return Schedule(**{**row, "request": decode_body(bytes(row["request"]))})


_INSERT = f"""
INSERT INTO export_schedules ({_COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
_REPLACE = f"""
UPDATE export_schedules
SET ({_COLUMNS}) = ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
WHERE organization_id = $1 AND id = $2
"""


async def insert(connection: Any, schedule: Schedule) -> None:
    """Inserts a schedule within a transaction of its organization."""
    await connection.execute(_INSERT, *_values(schedule))


async def replace(connection: Any, schedule: Schedule) -> None:
    """Replaces a schedule, if it exists, within a transaction of its organization."""
    await connection.execute(_REPLACE, *_values(schedule))


def _values(schedule: Schedule) -> Sequence[Any]:
    return (
        schedule.organization_id,
        schedule.id,
        schedule.name,
        schedule.request,
        list(schedule.community_ids),
        list(schedule.permits),
        schedule.token_id,
        schedule.cron,
        schedule.timezone,
        schedule.webhook_secret,
        schedule.next_run_at,
        schedule.created_at,
        schedule.updated_at,
    )


async def count(connection: Any, organization_id: int) -> int:
    """Returns the number of schedules of an organization. Concurrent calls wait until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('regulars.schedules'), $1)", organization_id)
    found: int = await connection.fetchval(
        "SELECT count(*) FROM export_schedules WHERE organization_id = $1", organization_id
    )
    return found


_GET = f"SELECT {_COLUMNS} FROM export_schedules WHERE organization_id = $1 AND id = $2"


async def get(database: Database, organization_id: int, schedule_id: UUID) -> Schedule | None:
    """Returns a schedule of an organization, or None."""
    async with database.organization_transaction(organization_id) as connection:
        row = await connection.fetchrow(_GET, organization_id, schedule_id)
    return None if row is None else _parse_row(row)


async def lock(connection: Any, organization_id: int, schedule_id: UUID) -> Schedule | None:
    """Returns a schedule of an organization, locked until the transaction ends, or None."""
    row = await connection.fetchrow(f"{_GET} FOR UPDATE", organization_id, schedule_id)
    return None if row is None else _parse_row(row)


async def list_all(
    database: Database, organization_id: int, community_ids: Collection[int] | None = None
) -> list[Schedule]:
    """Returns the schedules of an organization that have no other communities, by name."""
    async with database.organization_transaction(organization_id) as connection:
        rows = await connection.fetch(
            f"""
            SELECT {_COLUMNS}
            FROM export_schedules
            WHERE organization_id = $1 AND ($2::int[] IS NULL OR community_ids <@ $2)
            ORDER BY name, id
            """,
            organization_id,
            None if community_ids is None else list(community_ids),
        )
    return [_parse_row(row) for row in rows]


async def lock_due(connection: Any, organization_id: int, now: datetime) -> list[Schedule]:
    """Returns the schedules whose next run is due, locked until the transaction ends, without those locked by others."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM export_schedules
        WHERE organization_id = $1 AND next_run_at <= $2
        ORDER BY next_run_at, id
        FOR UPDATE SKIP LOCKED
        """,
        organization_id,
        now,
    )
    return [_parse_row(row) for row in rows]


async def set_next_run(connection: Any, schedule: Schedule, next_run_at: datetime) -> None:
    """Records the next run of a schedule."""
    await connection.execute(
        "UPDATE export_schedules SET next_run_at = $3 WHERE organization_id = $1 AND id = $2",
        schedule.organization_id,
        schedule.id,
        next_run_at,
    )


async def delete(connection: Any, organization_id: int, schedule_id: UUID) -> bool:
    """Deletes a schedule within a transaction of its organization; False if there is none. Its exports stay."""
    status = await connection.execute(
        "DELETE FROM export_schedules WHERE organization_id = $1 AND id = $2", organization_id, schedule_id
    )
    return bool(status == "DELETE 1")
