"""The audit log: filtered, in pages, and as a file."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from regulars.auth import permits
from regulars.auth.audit_log import ACTOR_TYPES
from regulars.auth.audit_rules import AuditAction
from regulars.dashboard.page import Answer, Download
from regulars.dashboard.pages.administration.tabs import attempt, page, view
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

ACTIONS = {
    AuditAction.READ.value: translatable("Read"),
    AuditAction.EXPORT.value: translatable("Exported"),
    AuditAction.IMPORT.value: translatable("Imported"),
    AuditAction.CHANGE.value: translatable("Changed"),
    AuditAction.ERASE.value: translatable("Erased"),
    AuditAction.ACCESS.value: translatable("Changed access"),
    AuditAction.SIGN_IN.value: translatable("Signed in"),
    AuditAction.SIGN_OUT.value: translatable("Signed out"),
    AuditAction.DENY.value: translatable("Was denied"),
}
ACTORS = {
    "user": translatable("Person"),
    "token": translatable("Token"),
    "link": translatable("Signed link"),
    "command": translatable("Command"),
}
_FILTERS = ("actor_type", "actor_id", "action", "subject_type", "subject_id", "customer")


def _params(visit: Visit) -> dict[str, str]:
    """The filters of the link as parameters of the API. Days are those of the club's time zone."""
    params = {name: text.strip() for name in _FILTERS if (text := visit.query.get(name, "")).strip()}
    zone = ZoneInfo((visit.clubs or visit.all_clubs)[0].timezone)
    for name, extra_days in (("from", 0), ("to", 1)):
        text = visit.query.get(name, "")
        try:
            day = date.fromisoformat(text) + timedelta(days=extra_days)
        except (ValueError, OverflowError):
            continue
        params[name] = f"{day.isoformat()}T00:00:00{_offset(day, zone)}"
    return params


def _offset(day: date, zone: ZoneInfo) -> str:
    text = datetime(day.year, day.month, day.day, tzinfo=zone).strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


async def show_audit_log(visit: Visit) -> Answer:
    """A page of entries, newest first."""
    params: dict[str, object] = dict(_params(visit))
    cursor = visit.query.get("cursor") or None
    outcome = await attempt(visit, _entries(visit, {**params, "cursor": cursor, "limit": 50}))
    answer = outcome.data or {"log": [], "next_cursor": None}
    return view(
        visit,
        "audit",
        outcome,
        **answer,
        query=visit.query,
        actions={name: visit.locale.gettext(text) for name, text in ACTIONS.items()},
        actors={name: visit.locale.gettext(ACTORS[name]) for name in ACTOR_TYPES},
        slugs={each.slug: each.name for each in visit.all_clubs},
    )


async def _entries(visit: Visit, params: dict[str, object]) -> dict[str, object]:
    answer = await visit.api.request("GET", "/v1/admin/audit", params)
    return {"log": answer["data"], "next_cursor": answer["next_cursor"]}


async def export_audit_log(visit: Visit) -> Answer:
    """The entries of the same filters as a file."""
    form = "ndjson" if visit.path["form"] == "ndjson" else "csv"
    return Download("/v1/admin/audit/export", {**_params(visit), "format": form})


PAGES = (
    page("/audit", "Audit log", show_audit_log, permits.ADMIN_AUDIT_READ),
    page("/audit/export/{form}", "Export of the audit log", export_audit_log, permits.ADMIN_AUDIT_READ),
)
