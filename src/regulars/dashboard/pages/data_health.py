"""Data health: what needs attention, the last sale of each store, rejected rows, freshness, backlogs and failed work."""

from typing import Any

from regulars.auth import permits
from regulars.dashboard.page import Answer, Page, Section, View
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

PROBLEMS = {
    "stores": translatable("Stores have sold nothing for longer than usual."),
    "loads": translatable("Files had rows that were rejected."),
    "compaction": translatable("Many changes wait to be added to counts."),
    "refresh": translatable("Values of members are out of date."),
    "verify": translatable("The last verification found differences."),
    "webhooks": translatable("A webhook was disabled, because its deliveries failed."),
    "segments": translatable("A segment can't be evaluated any more."),
}
NEWEST = {
    "purchases": translatable("Purchase"),
    "profiles": translatable("New member"),
    "sending_events": translatable("Event of a message"),
    "link_visits": translatable("Visit of a link"),
    "offer_events": translatable("Event of an offer"),
}
WAITING = {"members": translatable("Changes of members"), "purchases": translatable("Purchases")}


async def show_data_health(visit: Visit) -> Answer:
    """The state of the data of the selected clubs."""
    health = (await visit.api.get("/v1/admin/health", customer=None if visit.club is None else visit.club.slug))["data"]
    clubs = {each.slug: each for each in visit.all_clubs}
    selected = {each.slug for each in visit.clubs}
    customers = [
        (clubs[each["customer"]], _with_counts(each)) for each in health["customers"] if each["customer"] in selected
    ]
    texts = {
        name: {key: visit.locale.gettext(text) for key, text in names.items()}
        for name, names in (("problem_texts", PROBLEMS), ("newest_texts", NEWEST), ("waiting_texts", WAITING))
    }
    return View("data_health/data_health.html", {"health": health, "customers": customers, **texts})


def _with_counts(customer: dict[str, Any]) -> dict[str, Any]:
    late = [each for each in customer["stores"] if each["status"] == "late"]
    others = [each for each in customer["stores"] if each["status"] != "late"]
    rejected = sum(each["rejected"] for each in customer["rejected_loads"])
    return {**customer, "late": late, "others": others, "rejected_rows": rejected}


PAGES = (
    Page(
        "/data-health",
        "Data health",
        show_data_health,
        section=Section.DATA_HEALTH,
        is_entry=True,
        permit=permits.ADMIN_HEALTH_READ,
        needs_one_club=False,
    ),
)
