"""Security schemes and permits of operations in the OpenAPI document."""

from typing import Any

from regulars.auth import permits
from regulars.auth.authorization import Access, Caller

_SCHEMES_OF: dict[Caller, tuple[str, ...]] = {
    Caller.COMMUNITY: ("community",),
    Caller.MEMBER: ("member",),
    Caller.REPORTING: ("reporting", "client"),
    Caller.DOWNLOAD: ("reporting", "client", "link"),
    Caller.PROVIDER: ("signature",),
    Caller.ANYONE: (),
}
"""The alternative security schemes of each caller."""

SCHEMES = {
    "community": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of one community, created by `regulars token create --community SLUG`. It has all permits of "
        "this API, or exactly those listed with `--permit`. With `--member ID` it is bound to that profile.\n\n"
        "Permits:\n\n" + "\n".join(f"- `{name}`: {meaning}" for name, meaning in permits.PROFILE_API.items()),
    },
    "member": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A member token, created by POST /id/api/v1/auth/token.",
    },
    "signature": {
        "type": "http",
        "scheme": "signature",
        "description": "The signature of the provider, by the key that was set with `regulars provider set`.",
    },
    "reporting": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token with permits, created by `regulars token create --organization NAME --permit 'Reporting:*'`.",
    },
    "link": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "The signature in the `url` of an export, together with `expires`. No token is needed.",
    },
    "client": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Client-Authorization",
        "description": "The same token in another header.",
    },
}


def operation_security(access: Access) -> dict[str, Any]:
    """The security of an operation; the roles of its security schemes, and `x-permit`, are its permit."""
    roles = [access.permit] if access.permit else []
    described: dict[str, Any] = {"security": [{scheme: roles} for scheme in _SCHEMES_OF[access.caller]]}
    if not access.permit or access.caller is Caller.MEMBER:
        return described
    text = f"Requires the permit {' or '.join(f'`{each}`' for each in access.permits)}."
    if access.subject:
        text += " A token that is bound to a profile may call it for that profile."
    return {**described, "description": text, "x-permit": access.permit}
