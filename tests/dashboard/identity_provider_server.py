"""An OpenID Connect provider on this machine, with one person who is always signed in there."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "regulars", "secret of the client"


@dataclass
class Provider:
    """What the provider answers. `claims` replace those of the ID token; `key` signs it; `codes` are requests by code."""

    address: str = ""
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    published_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048))
    key: RSAKey | None = None
    algorithm: str = "RS256"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    is_down: bool = False

    def authorize(self, url: str) -> dict[str, str]:
        """What the browser takes back to the server after it has followed a link to the provider."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == (
            "code",
            CLIENT_ID,
            "S256",
        )
        assert set(query["scope"].split()) == {"openid", "email"}
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return {"code": code, "state": query["state"], "redirect_uri": query["redirect_uri"]}

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any]:
        """The answer of the token endpoint."""
        request = self.codes.pop(form["code"])
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        )
        assert challenge == request["code_challenge"]
        assert form["redirect_uri"] == request["redirect_uri"]
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".replace(" ", "%20").encode()).decode()
        plain = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        assert authorization in (f"Basic {expected}", f"Basic {plain}")
        claims = {
            "iss": self.issuer or self.address,
            "sub": "1",
            "aud": CLIENT_ID,
            "nonce": request["nonce"],
            "email_verified": True,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.key or self.published_key
        signed = jwt.encode({"alg": self.algorithm}, claims, key, algorithms=[self.algorithm])
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": signed}


@contextmanager
def run_provider() -> Iterator[Provider]:
    """Runs a provider."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if provider.is_down:
                self.send_error(502)
            elif self.path.endswith("openid-configuration"):
                self._answer(
                    {
                        "issuer": provider.issuer or provider.address,
                        "authorization_endpoint": f"{provider.address}/authorize",
                        "token_endpoint": f"{provider.address}/token",
                        "jwks_uri": f"{provider.address}/keys",
                    }
                )
            else:
                self._answer({"keys": [provider.published_key.as_dict(private=False)]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            if form["code"] not in provider.codes:
                self._answer({"error": "invalid_grant"}, 400)
            else:
                self._answer(provider.token(form, self.headers["authorization"]))

        def _answer(self, value: object, status: int = 200) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        provider.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield provider
        finally:
            server.shutdown()
