"""Signing in and out, the language, and one's own password."""

from http import HTTPStatus

from regulars.auth import audit_log, passwords, sessions, sign_in, users
from regulars.auth.audit_log import AuditEntry, actor_of
from regulars.auth.audit_rules import AuditAction
from regulars.auth.errors import AccessDenied
from regulars.auth.identity_provider import parse_attempt
from regulars.auth.sessions import Session
from regulars.auth.tokens import find_by_secret, is_well_formed
from regulars.auth.users import User
from regulars.core.errors import ValidationError
from regulars.dashboard.page import Answer, Page, Redirect, View
from regulars.dashboard.site import SIGN_IN_PATH, local_target
from regulars.dashboard.translations import locales
from regulars.dashboard.visit import Visit

CALLBACK_PATH = f"{SIGN_IN_PATH}/callback"
"""Where an identity provider sends people back to; it has to be registered there."""


async def show_sign_in(visit: Visit) -> Answer:
    """The form to sign in with an e-mail address and a password, or with a token."""
    if not visit.is_post:
        if visit.user.session is not None:
            return Redirect(local_target(visit.query.get("next", "")))
        return _form(visit)
    try:
        secret = await (_enter_token(visit) if visit.form.get("token") else _enter_password(visit))
    except AccessDenied as denied:
        return _form(visit, _problem(visit, denied), denied.status)
    return Redirect(local_target(visit.form.get("next", "")), session_secret=secret)


def _problem(visit: Visit, denied: AccessDenied) -> str:
    if denied.status == HTTPStatus.TOO_MANY_REQUESTS:
        return visit.locale.gettext("Too many failed sign-ins. Try again in a quarter of an hour.")
    if visit.form.get("token"):
        return visit.locale.gettext("The token is unknown, revoked or expired.")
    return visit.locale.gettext("The e-mail address or the password is wrong.")


def _form(visit: Visit, problem: str = "", status: int = 200) -> View:
    values = {
        "problem": problem,
        "email": visit.form.get("email", "")[: users.MAX_LENGTH],
        "next": visit.form.get("next", visit.query.get("next", "")),
        "provider": visit.app.identity_provider,
        "by_token": bool(visit.form.get("token")) or "token" in visit.query,
    }
    return View("sign_in.html", values, status)


async def _enter_password(visit: Visit) -> str:
    user = await sign_in.authenticate_user(
        visit.app.database,
        visit.app.worker_threads.run,
        visit.form.get("email", ""),
        visit.form.get("password", ""),
        visit.address,
    )
    return await _begin_session(visit, user)


async def _begin_session(visit: Visit, user: User) -> str:
    return await sessions.create(
        visit.app.database,
        user.organization_id,
        user_id=user.id,
        name=user.name,
        operation=_operation(visit),
        address=visit.address,
        user_agent=visit.user_agent,
    )


def _operation(visit: Visit) -> str:
    return f"{visit.method} {visit.url_path}"


async def _enter_token(visit: Visit) -> str:
    """Begins a session with the permits of a token. A member's token and one that is bound to a profile have no pages."""
    text = visit.form["token"].strip()
    database = visit.app.database
    token = None
    if is_well_formed(text):
        async with database.unscoped_connection() as connection:
            token = await find_by_secret(connection, text)
    if token is None or not token.is_valid_at(visit.now) or token.profile_id is not None:
        raise AccessDenied(401, "The token is unknown, revoked or expired.")
    return await sessions.create(
        database,
        token.organization_id,
        token_id=token.id,
        operation=_operation(visit),
        address=visit.address,
        user_agent=visit.user_agent,
    )


async def go_to_provider(visit: Visit) -> Answer:
    """Leads to the identity provider."""
    provider = visit.app.identity_provider
    if not provider.is_configured:
        return Redirect(SIGN_IN_PATH)
    try:
        url, attempt = await provider.begin(_callback_url(visit), local_target(visit.query.get("next", "")))
    except AccessDenied as denied:
        return _form(visit, str(denied), denied.status)
    return Redirect(url, attempt=attempt.to_cookie())


async def return_from_provider(visit: Visit) -> Answer:
    """Begins a session for the person whom the identity provider has recognised."""
    provider = visit.app.identity_provider
    if not provider.is_configured:
        return Redirect(SIGN_IN_PATH)
    attempt = parse_attempt(visit.attempt)
    state, code = visit.query.get("state", ""), visit.query.get("code", "")
    try:
        user = await provider.finish(visit.app.database, _callback_url(visit), attempt, state, code)
    except AccessDenied as denied:
        return _form(visit, str(denied), denied.status)
    secret = await _begin_session(visit, user)
    return Redirect(local_target("" if attempt is None else attempt.next), session_secret=secret, attempt="")


def _callback_url(visit: Visit) -> str:
    return f"{visit.server_url}{CALLBACK_PATH}"


async def sign_out(visit: Visit) -> Answer:
    """Ends the session."""
    if not visit.is_post:
        return Redirect("/")
    if visit.user.session is not None:
        await sessions.end(visit.app.database, visit.user.session, operation=_operation(visit), address=visit.address)
    return Redirect(SIGN_IN_PATH, session_secret="")


async def choose_language(visit: Visit) -> Answer:
    """Remembers a language and shows the same page in it."""
    code = visit.path["code"]
    return Redirect(local_target(visit.query.get("next", "")), language=code if code in locales() else "en")


async def show_account(visit: Visit) -> Answer:
    """One's own name, role and sessions, and a form to change the password, which ends all other sessions."""
    session = visit.user.session
    if not visit.is_post or session is None or session.principal.user_id is None:
        return View("account.html", {"errors": {}, "min_length": passwords.MIN_LENGTH})
    try:
        secret = await _change_password(visit, session, session.principal.user_id)
    except ValidationError as error:
        return View("account.html", {"errors": error.errors, "min_length": passwords.MIN_LENGTH}, 422)
    return Redirect("/account", visit.locale.gettext("Your password is changed."), session_secret=secret)


async def _change_password(visit: Visit, session: Session, user_id: int) -> str:
    """Changes the password and returns the secret of a new session. Raises ValidationError."""
    database, organization_id = visit.app.database, session.organization_id
    new = visit.form.get("new_password", "")
    passwords.require_valid(new)
    if new != visit.form.get("new_password_again", ""):
        raise ValidationError({"new_password_again": "is not the same as the new password."})
    run = visit.app.worker_threads.run
    try:
        # Counts wrong passwords as a sign-in does.
        email, password = session.email, visit.form.get("password", "")
        user = await sign_in.authenticate_user(database, run, email, password, visit.address)
    except AccessDenied as denied:
        raise ValidationError({"current": str(denied)}) from None
    hashed = await run(passwords.hash_password, new)
    async with database.organization_transaction(organization_id) as connection:
        await users.set_password(connection, organization_id, user_id, hashed, visit.now)
        entry = AuditEntry(
            organization_id,
            visit.now,
            actor_of(session.principal),
            AuditAction.ACCESS,
            "user",
            _operation(visit),
            [str(user_id)],
            address=visit.address,
            details={"changed": ["password"]},
        )
        await audit_log.insert(connection, entry)
    return await _begin_session(visit, user)


PAGES = (
    Page(SIGN_IN_PATH, "Sign in", show_sign_in, handles_forms=True, is_public=True, needs_one_club=False),
    Page(f"{SIGN_IN_PATH}/provider", "Sign in", go_to_provider, is_public=True, needs_one_club=False),
    Page(CALLBACK_PATH, "Sign in", return_from_provider, is_public=True, needs_one_club=False),
    Page("/sign-out", "Sign out", sign_out, handles_forms=True, is_public=True, needs_one_club=False),
    Page("/language/{code}", "Language", choose_language, is_public=True, needs_one_club=False),
    Page("/account", "Your account", show_account, handles_forms=True, needs_one_club=False),
)
