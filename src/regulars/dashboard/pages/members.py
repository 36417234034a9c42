"""Finds members by anything that a person knows of them."""

from typing import Any

from regulars.auth import permits
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.page import Answer, Page, Redirect, Section, View
from regulars.dashboard.visit import Visit

FIND_PATH = "/members"
MAX_SHOWN = 50
_EXACT = frozenset({"id", "member_id", "external_id", "mobile_phone", "identity", "receipt"})
"""What leads to one member only."""


async def find_members(visit: Visit) -> Answer:
    """A form to find members, and the members that are found; the only one that has an id or a number is shown."""
    text = visit.query.get("q", "").strip()
    values: dict[str, Any] = {
        "text": text,
        "found": None,
        "has_more": False,
        "error": "",
        "is_denied": False,
        "is_personal": visit.user.may(permits.PROFILE_READ),
        "max_shown": MAX_SHOWN,
    }
    if not text:
        return View("members/find.html", values)
    try:
        answer = await visit.api.get("/api/v3/profiles/find", q=text, limit=MAX_SHOWN)
    except ApiCallError as error:
        # A token without the permit for personal data may find members by their ids; the page says so.
        is_denied = error.status == 403 and visit.user.may(permits.PROFILE_AGGREGATIONS)
        if not is_denied and error.status != 422:
            raise
        return View("members/find.html", {**values, "is_denied": is_denied, "error": error.message}, error.status)
    found = answer["data"]
    if len(found) == 1 and _EXACT.intersection(found[0]["matched"]):
        return Redirect(visit.url(f"{FIND_PATH}/{found[0]['id']}"))
    return View("members/find.html", {**values, "found": found, "has_more": answer["meta"]["has_more"]})


PAGES = (
    Page(
        FIND_PATH,
        "Members",
        find_members,
        section=Section.MEMBERS,
        is_entry=True,
        permit=permits.PROFILE_READ,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
    ),
)
