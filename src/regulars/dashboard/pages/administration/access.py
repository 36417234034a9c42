"""Why was I denied? The steps of access control for a user or a token and a request."""

from typing import Any

from regulars.auth import permits
from regulars.dashboard.page import Answer
from regulars.dashboard.pages.administration.tabs import FormOutcome, attempt, number, page, view
from regulars.dashboard.visit import Visit


async def explain_access(visit: Visit) -> Answer:
    """The form with who and what, and the steps. The question is in the link, so that it can be sent to someone."""
    users = await _listed(visit, "users", permits.ADMIN_USER_READ)
    tokens = [each for each in await _listed(visit, "tokens", permits.ADMIN_TOKEN_READ) if each["state"] == "valid"]
    reports = sorted(visit.app.reports)
    outcome, explanation = FormOutcome(), None
    kind, _, identifier = visit.query.get("who", "").partition("-")
    if kind in ("user", "token"):
        outcome = await attempt(visit, visit.api.post("/v1/admin/access/explain", _question(visit, kind, identifier)))
        explanation = outcome.data
    return view(
        visit,
        "access",
        outcome,
        users=users,
        tokens=tokens,
        reports=reports,
        explanation=explanation,
        query=visit.query,
    )


async def _listed(visit: Visit, name: str, permit: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await visit.api.get(f"/v1/admin/{name}"))["data"] if visit.user.may(permit) else []
    return listed


def _question(visit: Visit, kind: str, identifier: str) -> dict[str, Any]:
    path = visit.query.get("path", "").strip()
    what = (
        {"method": visit.query.get("method", "GET"), "path": path}
        if path
        else {"report": visit.query.get("report", "")}
    )
    return {f"{kind}_id": number(identifier) or 0, **what, "customer": visit.query.get("customer") or None}


PAGES = (page("/access", "Why denied?", explain_access, permits.ADMIN_ACCESS_EXPLAIN),)
