"""Signing in with an e-mail address and a password, slowed down after failures."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from regulars.auth import audit_log, passwords, users
from regulars.auth.audit_log import Actor, AuditEntry
from regulars.auth.audit_rules import AuditAction
from regulars.auth.errors import AccessDenied
from regulars.auth.users import User
from regulars.core.errors import ValidationError
from regulars.storage.database import Database

FAILURE_PERIOD = timedelta(minutes=15)
"""Period in which failed sign-ins are counted."""

MAX_FAILURES_PER_EMAIL = 10
MAX_FAILURES_PER_ADDRESS = 50
"""Failed sign-ins in a period, by e-mail address and by the client's address, after which no more are tried."""

INVALID_CREDENTIALS = "The e-mail address or the password is wrong."

RunInThread = Callable[..., Awaitable[Any]]


async def authenticate_user(
    database: Database, run_in_thread: RunInThread, email: str, password: str, address: str
) -> User:
    """Returns the active user with this password.

    Raises AccessDenied: 401 for wrong credentials, without saying which is wrong; 429 after too many failures.
    """
    try:
        normalized = users.normalize_email(email)
    except ValidationError:
        normalized = ""
    by_email, by_address = f"email {normalized}", f"address {address}"
    async with database.unscoped_connection() as connection:
        # Counted as a failure before the password is verified, so that concurrent guesses count as well.
        await _count_failures(
            connection, database, {by_email: MAX_FAILURES_PER_EMAIL, by_address: MAX_FAILURES_PER_ADDRESS}
        )
        user = await users.find_by_email(connection, normalized)
    stored = user.password_hash if user is not None and user.is_active else None
    is_correct = await run_in_thread(passwords.verify, password, stored)
    if user is not None and not is_correct:
        async with database.organization_transaction(user.organization_id) as connection:
            await audit_log.insert(connection, _failure(user, database.clock(), address))
    if user is None or not is_correct:
        raise AccessDenied(401, INVALID_CREDENTIALS)
    async with database.unscoped_connection() as connection:
        await connection.execute("DELETE FROM sign_in_failures WHERE key_hash = $1", _hash(by_email))
        await connection.execute(
            "UPDATE sign_in_failures SET failures = greatest(failures - 1, 0) WHERE key_hash = $1", _hash(by_address)
        )
    return user


def _failure(user: User, now: datetime, address: str) -> AuditEntry:
    actor = Actor("user", user.id, user.name)
    return AuditEntry(
        user.organization_id, now, actor, AuditAction.DENY, "user", "POST /sign-in", [str(user.id)], address=address
    )


_COUNT = """
INSERT INTO sign_in_failures AS f (key_hash, failures, started_at)
SELECT key_hash, 1, $2
FROM unnest($1::text[]) AS key_hash
ORDER BY key_hash
ON CONFLICT (key_hash) DO UPDATE
SET failures = CASE WHEN f.started_at > $3 THEN f.failures + 1 ELSE 1 END,
    started_at = CASE WHEN f.started_at > $3 THEN f.started_at ELSE $2 END
RETURNING key_hash, failures, started_at
"""


async def _count_failures(connection: Any, database: Database, limits: Mapping[str, int]) -> None:
    """Adds a failure to each key. Raises AccessDenied, 429, if one has more than its limit."""
    now = database.clock()
    await connection.execute("DELETE FROM sign_in_failures WHERE started_at < $1", now - FAILURE_PERIOD)
    rows = await connection.fetch(_COUNT, [_hash(key) for key in limits], now, now - FAILURE_PERIOD)
    by_hash = {_hash(key): limit for key, limit in limits.items()}
    waits = [row["started_at"] + FAILURE_PERIOD - now for row in rows if row["failures"] > by_hash[row["key_hash"]]]
    if waits:
        seconds = max(1, int(max(waits).total_seconds()))
        raise AccessDenied(
            429, f"Too many failed sign-ins. Try again in {-(-seconds // 60)} min.", {"Retry-After": str(seconds)}
        )


def _hash(key: str) -> str:
    """Hashed, so that the table shows no addresses, and a long one is bounded."""
    return hashlib.sha256(key.encode()).hexdigest()
