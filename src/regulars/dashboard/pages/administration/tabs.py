"""What the pages of administration share: their tabs, and forms whose errors are shown beside the fields."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from regulars.auth import permits
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.page import Page, PageHandler, Section, View
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

PATH = "/administration"

TABS = (
    (PATH, translatable("Customers"), permits.ADMIN_COMMUNITY_READ),
    (f"{PATH}/users", translatable("Users"), permits.ADMIN_USER_READ),
    (f"{PATH}/roles", translatable("Roles"), permits.ADMIN_USER_READ),
    (f"{PATH}/tokens", translatable("Tokens"), permits.ADMIN_TOKEN_READ),
    (f"{PATH}/access", translatable("Why denied?"), permits.ADMIN_ACCESS_EXPLAIN),
    (f"{PATH}/webhooks", translatable("Webhooks"), permits.ADMIN_DELIVERY_READ),
    (f"{PATH}/jobs", translatable("Jobs"), permits.ADMIN_JOB_READ),
    (f"{PATH}/privacy", translatable("Privacy"), permits.PROFILE_ERASE),
    (f"{PATH}/audit", translatable("Audit log"), permits.ADMIN_AUDIT_READ),
)
"""The path, the title and the permit of each tab."""

_SHOWN_IN_FORM = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""Errors of the API that a form shows; others have a page of their own."""


@dataclass(frozen=True, slots=True)
class FormOutcome:
    """The response to a form, or why it was refused: a sentence, and texts by field."""

    data: Any = None
    problem: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    @property
    def is_done(self) -> bool:
        """Whether the form was accepted."""
        return not self.problem


async def attempt(visit: Visit, call: Awaitable[Any]) -> FormOutcome:
    """Awaits a call of the API for a form. Raises ApiCallError for errors that concern no form."""
    try:
        answer = await call
    except ApiCallError as error:
        if error.status not in _SHOWN_IN_FORM:
            raise
        errors = {
            name: " ".join(map(str, texts)) if isinstance(texts, list) else str(texts)
            for name, texts in dict(error.details).items()
        }
        problem = error.message
        if error.status == HTTPStatus.CONFLICT:
            problem = visit.locale.gettext("This form was sent before. Nothing was changed by sending it again.")
        return FormOutcome(None, problem or str(error.status), errors, error.status)
    return FormOutcome(answer["data"] if isinstance(answer, dict) and "data" in answer else answer)


def view(visit: Visit, name: str, outcome: FormOutcome | None = None, **values: Any) -> View:
    """A page of administration, with what a form on it has led to."""
    outcome = outcome or FormOutcome()
    tabs = [
        (path, visit.locale.gettext(title), path == _tab(visit))
        for path, title, permit in TABS
        if visit.user.may(permit)
    ]
    shown = {
        "tabs": tabs,
        "problem": outcome.problem,
        "errors": outcome.errors,
        "zone": (visit.clubs or visit.all_clubs)[0],
        "may": visit.user.may,
        "permits": permits,
        **values,
    }
    return View(f"administration/{name}.html", shown, outcome.status)


def _tab(visit: Visit) -> str:
    parts = visit.url_path.split("/")
    return "/".join(parts[:3])


def page(path: str, title: str, handler: PageHandler, permit: str, **more: Any) -> Page:
    """A page of administration."""
    declared = {"section": Section.ADMINISTRATION, "permit": permit, "needs_one_club": False, **more}
    return Page(f"{PATH}{path}", title, handler, **declared)


def chosen(visit: Visit, name: str) -> list[str]:
    """The values of a field with several, without empty ones."""
    return [each for each in visit.form_lists.get(name, ()) if each]


def number(text: str) -> int | None:
    """A whole number in a field; None for other text."""
    stripped = text.strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 10 else None
