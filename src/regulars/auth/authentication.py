"""Authenticates requests by their credentials; results are cached for seconds."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from regulars.auth import member_tokens, tokens
from regulars.auth.authorization import Access, Caller
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import ANONYMOUS, Principal, principal_from_member, principal_from_token
from regulars.auth.token_usage import TokenUsageRecorder
from regulars.auth.tokens import Token
from regulars.storage.database import Database

MAX_CACHED_TOKENS = 10_000
"""Most valid tokens that one process caches, and most invalid ones."""

MAX_CONCURRENT_LOOKUPS = 2
"""Tokens that one process looks up at the same time, of those that are not cached as valid."""

MAX_PENDING_LOOKUPS = 200
"""Most tokens that wait for a look-up and are not cached as valid."""

_CLIENT_HEADER = "x-client-authorization"


def extract_credential(access: Access, headers: Mapping[str, str]) -> str:
    """The secret that a request carries in its headers; empty where there is none."""
    if access.caller is Caller.REPORTING and (secret := headers.get(_CLIENT_HEADER, "").strip()):
        return secret
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


@dataclass(slots=True)
class _Cached:
    until: float
    token: Token
    principal: Principal


def _invalid() -> AccessDenied:
    return AccessDenied(
        401,
        "The token is unknown, revoked or expired: make one with `regulars token create`.",
        {"WWW-Authenticate": "Bearer"},
    )


class Authenticator:
    """Authenticates the requests of one process.

    Valid tokens are trusted for `seconds`, invalid ones are denied for `invalid_seconds` without another look-up. A
    flood of unknown tokens holds at most CONCURRENT_LOOKUPS connections, and never displaces a valid token.
    """

    def __init__(self, database: Database, seconds: float, invalid_seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._invalid_seconds = invalid_seconds
        self._valid: dict[str, _Cached] = {}
        self._invalid: dict[str, float] = {}
        self._lookups: dict[str, asyncio.Future[Token | None]] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)
        self._member_key: bytes | None = None
        self._uses = TokenUsageRecorder(database)

    async def close(self) -> None:
        """Writes the last uses of tokens that are not written yet."""
        await self._uses.close()

    async def member_key(self) -> bytes:
        """The key that members' tokens are signed with."""
        if self._member_key is None:
            async with self._database.unscoped_connection() as connection:
                self._member_key = await member_tokens.signing_key(connection, self._database.clock())
        return self._member_key

    def cached_principal(self, secret: str) -> Principal | None:
        """The caller of a cached, valid token; None where the token has to be looked up."""
        cached = self._valid.get(secret)
        if cached is None or time.monotonic() >= cached.until or not cached.token.is_valid_at(self._database.clock()):
            return None
        return cached.principal

    async def authenticate(self, access: Access, headers: Mapping[str, str]) -> Principal:
        """The caller of a request to an endpoint.

        Raises Denied: 401 for a credential that is invalid, 503 while too many unknown tokens are looked up.
        """
        if access.caller is Caller.ANYONE:
            return ANONYMOUS
        secret = extract_credential(access, headers)
        if not secret:
            return ANONYMOUS
        if (known := self.cached_principal(secret)) is not None:
            return known
        if "." in secret:
            return await self._member(secret)
        return await self._token(secret)

    async def _member(self, secret: str) -> Principal:
        member = member_tokens.verify(secret, await self.member_key(), self._database.clock())
        if member is None:
            raise AccessDenied(
                401,
                "The member's token is forged or expired: get one by POST /id/api/v1/auth/token.",
                {"WWW-Authenticate": "Bearer"},
            )
        return principal_from_member(member)

    async def _token(self, secret: str) -> Principal:
        if not tokens.is_well_formed(secret):
            raise _invalid()
        token = await self._found(secret)
        if token is None or not token.is_valid_at(self._database.clock()):
            raise _invalid()
        return principal_from_token(token)

    async def _found(self, secret: str) -> Token | None:
        """The token of a secret, looked up where it is not cached; one look-up serves all requests that carry it."""
        now = time.monotonic()
        hashed = tokens.hash_secret(secret)
        if (cached := self._valid.get(secret)) is not None and now < cached.until:
            return cached.token
        if now < self._invalid.get(hashed, 0.0):
            return None
        pending = self._lookups.get(hashed)
        if pending is None:
            if secret not in self._valid and len(self._lookups) >= MAX_PENDING_LOOKUPS:
                raise AccessDenied(503, "Too many unknown tokens arrive: try again in a second.", {"Retry-After": "1"})
            pending = asyncio.ensure_future(self._look_up(secret, hashed))
            self._lookups[hashed] = pending
            pending.add_done_callback(partial(self._looked_up, hashed))
        # The look-up goes on for other requests if this one is cancelled.
        return await asyncio.shield(pending)

    def _looked_up(self, hashed: str, pending: "asyncio.Future[Token | None]") -> None:
        del self._lookups[hashed]
        # An error must be read, and all requests that wait for it may have been cancelled.
        _ = pending.cancelled() or pending.exception()

    async def _look_up(self, secret: str, hashed: str) -> Token | None:
        if secret in self._valid:
            # It was valid seconds ago, so it does not wait for look-ups of unknown tokens.
            found = await self._read(secret)
        else:
            async with self._slots:
                found = await self._read(secret)
        now = time.monotonic()
        if found is not None and found.is_valid_at(self._database.clock()):
            self._valid.pop(secret, None)
            self._valid[secret] = _Cached(now + self._seconds, found, principal_from_token(found))
            _evict(self._valid)
            self._uses.record(found)
        else:
            self._valid.pop(secret, None)
            self._invalid.pop(hashed, None)
            self._invalid[hashed] = now + self._invalid_seconds
            _evict(self._invalid)
        return found

    async def _read(self, secret: str) -> Token | None:
        async with self._database.unscoped_connection() as connection:
            return await tokens.find_by_secret(connection, secret)


def _evict(cache: dict[str, Any]) -> None:
    # Entries are in the order of their last look-up, so the first is the one that expires first.
    if len(cache) > MAX_CACHED_TOKENS:
        del cache[next(iter(cache))]
