"""Roles: the permits, customers and stores of users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.auth import permits
from regulars.dashboard.page import Answer, Redirect
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, chosen, number, page, view
from regulars.dashboard.visit import Visit

ROLES = f"{PATH}/roles"


@dataclass(frozen=True, slots=True)
class PermitGroup:
    """The permits of one kind of object, that the person may grant; `everything` is the permit that grants them all."""

    name: str
    everything: str
    permits: Sequence[Mapping[str, Any]]


async def permit_groups(visit: Visit) -> list[PermitGroup]:
    """The permits that the person may grant, by kind of object, as forms offer them."""
    listed = (await visit.api.get("/v1/admin/permits"))["data"]
    own = () if visit.user.principal is None else visit.user.principal.permits
    by_group: dict[str, list[Mapping[str, Any]]] = {}
    for each in listed:
        if each["is_grantable"]:
            parts = each["name"].split(":")
            group = "Reporting:Api:Report" if parts[:3] == ["Reporting", "Api", "Report"] else parts[0]
            by_group.setdefault(group, []).append(each)
    return [
        PermitGroup(name, f"{name}:*" if permits.covers(own, f"{name}:*") else "", listed)
        for name, listed in by_group.items()
    ]


def parse_grant(visit: Visit) -> dict[str, Any]:
    """The permits and customers of a form; customers are null if it grants all of them."""
    every = visit.form.get("customers_choice", "all") == "all"
    return {"permits": chosen(visit, "permit"), "customers": None if every else chosen(visit, "customer")}


async def show_roles(visit: Visit) -> Answer:
    """The roles, each with its number of users."""
    roles = (await visit.api.get("/v1/admin/roles"))["data"]
    users = (await visit.api.get("/v1/admin/users"))["data"]
    counts: dict[int, int] = {}
    for each in users:
        counts[each["role"]["id"]] = counts.get(each["role"]["id"], 0) + 1
    return view(visit, "roles", roles=roles, counts=counts)


def _body(visit: Visit) -> dict[str, Any]:
    stores = [value for text in visit.form.get("location_ids", "").split(",") if (value := number(text)) is not None]
    return {"name": visit.form.get("name", "").strip(), **parse_grant(visit), "location_ids": stores or None}


async def create_role(visit: Visit) -> Answer:
    """The form of a new role."""
    role: dict[str, Any] = {"name": "", "permits": [], "customers": None, "location_ids": None}
    outcome = FormOutcome()
    if visit.is_post:
        role = _body(visit)
        outcome = await attempt(visit, visit.api.post("/v1/admin/roles", role))
        if outcome.is_done:
            return Redirect(visit.url(ROLES), visit.locale.gettext("The role is created."))
    return view(visit, "role", outcome, role=role, groups=await permit_groups(visit), is_new=True)


async def change_role(visit: Visit) -> Answer:
    """The form of a role, to change or delete it."""
    role_id = visit.path["id"]
    roles = {str(each["id"]): each for each in (await visit.api.get("/v1/admin/roles"))["data"]}
    if role_id not in roles:
        return Redirect(visit.url(ROLES), visit.locale.gettext("The role does not exist."))
    role, outcome = roles[role_id], FormOutcome()
    if visit.is_post and "delete" in visit.form:
        outcome = await attempt(visit, visit.api.delete(f"/v1/admin/roles/{role_id}"))
        if outcome.is_done:
            return Redirect(visit.url(ROLES), visit.locale.gettext("The role is deleted."))
    elif visit.is_post:
        role = {**role, **_body(visit)}
        outcome = await attempt(visit, visit.api.put(f"/v1/admin/roles/{role_id}", _body(visit)))
        if outcome.is_done:
            return Redirect(visit.url(ROLES), visit.locale.gettext("The role is changed."))
    return view(visit, "role", outcome, role=role, groups=await permit_groups(visit), is_new=False)


PAGES = (
    page("/roles", "Roles", show_roles, permits.ADMIN_USER_READ),
    page("/roles/new", "New role", create_role, permits.ADMIN_USER_WRITE, handles_forms=True),
    page("/roles/{id}", "Role", change_role, permits.ADMIN_USER_WRITE, handles_forms=True),
)
