"""Users: the people of an organization who sign in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from regulars.core import validation
from regulars.core.errors import field_error

MAX_LENGTH = 200
"""Maximum length of a name and of an e-mail address, in characters."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of an organization. Without `password_hash` the user signs in by an identity provider only."""

    organization_id: int
    id: int
    email: str
    name: str
    role_id: int
    password_hash: str | None
    created_at: datetime
    signed_in_at: datetime | None
    deactivated_at: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether the user may sign in."""
        return self.deactivated_at is None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to create; see `User`."""

    email: str
    name: str
    role_id: int
    password_hash: str | None


_COLUMNS = """organization_id, id, email, name, role_id, password_hash, created_at, signed_in_at, deactivated_at"""


def normalize_email(text: str) -> str:
    """Returns an e-mail address as it is stored. Raises ValidationError for other text."""
    email = text.strip().casefold()
    if not validation.is_email(email) or len(email) > MAX_LENGTH or "\0" in email:
        raise field_error("email", f"{text[:MAX_LENGTH]!r} is not an e-mail address. Example: ada@shop.example.")
    return email


async def create(connection: Any, organization_id: int, new: NewUser, now: datetime) -> User:
    """Creates a user in an organization's transaction.

    Raises ValidationError for an invalid name or address, one that another user has, or an unknown role.
    """
    email = normalize_email(new.email)
    if not 0 < len(new.name.strip()) <= MAX_LENGTH:
        raise field_error("name", f"has {len(new.name)} characters. Allowed: 1 to {MAX_LENGTH}.")
    try:
        row = await connection.fetchrow(
            f"""
            INSERT INTO users (
                organization_id, email, name, role_id, password_hash, created_at, updated_at, password_changed_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $6, $6)
            ON CONFLICT (email) DO NOTHING
            RETURNING {_COLUMNS}
            """,
            organization_id,
            email,
            new.name.strip(),
            new.role_id,
            new.password_hash,
            now,
        )
    except asyncpg.ForeignKeyViolationError:
        raise field_error("role", f"{new.role_id} is not a role of this organization.") from None
    if row is None:
        raise field_error("email", f"{email} is the address of another user.")
    return User(**row)


async def list_all(connection: Any, organization_id: int) -> list[User]:
    """Returns the users of an organization, ordered by name."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM users WHERE organization_id = $1 ORDER BY name, id", organization_id
    )
    return [User(**row) for row in rows]


async def find(connection: Any, organization_id: int, user_id: int) -> User | None:
    """Returns a user of an organization; None if there is none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM users WHERE organization_id = $1 AND id = $2", organization_id, user_id
    )
    return None if row is None else User(**row)


# Row-level security of users compares the setting, so it has to be set before the table is read.
_FIND_BY_EMAIL = f"""
WITH setting AS MATERIALIZED (SELECT set_config('regulars.user_email', $1, true) AS email)
SELECT found.*
FROM setting
CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM users WHERE users.email = setting.email OFFSET 0) AS found
"""


async def find_by_email(connection: Any, email: str) -> User | None:
    """Returns the user with this normalized e-mail address, of any organization; None if there is none."""
    row = await connection.fetchrow(_FIND_BY_EMAIL, email)
    return None if row is None else User(**row)


async def change_role(connection: Any, organization_id: int, user_id: int, role_id: int, now: datetime) -> bool:
    """Gives a user another role; False for an unknown user. Raises ValidationError for an unknown role."""
    try:
        return await _update(connection, organization_id, user_id, "role_id = $3, updated_at = $4", role_id, now)
    except asyncpg.ForeignKeyViolationError:
        raise field_error("role", f"{role_id} is not a role of this organization.") from None


async def set_password(connection: Any, organization_id: int, user_id: int, password_hash: str, now: datetime) -> bool:
    """Replaces the password of a user and ends the user's sessions; False for an unknown user."""
    await end_sessions(connection, organization_id, user_id, now)
    return await _update(
        connection,
        organization_id,
        user_id,
        "password_hash = $3, password_changed_at = $4, updated_at = $4",
        password_hash,
        now,
    )


async def set_active(connection: Any, organization_id: int, user_id: int, now: datetime, *, is_active: bool) -> bool:
    """Activates or deactivates a user; the sessions of an inactive one end. False for an unknown user."""
    if not is_active:
        await end_sessions(connection, organization_id, user_id, now)
    return await _update(
        connection,
        organization_id,
        user_id,
        "deactivated_at = CASE WHEN $3 THEN NULL ELSE coalesce(deactivated_at, $4) END, updated_at = $4",
        is_active,
        now,
    )


async def end_sessions(connection: Any, organization_id: int, user_id: int, now: datetime) -> int:
    """Ends all sessions of a user and returns their number."""
    status: str = await connection.execute(
        """
        UPDATE user_sessions
        SET revoked_at = $3
        WHERE organization_id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $3
        """,
        organization_id,
        user_id,
        now,
    )
    return int(status.rpartition(" ")[2])


async def _update(connection: Any, organization_id: int, user_id: int, assignments: str, *values: object) -> bool:
    status: str = await connection.execute(
        f"UPDATE users SET {assignments} WHERE organization_id = $1 AND id = $2", organization_id, user_id, *values
    )
    return status != "UPDATE 0"
