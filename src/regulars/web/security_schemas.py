"""Who may call an operation, as the OpenAPI document says it: security schemes and permits."""

from typing import Any

from regulars.auth import permits
from regulars.auth.authorization import Access, Caller

_SCHEMES_OF: dict[Caller, tuple[str, ...]] = {
    Caller.COMMUNITY: ("community",),
    Caller.MEMBER: ("member",),
    Caller.REPORTING: ("reporting", "client"),
    Caller.PROVIDER: ("signature",),
    Caller.ANYONE: (),
}
"""The names of the security schemes that a caller may use, any of them."""

SCHEMES = {
    "community": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of one community: `regulars token create --community SLUG`, which may do everything "
        "here, or with `--permit` exactly what is named. With `--member ID` it reaches that one profile.\n\n"
        "Permits:\n\n" + "\n".join(f"- `{name}`: {meaning}" for name, meaning in permits.PROFILE_API.items()),
    },
    "member": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A member's own token: POST /id/api/v1/auth/token.",
    },
    "signature": {
        "type": "http",
        "scheme": "signature",
        "description": "The provider's own signature, by a key that `regulars provider set` was given.",
    },
    "reporting": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token with permits: `regulars token create --organization NAME --permit 'Reporting:*'`.",
    },
    "client": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Client-Authorization",
        "description": "The same token, in a header of its own.",
    },
}


def operation_security(access: Access) -> dict[str, Any]:
    """Who may call an operation. The roles of its security are permits, as `x-permit` is."""
    roles = [access.permit] if access.permit else []
    described: dict[str, Any] = {"security": [{scheme: roles} for scheme in _SCHEMES_OF[access.caller]]}
    if not access.permit or access.caller is Caller.MEMBER:
        return described
    text = f"Needs the permit `{access.permit}`."
    if access.subject:
        text += " A token that is bound to a profile may call it for that profile."
    return {**described, "description": text, "x-permit": access.permit}
