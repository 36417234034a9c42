"""Security schemes and permits of operations in the OpenAPI document."""

from typing import Any

from regulars.auth import permits
from regulars.auth.authorization import Access, Caller

_SCHEMES_OF: dict[Caller, tuple[str, ...]] = {
    Caller.COMMUNITY: ("community",),
    Caller.MEMBER: ("member",),
    Caller.REPORTING: ("reporting", "client"),
    Caller.ADMINISTRATION: ("administration",),
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
    "administration": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of an organization, created by `regulars token create --organization NAME --permit "
        "'Admin:*'`.\n\nPermits:\n\n"
        + "\n".join(f"- `{name}`: {meaning}" for name, meaning in permits.ADMIN_API.items()),
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
    is_named = access.permit and access.caller is not Caller.MEMBER
    return {**described, "x-permit": access.permit} if is_named else described


def access_description(access: Access) -> str:
    """Who may call an operation, in a sentence."""
    match access.caller:
        case Caller.MEMBER:
            return "Requires a member's own token, created by POST /id/api/v1/auth/token."
        case Caller.PROVIDER:
            return "Requires the signature of the provider."
        case Caller.ANYONE:
            return "Requires no token."
    text = f"Requires the permit {' or '.join(f'`{each}`' for each in access.permits)}."
    return f"{text} A token that is bound to a profile may call it for that profile." if access.subject else text
