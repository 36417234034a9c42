"""Users and their sessions over HTTP: list, create, change role, deactivate, reset password, end sessions."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from regulars.api.admin.declarations import (
    FLAG,
    INSTANT,
    INSTANT_OR_NULL,
    INTEGER,
    INTEGER_OR_NULL,
    TEXT,
    endpoint,
    many,
    not_found,
    one,
    organization_id,
)
from regulars.api.admin.roles import describe_role, find_manageable, is_visible
from regulars.auth import audit_rules, passwords, permits, roles, sessions, users
from regulars.auth.roles import Role
from regulars.auth.users import NewUser, User
from regulars.core.errors import field_error
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope

_SELF = "is your own user, which another administrator has to change, so that you do not lock yourself out"


class UserIn(msgspec.Struct, frozen=True):
    """A user to create, who gets a generated password; without `has_password` the user signs in by an identity provider."""

    email: Annotated[str, msgspec.Meta(max_length=users.MAX_LENGTH)]
    name: Annotated[str, msgspec.Meta(max_length=users.MAX_LENGTH)]
    role_id: int
    has_password: bool = True


class UserUpdateIn(msgspec.Struct, frozen=True):
    """Changes of a user; absent fields are unchanged."""

    role_id: int | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


def _describe(user: User, role: Role) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": {"id": role.id, "name": role.name},
        "is_active": user.is_active,
        "has_password": user.password_hash is not None,
        "created_at": user.created_at,
        "signed_in_at": user.signed_in_at,
        "deactivated_at": user.deactivated_at,
    }


async def _roles(context: RequestContext, connection: Any) -> Mapping[int, Role]:
    found = await roles.list_all(connection, organization_id(context.principal))
    return {each.id: each for each in found if is_visible(context, each)}


async def _list(context: RequestContext, connection: Any) -> dict[str, object]:
    by_id = await _roles(context, connection)
    found = await users.list_all(connection, organization_id(context.principal))
    return data_envelope([_describe(each, by_id[each.role_id]) for each in found if each.role_id in by_id])


async def _find(context: RequestContext, connection: Any) -> tuple[User, Role]:
    """The user in the path, with the role. Raises NotFoundError, also for users that the caller may not see."""
    user_id, by_id = context.path_integer("id"), await _roles(context, connection)
    user = None if user_id >= 2**31 else await users.find(connection, organization_id(context.principal), user_id)
    if user is None or user.role_id not in by_id:
        raise not_found("user", user_id)
    return user, by_id[user.role_id]


async def _find_manageable(context: RequestContext, connection: Any) -> tuple[User, Role]:
    user, role = await _find(context, connection)
    await find_manageable(context, connection, role.id)
    return user, role


async def _read(context: RequestContext, connection: Any) -> dict[str, object]:
    user, role = await _find(context, connection)
    listed = await sessions.list_active(connection, organization_id(context.principal), context.now)
    own = [describe_session(each) for each in listed if each.user_id == user.id]
    return data_envelope({**_describe(user, role), "role": describe_role(role), "sessions": own})


async def _create(context: RequestContext, connection: Any) -> dict[str, object]:
    body: UserIn = context.body
    role = await find_manageable(context, connection, body.role_id)
    password = passwords.generate() if body.has_password else None
    hashed = None if password is None else await context.app.worker_threads.run(passwords.hash_password, password)
    new = NewUser(body.email, body.name, role.id, hashed)
    user = await users.create(connection, organization_id(context.principal), new, context.now)
    context.audit.details |= {"role": role.name}
    return data_envelope({**_describe(user, role), "password": password})


async def _update(context: RequestContext, connection: Any) -> dict[str, object]:
    body: UserUpdateIn = context.body
    user, role = await _find_manageable(context, connection)
    owner = organization_id(context.principal)
    if user.id == context.principal.user_id:
        raise field_error("id", _SELF)
    if body.role_id is not UNSET and body.role_id != role.id:
        new_role = await find_manageable(context, connection, body.role_id)
        await users.change_role(connection, owner, user.id, new_role.id, context.now)
        context.audit.details["role"] = {"from": role.name, "to": new_role.name}
        role = new_role
    if body.is_active is not UNSET and body.is_active != user.is_active:
        await users.set_active(connection, owner, user.id, context.now, is_active=body.is_active)
        context.audit.details["is_active"] = body.is_active
    changed = await users.find(connection, owner, user.id)
    assert changed is not None  # noqa: S101 - it was read in the same transaction
    return data_envelope(_describe(changed, role))


async def _reset_password(context: RequestContext, connection: Any) -> dict[str, object]:
    user, role = await _find_manageable(context, connection)
    password = passwords.generate()
    hashed = await context.app.worker_threads.run(passwords.hash_password, password)
    await users.set_password(connection, organization_id(context.principal), user.id, hashed, context.now)
    return data_envelope({**_describe(user, role), "password": password})


async def _end_user_sessions(context: RequestContext, connection: Any) -> dict[str, object]:
    user, _ = await _find_manageable(context, connection)
    ended = await users.end_sessions(connection, organization_id(context.principal), user.id, context.now)
    context.audit.details["sessions"] = ended
    return data_envelope({"ended": ended})


# Sessions ---------------------------------------------------------------------------------------------------------


def describe_session(session: sessions.ListedSession) -> dict[str, object]:
    """A session as responses show it."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "token_id": session.token_id,
        "name": session.name,
        "address": session.address,
        "user_agent": session.user_agent,
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "expires_at": session.expires_at,
    }


async def _visible_sessions(context: RequestContext, connection: Any) -> list[sessions.ListedSession]:
    owner = organization_id(context.principal)
    by_id = await _roles(context, connection)
    visible = {each.id for each in await users.list_all(connection, owner) if each.role_id in by_id}
    listed = await sessions.list_active(connection, owner, context.now)
    # Sessions of tokens belong to the organization as a whole.
    is_limited = context.principal.customers is not None
    return [each for each in listed if each.user_id in visible or (each.user_id is None and not is_limited)]


async def _list_sessions(context: RequestContext, connection: Any) -> dict[str, object]:
    return data_envelope([describe_session(each) for each in await _visible_sessions(context, connection)])


async def _end_session(context: RequestContext, connection: Any) -> None:
    session_id = context.path_integer("id")
    chosen = [each for each in await _visible_sessions(context, connection) if each.id == session_id]
    if not chosen:
        raise not_found("session", session_id)
    if chosen[0].user_id is not None:
        user = await users.find(connection, organization_id(context.principal), chosen[0].user_id)
        assert user is not None  # noqa: S101 - sessions are deleted with their user
        await find_manageable(context, connection, user.role_id)
    context.audit.details |= {"user": chosen[0].user_id, "token": chosen[0].token_id}
    await sessions.revoke(connection, organization_id(context.principal), session_id, context.now)


_ROLE = {"type": "object", "properties": {"id": INTEGER, "name": TEXT}, "required": ["id", "name"]}
_USER = {
    "id": INTEGER,
    "email": TEXT,
    "name": TEXT,
    "role": _ROLE,
    "is_active": FLAG,
    "has_password": FLAG,
    "created_at": INSTANT,
    "signed_in_at": INSTANT_OR_NULL,
    "deactivated_at": INSTANT_OR_NULL,
}
_SESSION = {
    "id": INTEGER,
    "user_id": INTEGER_OR_NULL,
    "token_id": INTEGER_OR_NULL,
    "name": TEXT,
    "address": TEXT,
    "user_agent": TEXT,
    "created_at": INSTANT,
    "seen_at": INSTANT,
    "expires_at": INSTANT,
}
_PASSWORD = {"type": ["string", "null"], "description": "Can't be shown again."}
_WITH_PASSWORD = one("UserWithPassword", {**_USER, "password": _PASSWORD})

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint("GET", "/users", "List users", _list, permit=permits.ADMIN_USER_READ, schema=many("User", _USER)),
    endpoint(
        "POST",
        "/users",
        "Create a user; only this response contains the password",
        _create,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CREATE_USER,
        request_model=UserIn,
        request_example={"email": "ada@shop.example", "name": "Ada", "role_id": 3},
        status=201,
        schema=_WITH_PASSWORD,
    ),
    endpoint(
        "GET",
        "/users/{id}",
        "Get a user with the permits of the role and the sessions",
        _read,
        permit=permits.ADMIN_USER_READ,
        schema=one(
            "UserDetails",
            {
                **_USER,
                "role": {"type": "object"},
                "sessions": {
                    "type": "array",
                    "items": {"type": "object", "properties": _SESSION, "required": list(_SESSION)},
                },
            },
        ),
    ),
    endpoint(
        "PUT",
        "/users/{id}",
        "Change the role of a user, deactivate or activate the user",
        _update,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CHANGE_USER,
        request_model=UserUpdateIn,
        request_example={"role_id": 4, "is_active": True},
        schema=one("User", _USER),
    ),
    endpoint(
        "POST",
        "/users/{id}/password",
        "Replace the password of a user and end the sessions; only this response contains the password",
        _reset_password,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CHANGE_USER,
        schema=_WITH_PASSWORD,
    ),
    endpoint(
        "DELETE",
        "/users/{id}/sessions",
        "End all sessions of a user",
        _end_user_sessions,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.CHANGE_USER,
        schema=one("EndedSessions", {"ended": INTEGER}),
    ),
    endpoint(
        "GET",
        "/sessions",
        "List the sessions that have not ended",
        _list_sessions,
        permit=permits.ADMIN_USER_READ,
        schema=many("Session", _SESSION),
    ),
    endpoint(
        "DELETE",
        "/sessions/{id}",
        "End a session",
        _end_session,
        permit=permits.ADMIN_USER_WRITE,
        audit=audit_rules.END_SESSION,
        status=204,
    ),
)
