"""Roles: what the users of an organization may do, and for which customers and stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from regulars.auth import permits
from regulars.core.errors import field_error


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an organization.

    `customers` are the slugs of its communities; None is all of the organization. `location_ids` are stores to which the
    users are limited; None is no limit.
    """

    id: int
    name: str
    permits: tuple[str, ...]
    customers: tuple[str, ...] | None
    location_ids: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class NewRole:
    """A role to create or to change; see `Role`."""

    name: str
    permits: Sequence[str]
    customers: Sequence[str] | None = None
    location_ids: Sequence[int] | None = None


ADMINISTRATOR = NewRole("Administrator", ["*"])
ANALYST = NewRole("Analyst", [permits.REPORTING, permits.PROFILE_AGGREGATIONS, permits.SEGMENT_OF_PROFILE_READ])
MARKETER = NewRole(
    "Marketer",
    [
        permits.REPORTING,
        permits.PROFILE_READ,
        permits.SEGMENT_OF_PROFILE_READ,
        permits.TRANSACTION_READ,
        permits.LOCATION_READ,
        permits.WEBHOOK_READ,
    ],
)

STORE_PERMITS = (
    permits.QUERY,
    "Reporting:Api:Report:TransactionsHistory",
    "Reporting:Api:Report:TransactionsStats",
    permits.LOCATION_READ,
)
"""What the manager of one store needs."""

MAX_NAME_LENGTH = 200

_COLUMNS = "id, name, permits, customers, location_ids"


def _parse(row: Any) -> Role:
    customers, locations = row["customers"], row["location_ids"]
    return Role(
        row["id"],
        row["name"],
        tuple(row["permits"]),
        None if customers is None else tuple(customers),
        None if locations is None else tuple(locations),
    )


def _require_valid(new: NewRole) -> None:
    if not 0 < len(new.name.strip()) <= MAX_NAME_LENGTH:
        raise field_error("name", f"has {len(new.name)} characters. Allowed: 1 to {MAX_NAME_LENGTH}.")
    if new.location_ids is not None and (new.customers is None or len(new.customers) != 1):
        raise field_error("customers", "must be exactly one customer, because location_ids are ids of its stores.")


async def create(connection: Any, organization_id: int, new: NewRole, now: datetime) -> Role:
    """Creates a role in an organization's transaction. Raises ValidationError if it is invalid or the name exists."""
    _require_valid(new)
    row = await connection.fetchrow(
        f"""
        INSERT INTO roles (organization_id, name, permits, customers, location_ids, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $6)
        ON CONFLICT (organization_id, name) DO NOTHING
        RETURNING {_COLUMNS}
        """,
        organization_id,
        new.name.strip(),
        *_values(new),
        now,
    )
    if row is None:
        raise _name_exists(new)
    return _parse(row)


async def update(connection: Any, organization_id: int, role_id: int, new: NewRole, now: datetime) -> Role | None:
    """Changes a role; None if there is none. Raises ValidationError as `create` does."""
    _require_valid(new)
    try:
        row = await connection.fetchrow(
            f"""
            UPDATE roles
            SET name = $3, permits = $4, customers = $5, location_ids = $6, updated_at = $7
            WHERE organization_id = $1 AND id = $2
            RETURNING {_COLUMNS}
            """,
            organization_id,
            role_id,
            new.name.strip(),
            *_values(new),
            now,
        )
    except asyncpg.UniqueViolationError:
        raise _name_exists(new) from None
    return None if row is None else _parse(row)


def _values(new: NewRole) -> tuple[object, ...]:
    customers, locations = new.customers, new.location_ids
    return (
        list(new.permits),
        None if customers is None else list(customers),
        None if locations is None else list(locations),
    )


def _name_exists(new: NewRole) -> Exception:
    return field_error("name", f"{new.name.strip()!r} is the name of another role. Choose another.")


async def delete(connection: Any, organization_id: int, role_id: int) -> bool:
    """Deletes a role; False if there is none. Raises ValidationError while a user has it."""
    try:
        status: str = await connection.execute(
            "DELETE FROM roles WHERE organization_id = $1 AND id = $2", organization_id, role_id
        )
    except asyncpg.ForeignKeyViolationError:
        raise field_error("role", "is the role of a user. Give its users another role first.") from None
    return status != "DELETE 0"


async def list_all(connection: Any, organization_id: int) -> list[Role]:
    """Returns the roles of an organization, ordered by name."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM roles WHERE organization_id = $1 ORDER BY name", organization_id
    )
    return [_parse(row) for row in rows]


async def find(connection: Any, organization_id: int, role_id: int) -> Role | None:
    """Returns a role of an organization; None if there is none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM roles WHERE organization_id = $1 AND id = $2", organization_id, role_id
    )
    return None if row is None else _parse(row)


async def find_by_name(connection: Any, organization_id: int, name: str) -> Role | None:
    """Returns the role with this name; None if there is none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM roles WHERE organization_id = $1 AND name = $2", organization_id, name
    )
    return None if row is None else _parse(row)
