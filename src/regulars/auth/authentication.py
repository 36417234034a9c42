"""Authentication of requests by API tokens and members' tokens, with a short-lived cache."""

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
"""Maximum number of valid tokens, and of invalid ones, in the cache of a process."""

MAX_CONCURRENT_LOOKUPS = 2
"""Maximum number of concurrent lookups per process of tokens that are not cached as valid."""

MAX_PENDING_LOOKUPS = 200
"""Maximum number of tokens that wait for a lookup and are not cached as valid."""

_CLIENT_HEADER = "x-client-authorization"
_REPORTING = (Caller.REPORTING, Caller.DOWNLOAD)


def extract_credential(access: Access, headers: Mapping[str, str]) -> str:
    """Returns the credential in the headers of a request, or an empty string."""
    if access.caller in _REPORTING and (secret := headers.get(_CLIENT_HEADER, "").strip()):
        return secret
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


@dataclass(slots=True)
class _CacheEntry:
    expires_at: float
    token: Token
    principal: Principal


def _invalid_token() -> AccessDenied:
    return AccessDenied(
        401,
        "The token is unknown, revoked or expired. `regulars token create` creates a token.",
        {"WWW-Authenticate": "Bearer"},
    )


class Authenticator:
    """Authenticates the requests of one process.

    Valid tokens are cached for `ttl_seconds`, invalid ones for `invalid_ttl_seconds`. A flood of unknown tokens uses at
    most MAX_CONCURRENT_LOOKUPS connections and never evicts a valid token.
    """

    def __init__(self, database: Database, ttl_seconds: float, invalid_ttl_seconds: float) -> None:
        self._database = database
        self._ttl_seconds = ttl_seconds
        self._invalid_ttl_seconds = invalid_ttl_seconds
        self._valid: dict[str, _CacheEntry] = {}
        self._invalid: dict[str, float] = {}
        self._lookups: dict[str, asyncio.Future[Token | None]] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)
        self._member_key: bytes | None = None
        self._usage = TokenUsageRecorder(database)

    async def close(self) -> None:
        """Writes the uses of tokens that are not written yet."""
        await self._usage.close()

    async def member_key(self) -> bytes:
        """Returns the key that signs members' tokens."""
        if self._member_key is None:
            async with self._database.unscoped_connection() as connection:
                self._member_key = await member_tokens.signing_key(connection, self._database.clock())
        return self._member_key

    def cached_principal(self, secret: str) -> Principal | None:
        """Returns the caller of a cached, valid token; None if the token has to be looked up."""
        cached = self._valid.get(secret)
        if (
            cached is None
            or time.monotonic() >= cached.expires_at
            or not cached.token.is_valid_at(self._database.clock())
        ):
            return None
        return cached.principal

    async def authenticate(self, access: Access, headers: Mapping[str, str]) -> Principal:
        """Returns the caller of a request to an endpoint.

        Raises AccessDenied: 401 for an invalid credential, 503 while too many unknown tokens wait for a lookup.
        """
        if access.caller is Caller.ANYONE:
            return ANONYMOUS
        secret = extract_credential(access, headers)
        if not secret:
            return ANONYMOUS
        if (principal := self.cached_principal(secret)) is not None:
            return principal
        if "." in secret:
            return await self._authenticate_member(secret)
        return await self._authenticate_token(secret)

    async def _authenticate_member(self, secret: str) -> Principal:
        member = member_tokens.verify(secret, await self.member_key(), self._database.clock())
        if member is None:
            raise AccessDenied(
                401,
                "The member's token is invalid or expired. POST /id/api/v1/auth/token creates one.",
                {"WWW-Authenticate": "Bearer"},
            )
        return principal_from_member(member)

    async def _authenticate_token(self, secret: str) -> Principal:
        if not tokens.is_well_formed(secret):
            raise _invalid_token()
        token = await self._find(secret)
        if token is None or not token.is_valid_at(self._database.clock()):
            raise _invalid_token()
        return principal_from_token(token)

    async def _find(self, secret: str) -> Token | None:
        """Returns the token of a secret from the cache or the database. Concurrent requests share one lookup."""
        now = time.monotonic()
        hashed = tokens.hash_secret(secret)
        if (cached := self._valid.get(secret)) is not None and now < cached.expires_at:
            return cached.token
        if now < self._invalid.get(hashed, 0.0):
            return None
        pending = self._lookups.get(hashed)
        if pending is None:
            if secret not in self._valid and len(self._lookups) >= MAX_PENDING_LOOKUPS:
                raise AccessDenied(
                    503, "Too many requests with unknown tokens. Retry in a second.", {"Retry-After": "1"}
                )
            pending = asyncio.ensure_future(self._look_up(secret, hashed))
            self._lookups[hashed] = pending
            pending.add_done_callback(partial(self._finish_lookup, hashed))
        # The lookup continues for other requests if this one is cancelled.
        return await asyncio.shield(pending)

    def _finish_lookup(self, hashed: str, pending: "asyncio.Future[Token | None]") -> None:
        del self._lookups[hashed]
        # asyncio logs an exception that is not retrieved, and all waiting requests may have been cancelled.
        _ = pending.cancelled() or pending.exception()

    async def _look_up(self, secret: str, hashed: str) -> Token | None:
        if secret in self._valid:
            # It was valid seconds ago, so it must not wait for lookups of unknown tokens.
            token = await self._read(secret)
        else:
            async with self._slots:
                token = await self._read(secret)
        now = time.monotonic()
        if token is not None and token.is_valid_at(self._database.clock()):
            self._valid.pop(secret, None)
            self._valid[secret] = _CacheEntry(now + self._ttl_seconds, token, principal_from_token(token))
            _evict(self._valid)
            self._usage.record(token)
        else:
            self._valid.pop(secret, None)
            self._invalid.pop(hashed, None)
            self._invalid[hashed] = now + self._invalid_ttl_seconds
            _evict(self._invalid)
        return token

    async def _read(self, secret: str) -> Token | None:
        async with self._database.unscoped_connection() as connection:
            return await tokens.find_by_secret(connection, secret)


def _evict(cache: dict[str, Any]) -> None:
    # Entries are ordered by their last lookup, so the first one expires first.
    if len(cache) > MAX_CACHED_TOKENS:
        del cache[next(iter(cache))]
