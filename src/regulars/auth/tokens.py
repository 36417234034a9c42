"""API tokens: stored as hashes, with permits and an expiry, revocable."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from regulars.auth.permits import FULL_PROFILE_API
from regulars.storage.database import transaction

PREFIX = "rg_"
_RANDOM_BYTES = 32
_SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Token:
    """An API token.

    `community_id` binds it to a community, `profile_id` to a profile. `customers` are the slugs of the communities that
    it gives access to; None is all of the organization.
    """

    id: int
    organization_id: int
    community_id: int | None
    profile_id: UUID | None
    name: str
    hint: str
    permits: tuple[str, ...]
    customers: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None

    def is_valid_at(self, now: datetime) -> bool:
        """Whether the token is neither revoked nor expired at this time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = """id, organization_id, community_id, profile_id, name, hint, permits, customers,
    created_at, expires_at, revoked_at, used_at"""


def hash_secret(secret: str) -> str:
    """Returns the hash under which a secret is stored. Secrets are random, so a fast hash is secure."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_well_formed(text: str) -> bool:
    """Whether a text has the format of a token."""
    return _SECRET.fullmatch(text) is not None


def _parse_row(row: Any) -> Token:
    values = dict(row)
    values["permits"] = tuple(values["permits"])
    values["customers"] = None if values["customers"] is None else tuple(values["customers"])
    return Token(**values)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to create. Without permits, a community's token has all permits of the Profile API, any other none."""

    organization_id: int
    name: str
    permits: Sequence[str] | None = None
    customers: Sequence[str] | None = None
    community_id: int | None = None
    profile_id: UUID | None = None
    expires_at: datetime | None = None

    @property
    def granted_permits(self) -> tuple[str, ...]:
        """The permits to store."""
        if self.permits is not None:
            return tuple(self.permits)
        return () if self.community_id is None else FULL_PROFILE_API


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A token that was created, with its secret, which is not stored."""

    id: int
    secret: str


async def add(connection: Any, new: NewToken, now: datetime) -> CreatedToken:
    """Creates a token in an organization's transaction."""
    secret = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    token_id: int = await connection.fetchval(
        """
        INSERT INTO tokens (
            organization_id, community_id, profile_id, hash, hint, name, permits, customers,
            created_at, expires_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        RETURNING id
        """,
        new.organization_id,
        new.community_id,
        new.profile_id,
        hash_secret(secret),
        secret[:7],
        new.name,
        list(new.granted_permits),
        None if new.customers is None else list(new.customers),
        now,
        new.expires_at,
    )
    return CreatedToken(token_id, secret)


async def create(connection: Any, new: NewToken, now: datetime) -> str:
    """Creates a token and returns its secret, which is not stored."""
    async with transaction(connection):
        await connection.execute(f"SET LOCAL regulars.organization_id = '{int(new.organization_id)}'")
        return (await add(connection, new, now)).secret


# Row-level security of tokens compares the setting, so it has to be set before the table is read.
_FIND_BY_SECRET = f"""
WITH setting AS MATERIALIZED (SELECT set_config('regulars.token_hash', $1, true) AS hash)
SELECT token.*
FROM setting
CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM tokens WHERE tokens.hash = setting.hash OFFSET 0) AS token
"""


async def find_by_secret(connection: Any, secret: str) -> Token | None:
    """Returns the token of a secret, valid or not; None for an unknown secret."""
    row = await connection.fetchrow(_FIND_BY_SECRET, hash_secret(secret))
    return None if row is None else _parse_row(row)


async def find(connection: Any, token_id: int | None) -> Token | None:
    """Returns a token by its id in an organization's transaction, valid or not; None if there is none."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM tokens WHERE id = $1", token_id)
    return None if row is None else _parse_row(row)


async def list_all(connection: Any) -> list[Token]:
    """Returns all tokens in an organization's transaction, newest first."""
    return [_parse_row(row) for row in await connection.fetch(f"SELECT {_COLUMNS} FROM tokens ORDER BY id DESC")]


async def list_for_organization(connection: Any, organization_id: int) -> list[Token]:
    """Returns all tokens of an organization, newest first."""
    async with transaction(connection):
        await connection.execute(f"SET LOCAL regulars.organization_id = '{int(organization_id)}'")
        return await list_all(connection)


async def renew(
    connection: Any, token: Token, now: datetime, overlap: timedelta, lifetime: timedelta | None = None
) -> CreatedToken | None:
    """Creates a token with the permits of another, which expires after `overlap`, in an organization's transaction.

    Without `lifetime`, the new token has the lifetime of the other. Returns None if the other token is not valid.
    """
    if lifetime is None and token.expires_at is not None:
        lifetime = token.expires_at - token.created_at
    new = NewToken(
        token.organization_id,
        token.name,
        token.permits,
        token.customers,
        token.community_id,
        token.profile_id,
        None if lifetime is None else now + lifetime,
    )
    is_valid: bool = await connection.fetchval(
        "SELECT expire_token($1, $2, $3, $4)", token.organization_id, token.id, now, now + overlap
    )
    return await add(connection, new, now) if is_valid else None


async def revoke(connection: Any, organization_id: int, token_id: int, now: datetime) -> bool:
    """Revokes a token of an organization; returns False if it does not exist or is already revoked."""
    revoked: bool = await connection.fetchval("SELECT revoke_token($1, $2, $3)", organization_id, token_id, now)
    return revoked
