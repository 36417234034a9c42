"""Tokens: list, create, rotate, revoke. A secret is shown once, on the page that follows the form."""

from typing import Any

from regulars.auth import permits
from regulars.dashboard.page import Answer, Redirect
from regulars.dashboard.pages.administration.roles import parse_grant, permit_groups
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, number, page, view
from regulars.dashboard.visit import Visit

TOKENS = f"{PATH}/tokens"
STATES = ("valid", "expired", "revoked")


async def show_tokens(visit: Visit) -> Answer:
    """The tokens, by default the valid ones."""
    state = visit.query.get("state", "valid")
    listed = (await visit.api.get("/v1/admin/tokens"))["data"]
    counts = {each: sum(token["state"] == each for token in listed) for each in STATES}
    state = state if state in counts else "valid"
    return view(visit, "tokens", tokens=[each for each in listed if each["state"] == state], counts=counts, state=state)


async def create_token(visit: Visit) -> Answer:
    """The form of a new token, then its secret, once."""
    token: dict[str, Any] = {
        "name": "", "permits": [], "customers": None, "community": None, "expires_in_days": 365,
    }  # fmt: skip
    outcome = FormOutcome()
    if visit.is_post:
        days = visit.form.get("expires_in_days", "").strip()
        token = {
            "name": visit.form.get("name", "").strip(),
            **parse_grant(visit),
            "community": visit.form.get("community") or None,
            "expires_in_days": number(days) or 0 if days else None,
        }
        outcome = await attempt(visit, visit.api.post("/v1/admin/tokens", token))
        if outcome.is_done:
            return view(visit, "secret", outcome, created=outcome.data, kind="token")
    return view(visit, "token_new", outcome, token=token, role=token, groups=await permit_groups(visit))


async def change_token(visit: Visit) -> Answer:
    """One token, with forms to rotate and to revoke it."""
    token_id = visit.path["id"]
    listed = {str(each["id"]): each for each in (await visit.api.get("/v1/admin/tokens"))["data"]}
    if token_id not in listed:
        return Redirect(visit.url(TOKENS), visit.locale.gettext("There is no token with this number."))
    outcome = FormOutcome()
    if visit.is_post and visit.form.get("action") == "rotate":
        hours = number(visit.form.get("overlap_hours", "")) or 0
        outcome = await attempt(visit, visit.api.post(f"/v1/admin/tokens/{token_id}/rotate", {"overlap_hours": hours}))
        if outcome.is_done:
            return view(visit, "secret", outcome, created=outcome.data, kind="token")
    elif visit.is_post:
        outcome = await attempt(visit, visit.api.delete(f"/v1/admin/tokens/{token_id}"))
        if outcome.is_done:
            return Redirect(visit.url(TOKENS), visit.locale.gettext("The token is revoked."))
    return view(visit, "token", outcome, token=listed[token_id])


PAGES = (
    page("/tokens", "Tokens", show_tokens, permits.ADMIN_TOKEN_READ),
    page("/tokens/new", "New token", create_token, permits.ADMIN_TOKEN_WRITE, handles_forms=True),
    page("/tokens/{id}", "Token", change_token, permits.ADMIN_TOKEN_WRITE, handles_forms=True),
)
