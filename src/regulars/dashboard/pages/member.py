"""One member: who it is, its values and why they are as they are, its timeline and its segments, as of any day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from regulars.auth import permits
from regulars.charts.chart import Quantity, Unit
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.history_chart import history_figure
from regulars.dashboard.page import Answer, Page, Section, View
from regulars.dashboard.pages.member_values import LABELS, shown_changes, shown_groups
from regulars.dashboard.pages.members import FIND_PATH
from regulars.dashboard.rendering import as_instant
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

EVENTS_PER_PAGE = 25
HISTORY_YEARS = 2
HISTORY_POINTS = 25
MAX_PURCHASES = 10
"""The purchases of an explanation that are shown; the API has all of them."""

KINDS = {
    "membership": translatable("Joining and leaving"),
    "transaction": translatable("Purchases"),
    "message": translatable("Messages"),
    "offer": translatable("Offers"),
    "visit": translatable("Visits of links"),
}


@dataclass(frozen=True, slots=True)
class Day:
    """The day that the page is about: `on`, its end as an instant, and the first day that can be chosen."""

    on: date
    today: date
    first: date
    end: datetime

    @property
    def is_today(self) -> bool:
        """Whether the page is about now."""
        return self.on >= self.today


async def show_member(visit: Visit) -> Answer:
    """A member as of a day, with the explanation and the history of one value if it is requested."""
    profile_id = _profile_id(visit.path["id"])
    if profile_id is None:
        return View("members/unknown.html", {"survivor": None}, 404)
    found = (await visit.api.get("/api/v3/profiles/find", q=profile_id, limit=1))["data"]
    if not found or found[0]["id"] != profile_id:
        survivor = found[0]["id"] if found else None
        return View("members/unknown.html", {"survivor": survivor}, 410 if found else 404)
    member = found[0]
    day = _day(visit, member)
    path = f"/api/v3/profiles/{profile_id}"
    as_of = None if day.is_today else _text(day.end)
    values = (await visit.api.get(f"{path}/aggregations", as_of=as_of))["data"]
    declared = (await visit.api.get("/api/v3/aggregations"))["data"]
    kinds = [each for each in visit.query_lists.get("kind", ()) if each in KINDS]
    may_see_segments = visit.user.may(permits.SEGMENT_OF_PROFILE_READ)
    return View(
        "members/member.html",
        {
            "member": member,
            "day": day,
            "values": values,
            "groups": shown_groups(visit, declared, values),
            "explained": await _explained(visit, path, declared, day, as_of),
            "timeline": await _timeline(
                visit, path, kinds, None if as_of is None else _text(day.end + timedelta(seconds=1))
            ),
            "kinds": kinds,
            "all_kinds": KINDS,
            "segments": (await visit.api.get(f"{path}/segments"))["data"] if may_see_segments else None,
            "is_personal": visit.user.may(permits.PROFILE_READ),
        },
    )


def _profile_id(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(visit: Visit, member: Mapping[str, Any]) -> Day:
    """The day that the link names, limited to those since the member joined; without a valid one, today."""
    zone = ZoneInfo(visit.one_club.timezone)
    today = visit.now.astimezone(zone).date()
    joined = member["joined_at"]
    first = min(today, as_instant(joined).astimezone(zone).date()) if joined else today - timedelta(days=365)
    try:
        on = date.fromisoformat(visit.query.get("on", ""))
    except ValueError:
        on = today
    on = min(on, today)
    end = datetime.combine(on + timedelta(days=1), time(), zone) - timedelta(seconds=1)
    return Day(on, today, min(first, on), min(end.astimezone(UTC), visit.now))


async def _timeline(visit: Visit, path: str, kinds: Sequence[str], before: str | None) -> Mapping[str, Any]:
    """A page of the timeline; the latest one if the link has an invalid position."""
    params = {"kinds": ",".join(kinds) or None, "limit": EVENTS_PER_PAGE}
    position = visit.query.get("before")
    try:
        found: Mapping[str, Any] = await visit.api.get(f"{path}/timeline", before=position or before, **params)
    except ApiCallError as error:
        if error.status != 422 or not position:
            raise
        found = await visit.api.get(f"{path}/timeline", before=before, **params)
    return found


async def _explained(
    visit: Visit, path: str, declared: Sequence[Mapping[str, Any]], day: Day, as_of: str | None
) -> Mapping[str, Any] | None:
    """Why the value that the link names is as it is, and how it went; None without a known name."""
    name = visit.query.get("why", "")
    found = next((each for each in declared if each["name"] == name), None)
    if found is None or found["group"] == "record":
        return None
    explanation = (await visit.api.get(f"{path}/aggregations/explain", name=name, as_of=as_of))["data"]
    start = max(day.end - timedelta(days=365 * HISTORY_YEARS), datetime(1970, 1, 1, tzinfo=UTC))
    span = {"from": _text(start), "to": _text(day.end), "points": HISTORY_POINTS}
    history = (await visit.api.get(f"{path}/aggregations/history", name=name, **span))["data"]
    return {
        "name": name,
        "explanation": explanation,
        "purchases": explanation["transactions"][-MAX_PURCHASES:][::-1],
        "history": list(shown_changes(visit, found, _without_repetitions(history))),
        "years": HISTORY_YEARS,
        "chart": _chart(visit, found, history),
    }


def _chart(visit: Visit, declared: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Markup | None:
    """The chart of a number; its figures are in the table below it."""
    quantity = _QUANTITIES.get(declared["type"])
    if quantity is None:
        return None
    label = visit.locale.gettext(LABELS.get(declared["name"], declared["name"]))
    currency = declared["unit"] if quantity is Quantity.MONEY else ""
    points = [(as_instant(each["at"]), each["value"]) for each in history]
    return history_figure(visit, label, Unit(quantity, currency), points, has_table=False)


_QUANTITIES = {"decimal": Quantity.MONEY, "integer": Quantity.COUNT, "percentage": Quantity.PERCENT}


def _without_repetitions(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The instants at which the value was another one than at the one before."""
    return [
        each
        for before, each in zip([None, *history], history, strict=False)
        if not before or before["value"] != each["value"]
    ]


PAGES = (
    Page(
        f"{FIND_PATH}/{{id}}",
        "Member",
        show_member,
        section=Section.MEMBERS,
        permit=permits.PROFILE_READ,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
    ),
)
