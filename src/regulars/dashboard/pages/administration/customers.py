"""Customers with their settings, and the limits of the organization."""

from regulars.auth import permits
from regulars.auth.organizations import MAX_VALUES
from regulars.dashboard.page import Answer, Redirect, Section
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, number, page, view
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

LIMITS = (
    (
        "min_cell_size",
        translatable("Smallest number of members that reports show"),
        translatable("Smaller groups are hidden."),
    ),
    (
        "reporting_burst",
        translatable("Reports: tokens in a burst"),
        translatable("What a customer may spend without waiting."),
    ),
    (
        "reporting_rate_per_second",
        translatable("Reports: tokens per second"),
        translatable("What is added every second."),
    ),
    ("general_burst", translatable("Profile API: requests in a burst"), ""),
    ("general_rate_per_second", translatable("Profile API: requests per second"), ""),
)
"""The limits in their order, each with its label and hint."""


async def show_customers(visit: Visit) -> Answer:
    """The customers that the person has access to, and the limits with a form to change them."""
    outcome = FormOutcome()
    if visit.is_post:
        outcome = await _set_limits(visit)
        if outcome.is_done:
            return Redirect(visit.url(PATH), visit.locale.gettext("The limits are changed."))
    customers = (await visit.api.get("/v1/admin/communities"))["data"]
    organization = None
    if visit.user.may(permits.ADMIN_ORGANIZATION_READ):
        organization = (await visit.api.get("/v1/admin/organization"))["data"]
    return view(visit, "customers", outcome, customers=customers, organization=organization, limits=LIMITS)


async def _set_limits(visit: Visit) -> FormOutcome:
    limits: dict[str, int | None] = {}
    for name in MAX_VALUES:
        text = visit.form.get(name, "").strip()
        value = number(text)
        if text and value is None:
            problem = visit.locale.gettext("This must be a whole number.")
            return FormOutcome(None, problem, {name: problem}, 422)
        limits[name] = value
    return await attempt(visit, visit.api.put("/v1/admin/organization/limits", limits))


PAGES = (
    page(
        "",
        "Administration",
        show_customers,
        permits.ADMIN_COMMUNITY_READ,
        section=Section.ADMINISTRATION,
        is_entry=True,
        handles_forms=True,
    ),
)
