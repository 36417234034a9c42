"""Forms sent by pages: verified to come from a page of this server, and read within limits."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from regulars.auth import sessions
from regulars.web import bodies
from regulars.web.errors import ApiError

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
"""The field with the token that belongs to the session."""

ONCE_FIELD = "once"
"""The field with a random value, by which a form that is sent twice is recognised."""

MAX_FORM_BYTES = 1_000_000
MAX_FIELDS = 2_000

Fields = Mapping[str, Sequence[str]]


class CrossSiteFormError(Exception):
    """A form that was not sent from a page of this session."""


def require_same_site(request: Request, public_url: str) -> None:
    """Raises CrossSiteFormError if the browser says that another site sent the request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise CrossSiteFormError
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin)[:2] != urlsplit(public_url)[:2]:
        raise CrossSiteFormError


async def read_form(request: Request, secret: str) -> Fields:
    """The fields of a form, each with its values. `secret` is that of the session; empty before signing in.

    Raises CrossSiteFormError without the token of the session, and ApiError for a body that is no form or too large.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != "application/x-www-form-urlencoded" and request.headers.get("content-length", "0") != "0":
        raise ApiError(415, "The form has a type that is not supported.")
    raw = await bodies.read_body(request, MAX_FORM_BYTES)
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise ApiError(400, "The form can't be read.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise ApiError(422, "The form contains a NUL character.")
        fields.setdefault(name, []).append(value)
    if secret and not sessions.is_form_token(secret, last(fields).get(TOKEN_FIELD, "")):
        raise CrossSiteFormError
    return fields


def last(fields: Fields) -> dict[str, str]:
    """The last value of each field."""
    return {name: values[-1] for name, values in fields.items()}
