"""Organizations and the limits that each has of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization and its limits.

    A limit that is None is the server's default; without `min_cell_size` reports suppress no count.
    """

    id: int
    name: str
    min_cell_size: int | None
    general_burst: int | None
    general_rate_per_second: int | None
    reporting_burst: int | None
    reporting_rate_per_second: int | None


MAX_VALUES: Mapping[str, int] = {
    "min_cell_size": 1_000_000,
    "general_burst": 1_000_000_000,
    "general_rate_per_second": 1_000_000,
    "reporting_burst": 1_000_000_000,
    "reporting_rate_per_second": 1_000_000,
}
"""The limits that can be set, each with its largest value."""

_COLUMNS = ", ".join(each.name for each in fields(Organization))


async def list_all(connection: Any) -> list[Organization]:
    """Returns all organizations, ordered by name."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM organizations ORDER BY name")
    return [Organization(**row) for row in rows]


async def update(connection: Any, name: str, limits: Mapping[str, int | None]) -> Organization | None:
    """Sets limits of an organization and returns it; None if there is no organization of that name.

    Several limits are set in the connection's transaction. Raises asyncpg's CheckViolationError for a value that is out of
    range.
    """
    for limit in MAX_VALUES:
        if limit in limits:
            await connection.execute("SELECT set_organization_setting($1, $2, $3)", name, limit, limits[limit])
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM organizations WHERE name = $1", name)
    return None if row is None else Organization(**row)


async def get(connection: Any, organization_id: int) -> Organization:
    """Returns an organization."""
    return Organization(
        **await connection.fetchrow(f"SELECT {_COLUMNS} FROM organizations WHERE id = $1", organization_id)
    )
