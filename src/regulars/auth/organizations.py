"""What an organization has set for its reports."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization; None is the server's own setting, and for the smallest cell that every count is shown."""

    id: int
    name: str
    smallest_cell: int | None
    general_capacity: int | None
    general_refill: int | None
    reporting_capacity: int | None
    reporting_refill: int | None


MAX_VALUES: Mapping[str, int] = {
    "smallest_cell": 1_000_000,
    "general_capacity": 1_000_000_000,
    "general_refill": 1_000_000,
    "reporting_capacity": 1_000_000_000,
    "reporting_refill": 1_000_000,
}
"""The settings, and how large each may be."""

_COLUMNS = ", ".join(each.name for each in fields(Organization))


async def list_all(connection: Any) -> list[Organization]:
    """All organizations, by name."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM organizations ORDER BY name")
    return [Organization(**row) for row in rows]


async def update(connection: Any, name: str, settings: Mapping[str, int | None]) -> Organization | None:
    """Sets some of the settings of an organization and gives it as it is then; None where there is none of that name.

    Raises asyncpg's CheckViolationError for a number that can't be.
    """
    async with connection.transaction():
        for each in MAX_VALUES:
            if each in settings:
                await connection.execute("SELECT set_organization_setting($1, $2, $3)", name, each, settings[each])
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM organizations WHERE name = $1", name)
    return None if row is None else Organization(**row)
