"""API tokens: printed once, kept as a hash, revocable, with an expiry."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from regulars.auth.permits import FULL_PROFILE_API

PREFIX = "rg_"
_RANDOM_BYTES = 32
_SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Token:
    """What a token may do. `community_id` binds it to one community of the Profile API; `customers` None is all."""

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
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = """id, organization_id, community_id, profile_id, name, hint, permits, customers,
    created_at, expires_at, revoked_at, used_at"""


def hash_secret(secret: str) -> str:
    """The hash that a token is kept as. It is random, so a fast hash is a safe one."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_well_formed(text: str) -> bool:
    """Whether a text has the form of a token's secret."""
    return _SECRET.fullmatch(text) is not None


def _token(row: Any) -> Token:
    values = dict(row)
    values["permits"] = tuple(values["permits"])
    values["customers"] = None if values["customers"] is None else tuple(values["customers"])
    return Token(**values)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be created. Permits None means all of the Profile API for a community's token, none for others."""

    organization_id: int
    name: str
    permits: Sequence[str] | None = None
    customers: Sequence[str] | None = None
    community_id: int | None = None
    profile_id: UUID | None = None
    expires_at: datetime | None = None

    @property
    def granted_permits(self) -> tuple[str, ...]:
        """The permits that are stored."""
        if self.permits is not None:
            return tuple(self.permits)
        return () if self.community_id is None else FULL_PROFILE_API


async def create(connection: Any, new: NewToken, now: datetime) -> str:
    """Makes a token and gives its secret, which is not kept and can't be had again."""
    secret = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    async with connection.transaction():
        await connection.execute(f"SET LOCAL regulars.organization_id = '{int(new.organization_id)}'")
        await connection.execute(
            """
            INSERT INTO tokens (
                organization_id, community_id, profile_id, hash, hint, name, permits, customers,
                created_at, expires_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
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
    return secret


_SHOWN = f"""
WITH shown AS MATERIALIZED (SELECT set_config('regulars.token_hash', $1, true) AS hash)
SELECT found.*
FROM shown
CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM tokens WHERE tokens.hash = shown.hash OFFSET 0) AS found
"""


async def find_by_secret(connection: Any, secret: str) -> Token | None:
    """The token of a secret, whether it still stands or not; None for a secret that was never given out."""
    row = await connection.fetchrow(_SHOWN, hash_secret(secret))
    return None if row is None else _token(row)


async def list_for_organization(connection: Any, organization_id: int) -> list[Token]:
    """All tokens of an organization, the newest first."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL regulars.organization_id = '{int(organization_id)}'")
        rows = await connection.fetch(f"SELECT {_COLUMNS} FROM tokens ORDER BY id DESC")
    return [_token(row) for row in rows]


async def rotate(
    connection: Any, token: Token, now: datetime, overlap: timedelta, lifetime: timedelta | None = None
) -> str | None:
    """Creates a token with the rights of another, which expires after `overlap`; returns the secret of the new one.

    With `lifetime` None it is valid for as long as the other was when created. Returns None where the other is not
    valid.
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
    async with connection.transaction():
        is_valid: bool = await connection.fetchval(
            "SELECT expire_token($1, $2, $3, $4)", token.organization_id, token.id, now, now + overlap
        )
        return await create(connection, new, now) if is_valid else None


async def revoke(connection: Any, organization_id: int, token_id: int, now: datetime) -> bool:
    """Revokes a token of an organization; gives False where there is none, or it was revoked before."""
    revoked: bool = await connection.fetchval("SELECT revoke_token($1, $2, $3)", organization_id, token_id, now)
    return revoked
