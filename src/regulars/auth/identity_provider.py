"""Signing in by an OpenID Connect provider, such as the identity service of a company (extra `oidc`).

The authorization code flow with PKCE; the ID token is verified with the provider's keys. A person needs a user with the
e-mail address that the provider has verified.

Source of the steps: OpenID Connect Core 1.0, section 3.1, and Discovery 1.0.
"""

import base64
import secrets
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import msgspec

from regulars.auth import users
from regulars.auth.errors import AccessDenied
from regulars.auth.users import User
from regulars.core.errors import ValidationError
from regulars.settings import SettingError, Settings
from regulars.storage.database import Database

SCOPE = "openid email"
LEEWAY_SECONDS = 60
"""By how much the clocks of the two servers may differ."""

TIMEOUT_SECONDS = 10.0
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by key pairs. Unsigned tokens, and those signed with the client's secret, are refused."""

DISCOVERY_SECONDS = 3600.0
"""How long the provider's addresses and keys are used before they are read again."""


class SignInAttempt(msgspec.Struct, frozen=True):
    """What has to be the same when the person returns from the provider; it is in a cookie of the browser meanwhile."""

    state: str
    nonce: str
    code_verifier: str
    next: str

    def to_cookie(self) -> str:
        """The attempt as text for a cookie."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def parse_attempt(text: str) -> SignInAttempt | None:
    """The attempt in a cookie; None for other text."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=SignInAttempt)
    except (ValueError, msgspec.DecodeError):
        return None


@dataclass(slots=True)
class _Provider:
    metadata: dict[str, Any]
    keys: Any
    read_at: float


class IdentityProvider:
    """The configured provider. Without one, `is_configured` is false and nothing else may be called."""

    def __init__(self, settings: Settings) -> None:
        self.is_configured = bool(settings.oidc_issuer)
        self.name = settings.oidc_name
        self._issuer = settings.oidc_issuer.rstrip("/")
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret
        self._provider: _Provider | None = None
        if self.is_configured and not self._client_id:
            raise SettingError("oidc_issuer is set and oidc_client_id is not. Set both.")
        if self.is_configured and find_spec("authlib") is None:
            raise SettingError("oidc_issuer is set and Authlib is not installed. Install regulars[oidc].")

    async def begin(self, callback_url: str, target: str) -> tuple[str, SignInAttempt]:
        """The address at the provider to which the person goes, and the attempt.

        Raises AccessDenied, 503, if the provider does not answer.
        """
        state, nonce, code_verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = SignInAttempt(state, nonce, code_verifier, target)
        provider = await self._discover()
        async with self._client(callback_url) as client:
            url, _ = client.create_authorization_url(
                provider.metadata["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.code_verifier,
            )
        return str(url), attempt

    async def finish(
        self, database: Database, callback_url: str, attempt: SignInAttempt | None, state: str, code: str
    ) -> User:
        """The active user whose e-mail address the provider has verified.

        Raises AccessDenied: 401 for an answer that does not belong to the attempt, an invalid ID token, or an address
        without a user; 503 if the provider does not answer.
        """
        if attempt is None or not secrets.compare_digest(attempt.state.encode(), state.encode()) or not code:
            raise AccessDenied(401, "The sign-in was not begun in this browser, or took too long. Begin again.")
        claims = await self._claims(callback_url, attempt, code)
        if claims.get("email_verified") is not True:
            raise AccessDenied(401, f"{self.name} has not verified your e-mail address.")
        try:
            email = users.normalize_email(str(claims.get("email", "")))
        except ValidationError:
            raise AccessDenied(401, f"{self.name} has sent no e-mail address.") from None
        async with database.unscoped_connection() as connection:
            user = await users.find_by_email(connection, email)
        if user is None or not user.is_active:
            raise AccessDenied(401, f"There is no active user with the address {email}.")
        return user

    async def _claims(self, callback_url: str, attempt: SignInAttempt, code: str) -> dict[str, Any]:
        from authlib.common.errors import AuthlibBaseError
        from authlib.oidc.core import CodeIDToken
        from httpx2 import HTTPError
        from joserfc import jwt
        from joserfc.errors import JoseError

        provider = await self._discover()
        try:
            async with self._client(callback_url) as client:
                tokens = await client.fetch_token(
                    provider.metadata["token_endpoint"], code=code, code_verifier=attempt.code_verifier
                )
            decoded = jwt.decode(str(tokens.get("id_token", "")), provider.keys, algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": provider.metadata["issuer"]},
                    "aud": {"essential": True, "value": self._client_id},
                },
                params={
                    "nonce": attempt.nonce,
                    "client_id": self._client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except HTTPError:
            raise self._unavailable() from None
        except (AuthlibBaseError, JoseError, ValueError) as error:
            # The keys may have been replaced; the next attempt reads them again.
            self._provider = None
            raise AccessDenied(401, f"The answer of {self.name} is invalid: {error}.") from None
        return dict(claims)

    async def _discover(self) -> _Provider:
        """The provider's addresses and keys. Raises AccessDenied, 503, if it does not answer."""
        import httpx2
        from joserfc.jwk import KeySet

        if self._provider is not None and time.monotonic() - self._provider.read_at < DISCOVERY_SECONDS:
            return self._provider
        try:
            async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
                metadata = (
                    (await client.get(f"{self._issuer}/.well-known/openid-configuration")).raise_for_status().json()
                )
                keys = KeySet.import_key_set((await client.get(metadata["jwks_uri"])).raise_for_status().json())
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError):
            raise self._unavailable() from None
        if str(metadata.get("issuer", "")).rstrip("/") != self._issuer:
            raise AccessDenied(503, f"{self.name} names another issuer than oidc_issuer. Check the setting.")
        self._provider = _Provider(metadata, keys, time.monotonic())
        return self._provider

    def _client(self, callback_url: str) -> Any:
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        return AsyncOAuth2Client(
            self._client_id,
            self._client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._client_secret else "none",
            scope=SCOPE,
            redirect_uri=callback_url,
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
        )

    def _unavailable(self) -> AccessDenied:
        return AccessDenied(503, f"{self.name} does not answer. Try again, or sign in with a password.")
