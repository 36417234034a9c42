"""Users: list, create, change the role, deactivate, reset the password, end sessions."""

from typing import Any

from regulars.auth import permits
from regulars.dashboard.page import Answer, Redirect
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, number, page, view
from regulars.dashboard.visit import Visit

USERS = f"{PATH}/users"


async def show_users(visit: Visit) -> Answer:
    """The users, and the sessions that have not ended."""
    users = (await visit.api.get("/v1/admin/users"))["data"]
    sessions = (await visit.api.get("/v1/admin/sessions"))["data"]
    return view(visit, "users", users=users, sessions=sessions)


async def create_user(visit: Visit) -> Answer:
    """The form of a new user, then the password, once."""
    roles = (await visit.api.get("/v1/admin/roles"))["data"]
    user: dict[str, Any] = {"email": "", "name": "", "role_id": None}
    outcome = FormOutcome()
    if visit.is_post:
        user = {
            "email": visit.form.get("email", "").strip(),
            "name": visit.form.get("name", "").strip(),
            "role_id": number(visit.form.get("role_id", "")) or 0,
        }
        outcome = await attempt(visit, visit.api.post("/v1/admin/users", user))
        if outcome.is_done:
            return view(visit, "secret", outcome, created=outcome.data, kind="user")
    return view(visit, "user_new", outcome, user=user, roles=roles)


async def change_user(visit: Visit) -> Answer:
    """One user with the sessions, and what an administrator may change."""
    path = f"/v1/admin/users/{visit.path['id']}"
    outcome = FormOutcome()
    if visit.is_post:
        action = visit.form.get("action", "")
        if action == "password":
            outcome = await attempt(visit, visit.api.post(f"{path}/password", {}))
            if outcome.is_done:
                return view(visit, "secret", outcome, created=outcome.data, kind="password")
        elif action == "sessions":
            outcome = await attempt(visit, visit.api.delete(f"{path}/sessions"))
        elif action in ("activate", "deactivate"):
            outcome = await attempt(visit, visit.api.put(path, {"is_active": action == "activate"}))
        else:
            outcome = await attempt(visit, visit.api.put(path, {"role_id": number(visit.form.get("role_id", "")) or 0}))
        if outcome.is_done:
            return Redirect(visit.url(visit.url_path), visit.locale.gettext("The user is changed."))
    user = (await visit.api.get(path))["data"]
    roles = (await visit.api.get("/v1/admin/roles"))["data"]
    is_self = visit.user.principal is not None and visit.user.principal.user_id == user["id"]
    return view(visit, "user", outcome, user=user, roles=roles, is_self=is_self)


async def end_session(visit: Visit) -> Answer:
    """Ends one session."""
    if visit.is_post:
        outcome = await attempt(visit, visit.api.delete(f"/v1/admin/sessions/{visit.path['id']}"))
        notice = visit.locale.gettext("The session has ended.") if outcome.is_done else outcome.problem
        return Redirect(visit.url(USERS), notice)
    return Redirect(visit.url(USERS))


PAGES = (
    page("/users", "Users", show_users, permits.ADMIN_USER_READ),
    page("/users/new", "New user", create_user, permits.ADMIN_USER_WRITE, handles_forms=True),
    page("/users/{id}", "User", change_user, permits.ADMIN_USER_READ, handles_forms=True),
    page("/sessions/{id}", "Session", end_session, permits.ADMIN_USER_WRITE, handles_forms=True),
)
