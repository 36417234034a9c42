"""Cookies of the pages: the session, the language, and a notice that is shown once."""

from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

LANGUAGE = "regulars_language"
_SESSION = "regulars_session"
_NOTICE = "regulars_notice"
_ATTEMPT = "regulars_sign_in"
_LANGUAGE_SECONDS = 365 * 24 * 3600


def _session_name(*, is_secure: bool) -> str:
    # Browsers accept a cookie with this prefix only from this host, over TLS and for all paths.
    return f"__Host-{_SESSION}" if is_secure else _SESSION


def session_secret(request: Request, *, is_secure: bool) -> str:
    """The secret of the session; empty without one."""
    return request.cookies.get(_session_name(is_secure=is_secure), "")


def set_session(response: Response, secret: str, *, is_secure: bool) -> None:
    """Stores the secret until the browser is closed; the server ends the session earlier."""
    response.set_cookie(
        _session_name(is_secure=is_secure), secret, path="/", secure=is_secure, httponly=True, samesite="lax"
    )


def clear_session(response: Response, *, is_secure: bool) -> None:
    """Removes the secret."""
    response.delete_cookie(
        _session_name(is_secure=is_secure), path="/", secure=is_secure, httponly=True, samesite="lax"
    )


def attempt(request: Request) -> str:
    """The attempt to sign in by an identity provider; empty without one."""
    return request.cookies.get(_ATTEMPT, "")[:4000]


def set_attempt(response: Response, text: str, *, is_secure: bool) -> None:
    """Stores an attempt to sign in by an identity provider for ten minutes; removes it if it is empty."""
    if text:
        response.set_cookie(
            _ATTEMPT, text, max_age=600, path="/sign-in", secure=is_secure, httponly=True, samesite="lax"
        )
    else:
        response.delete_cookie(_ATTEMPT, path="/sign-in", secure=is_secure, httponly=True, samesite="lax")


def set_language(response: Response, code: str, *, is_secure: bool) -> None:
    """Stores the language for a year."""
    response.set_cookie(
        LANGUAGE, code, max_age=_LANGUAGE_SECONDS, path="/", secure=is_secure, httponly=True, samesite="lax"
    )


def notice(request: Request) -> str:
    """The notice to show on this page; empty without one."""
    return unquote(request.cookies.get(_NOTICE, ""))[:1000]


def set_notice(response: Response, text: str, *, is_secure: bool) -> None:
    """Shows a notice on the next page."""
    response.set_cookie(
        _NOTICE, quote(text[:300]), max_age=60, path="/", secure=is_secure, httponly=True, samesite="lax"
    )


def clear_notice(response: Response) -> None:
    """Removes the notice that was shown."""
    response.delete_cookie(_NOTICE, path="/")
