"""Sessions of people who have signed in: a secret in a cookie, its hash in the database."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from regulars.auth import audit_log, roles, tokens
from regulars.auth.audit_log import Actor, AuditEntry, actor_of
from regulars.auth.audit_rules import AuditAction
from regulars.auth.principals import Principal, PrincipalKind, principal_from_token
from regulars.storage.database import Database

IDLE_LIFETIME = timedelta(hours=2)
"""How long a session lives without a request."""

MAX_LIFETIME = timedelta(hours=24)
"""How long a session lives at most."""

SEEN_INTERVAL = timedelta(minutes=1)
"""How exactly the last request of a session is recorded, so that not every page writes."""

RETENTION = timedelta(days=30)
"""How long a session that has ended is stored."""

MAX_SESSIONS_PER_USER = 50
"""Maximum number of sessions of a user; a further one ends the oldest."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session, and the person or token that it belongs to.

    `principal` has the permits of this moment: a changed role or a revoked token counts with the next request.
    """

    id: int
    organization_id: int
    name: str
    email: str
    expires_at: datetime
    principal: Principal


def form_token(secret: str) -> str:
    """Returns the token that forms of a session carry against cross-site requests."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def is_form_token(secret: str, sent: str) -> bool:
    """Whether a form was sent from a page of this session."""
    return hmac.compare_digest(form_token(secret).encode(), sent.encode())


_INSERT = """
INSERT INTO user_sessions (
    organization_id, hash, user_id, token_id, address, user_agent, created_at, seen_at, expires_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
RETURNING id
"""

# Sessions that ended long ago are of no use; those of this user or token beyond the limit end.
_DELETE_OLD = """
DELETE FROM user_sessions
WHERE organization_id = $1
  AND (expires_at < $4 OR id IN (
      SELECT id
      FROM user_sessions
      WHERE organization_id = $1 AND user_id IS NOT DISTINCT FROM $2 AND token_id IS NOT DISTINCT FROM $3
      ORDER BY created_at DESC, id DESC
      OFFSET $5
  ))
"""

_UPDATE_SIGNED_IN = "UPDATE users SET signed_in_at = $3 WHERE organization_id = $1 AND id = $2"


async def create(
    database: Database,
    organization_id: int,
    *,
    user_id: int | None = None,
    token_id: int | None = None,
    name: str = "",
    operation: str = "",
    address: str = "",
    user_agent: str = "",
) -> str:
    """Creates a session of a user or of a token and returns its secret, which is not stored.

    The audit log shows it with the name of the user, and the operation, such as POST /sign-in.
    """
    secret, now = secrets.token_urlsafe(32), database.clock()
    async with database.organization_transaction(organization_id) as connection:
        session_id = await connection.fetchval(
            _INSERT,
            organization_id,
            tokens.hash_secret(secret),
            user_id,
            token_id,
            address[:200],
            user_agent[:500],
            now,
            now + IDLE_LIFETIME,
        )
        entry = AuditEntry(
            organization_id,
            now,
            Actor("token", token_id) if user_id is None else Actor("user", user_id, name),
            AuditAction.SIGN_IN,
            "session",
            operation,
            [str(session_id)],
            address=address,
        )
        await audit_log.insert(connection, entry)
        await connection.execute(
            _DELETE_OLD, organization_id, user_id, token_id, now - RETENTION, MAX_SESSIONS_PER_USER
        )
        if user_id is not None:
            await connection.execute(_UPDATE_SIGNED_IN, organization_id, user_id, now)
    return secret


# Row-level security of sessions compares the setting, so it has to be set before the table is read.
_FIND = """
WITH setting AS MATERIALIZED (SELECT set_config('regulars.session_hash', $1, true) AS hash)
SELECT found.*
FROM setting
CROSS JOIN LATERAL (
    SELECT organization_id, id, user_id, token_id, created_at, seen_at, expires_at, revoked_at
    FROM user_sessions
    WHERE user_sessions.hash = setting.hash
    OFFSET 0
) AS found
"""


async def find(database: Database, secret: str) -> Session | None:
    """Returns the session of a secret, and extends it; None if it is unknown, expired or ended."""
    now = database.clock()
    async with database.unscoped_connection() as connection:
        row = await connection.fetchrow(_FIND, tokens.hash_secret(secret))
    if row is None or row["revoked_at"] is not None or now >= row["expires_at"]:
        return None
    organization_id, expires_at = row["organization_id"], row["expires_at"]
    async with database.organization_transaction(organization_id) as connection:
        owner = await _owner(connection, organization_id, row["user_id"], row["token_id"], now)
        if owner is None:
            return None
        if now - row["seen_at"] >= SEEN_INTERVAL:
            expires_at = min(now + IDLE_LIFETIME, row["created_at"] + MAX_LIFETIME)
            await connection.execute(
                "UPDATE user_sessions SET seen_at = $3, expires_at = $4 WHERE organization_id = $1 AND id = $2",
                organization_id,
                row["id"],
                now,
                expires_at,
            )
    name, email, principal = owner
    return Session(row["id"], organization_id, name, email, expires_at, principal)


async def _owner(
    connection: Any, organization_id: int, user_id: int | None, token_id: int | None, now: datetime
) -> tuple[str, str, Principal] | None:
    """The name, e-mail address and principal of who has signed in; None if the user or the token is no longer valid."""
    if user_id is None:
        token = await tokens.find(connection, token_id)
        if token is None or not token.is_valid_at(now) or token.profile_id is not None:
            return None
        return token.name or token.hint, "", principal_from_token(token)
    user = await connection.fetchrow(
        """
        SELECT name, email, role_id
        FROM users
        WHERE organization_id = $1 AND id = $2 AND deactivated_at IS NULL
        """,
        organization_id,
        user_id,
    )
    role = None if user is None else await roles.find(connection, organization_id, user["role_id"])
    if role is None:
        return None
    principal = Principal(
        PrincipalKind.ORGANIZATION,
        organization_id,
        permits=role.permits,
        customers=role.customers,
        user_id=user_id,
        user_name=user["name"],
        location_ids=role.location_ids,
    )
    return user["name"], user["email"], principal


async def end(database: Database, session: Session, *, operation: str = "", address: str = "") -> None:
    """Ends a session, with an entry in the audit log."""
    async with database.organization_transaction(session.organization_id) as connection:
        entry = AuditEntry(
            session.organization_id,
            database.clock(),
            actor_of(session.principal),
            AuditAction.SIGN_OUT,
            "session",
            operation,
            [str(session.id)],
            address=address,
        )
        await audit_log.insert(connection, entry)
        await revoke(connection, session.organization_id, session.id, database.clock())


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session of a user, or of the bearer of a token, that has not ended."""

    id: int
    user_id: int | None
    token_id: int | None
    name: str
    address: str
    user_agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


async def list_active(connection: Any, organization_id: int, now: datetime) -> list[ListedSession]:
    """Returns the sessions that have not ended, in an organization's transaction, those seen last first."""
    rows = await connection.fetch(
        """
        SELECT s.id, s.user_id, s.token_id, coalesce(u.name, nullif(t.name, ''), t.hint, '') AS name, s.address,
               s.user_agent, s.created_at, s.seen_at, s.expires_at
        FROM user_sessions AS s
        LEFT JOIN users AS u ON u.organization_id = s.organization_id AND u.id = s.user_id
        LEFT JOIN tokens AS t ON t.organization_id = s.organization_id AND t.id = s.token_id
        WHERE s.organization_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2
        ORDER BY s.seen_at DESC, s.id DESC
        """,
        organization_id,
        now,
    )
    return [ListedSession(**row) for row in rows]


async def revoke(connection: Any, organization_id: int, session_id: int, now: datetime) -> bool:
    """Ends a session in an organization's transaction; False if there is none or it has ended."""
    status: str = await connection.execute(
        """
        UPDATE user_sessions
        SET revoked_at = $3
        WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > $3
        """,
        organization_id,
        session_id,
        now,
    )
    return status != "UPDATE 0"
