"""One segment: its definition, members over time, overlap with others, exports and webhooks."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from itertools import combinations
from typing import Any

from regulars.auth import permits
from regulars.charts.chart import Quantity, Unit
from regulars.dashboard import filter_tree
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.filter_tree import ConditionGroup
from regulars.dashboard.history_chart import history_figure
from regulars.dashboard.page import Answer, Page, Redirect, Section, View
from regulars.dashboard.pages.filters import builder_values
from regulars.dashboard.pages.segments import (
    API,
    PATH,
    count_members,
    first_message,
    form_errors,
    may_count,
    metadata_of_members,
)
from regulars.dashboard.rendering import as_instant
from regulars.dashboard.report_view import encode_filter
from regulars.dashboard.visit import Visit

HISTORY_DAYS = 90
HISTORY_POINTS = 31
MAX_OTHERS = 2
"""The segments that one is compared with at a time."""

FORMATS = ("csv", "xlsx", "ndjson", "parquet")
TRIGGERS = ("segment.*", "segment.entered", "segment.left")
_EXPORT_REPORT = "members"


async def show_segment(visit: Visit) -> Answer:
    """A segment, or what a form of its page does."""
    if visit.is_post and (answer := await _handle_form(visit)) is not None:
        return answer
    return await _page(visit, {})


async def _page(
    visit: Visit,
    errors: Mapping[str, str],
    *,
    group: ConditionGroup | None = None,
    webhook: Mapping[str, Any] | None = None,
) -> View:
    name = visit.path["name"]
    count = {"count": name} if may_count(visit) else {}
    found = {each["name"]: each for each in (await visit.api.get(API, **count))["segments"]}
    if name not in found:
        return View("segments/unknown.html", {"name": name}, HTTPStatus.NOT_FOUND)
    segment = found[name]
    metadata = await metadata_of_members(visit)
    others = sorted(found.keys() - {name})
    chosen = [each for each in visit.query_lists.get("with", ()) if each in others][:MAX_OTHERS]
    draft = group is not None
    try:
        stored = filter_tree.from_json(segment["filter"])
    except filter_tree.InvalidFilterError:
        # The builder shows fewer levels than the API allows.
        stored = None
    shown = group if group is not None else stored
    return View(
        "segments/segment.html",
        {
            **builder_values(visit, metadata, shown or ConditionGroup(), others),
            "segment": segment,
            "stored": stored,
            "errors": errors,
            "is_draft": draft,
            "draft_count": await _draft_count(visit, shown, metadata) if draft and shown is not None else None,
            "others": others,
            "chosen": chosen,
            "overlap": await _overlap(visit, [name, *chosen]) if chosen and may_count(visit) else None,
            "history": await _history(visit, segment) if may_count(visit) else None,
            "members_filter": encode_filter({"type": "in_segment", "segment": name}),
            "may_write": visit.user.may(permits.SEGMENT_WRITE),
            "may_export": visit.user.may(permits.EXPORT) and visit.user.may("Reporting:Api:Report:Members"),
            "may_listen": visit.user.may(permits.WEBHOOK_WRITE),
            "may_count": may_count(visit),
            "formats": FORMATS,
            "triggers": TRIGGERS,
            "webhook": webhook,
        },
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
    )


async def _draft_count(visit: Visit, group: ConditionGroup, metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not may_count(visit):
        return None
    return await count_members(visit, filter_tree.to_json(group, filter_tree.filterable_fields(metadata)))


async def _history(visit: Visit, segment: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The numbers of members since they are known; None if that is too short."""
    if segment["known_since"] is None:
        return None
    start = max(as_instant(segment["known_since"]), visit.now - timedelta(days=HISTORY_DAYS))
    if visit.now - start < timedelta(hours=1):
        return None
    span = {"from": start.isoformat().replace("+00:00", "Z"), "points": HISTORY_POINTS}
    counts = (await visit.api.get(f"{API}/{segment['name']}/count/history", **span))["counts"]
    points = [(as_instant(each["at"]), each["members_count"]) for each in counts]
    label = visit.locale.gettext("Members")
    return {"figure": history_figure(visit, label, Unit(Quantity.COUNT), points, has_table=True), "counts": counts}


async def _overlap(visit: Visit, names: Sequence[str]) -> list[dict[str, Any]]:
    """How many members are in each combination of segments and in no other of them, the largest combination first."""
    if len(names) == 2:
        found = await visit.api.get(f"{API}/{names[0]}/overlap/{names[1]}")
        parts = {tuple(names): "both", (names[0],): "only_first", (names[1],): "only_second"}
        return [{"names": list(key), "members_count": found[part]} for key, part in parts.items()]
    rows = []
    for size in range(len(names), 0, -1):
        for inside in combinations(names, size):
            conditions: list[dict[str, Any]] = [{"type": "in_segment", "segment": each} for each in inside]
            conditions += [
                {"type": "not", "operation": {"type": "in_segment", "segment": each}}
                for each in names
                if each not in inside
            ]
            counted = await count_members(visit, {"type": "and", "operations": conditions})
            rows.append({"names": list(inside), "members_count": counted["members_count"]})
    return rows


# Forms --------------------------------------------------------------------------------------------------------


async def _handle_form(visit: Visit) -> Answer | None:
    """What a form of the page does; None for an unknown one."""
    name, form = visit.path["name"], visit.form
    here = visit.url(f"{PATH}/{name}")
    if "do" in form:
        group = filter_tree.from_form(visit.form_lists)
        filter_tree.edit(group, form["do"])
        return await _page(visit, {}, group=group)
    try:
        match form.get("action", ""):
            case "save":
                return await _save_filter(visit, name)
            case "preview":
                return await _page(visit, {}, group=filter_tree.from_form(visit.form_lists))
            case "rename":
                body = {"name": form.get("name", "").strip(), "description": form.get("description", "")}
                changed = (await visit.api.put(f"{API}/{name}", body))["segment"]
                return Redirect(visit.url(f"{PATH}/{changed['name']}"), visit.locale.gettext("The segment is saved."))
            case "delete":
                await visit.api.delete(f"{API}/{name}")
                return Redirect(visit.url(PATH), visit.locale.gettext("The segment is deleted."))
            case "export":
                return await _export(visit, name)
            case "webhook":
                return await _create_webhook(visit, name)
    except ApiCallError as error:
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        if form.get("action") == "save":
            return await _page(visit, form_errors(error), group=filter_tree.from_form(visit.form_lists))
        return await _page(visit, {form["action"]: _message(error)})
    return Redirect(here)


def _message(error: ApiCallError) -> str:
    """The first message of an error of either API."""
    details = error.details
    if isinstance(details, Mapping) and all(isinstance(each, list) for each in details.values()):
        for key, messages in details.items():
            if messages and isinstance(messages[0], str):
                return f"{key} {messages[0]}"
    return first_message(error)


async def _save_filter(visit: Visit, name: str) -> Answer:
    fields = filter_tree.filterable_fields(await metadata_of_members(visit))
    tree = filter_tree.to_json(filter_tree.from_form(visit.form_lists), fields)
    if tree is None:
        message = visit.locale.gettext("A segment needs a condition.")
        return await _page(visit, {"filter": message}, group=filter_tree.from_form(visit.form_lists))
    await visit.api.put(f"{API}/{name}", {"filter": tree})
    return Redirect(visit.url(f"{PATH}/{name}"), visit.locale.gettext("The segment is saved."))


async def _export(visit: Visit, name: str) -> Answer:
    chosen = visit.form.get("format", "")
    body = {
        "report": _EXPORT_REPORT,
        "filter": {"type": "in_segment", "segment": name},
        "format": chosen if chosen in FORMATS else FORMATS[0],
    }
    export = (await visit.api.post("/v1/reporting/query/export", body))["export"]
    return Redirect(visit.url(f"/reports/exports/{export['id']}"))


async def _create_webhook(visit: Visit, name: str) -> Answer:
    """Creates a webhook of the events of this segment; its secret is shown once."""
    trigger = visit.form.get("trigger", "")
    body = {
        "trigger": trigger if trigger in TRIGGERS else TRIGGERS[0],
        "url": visit.form.get("url", "").strip(),
        "condition": {"==": [{"var": "segment.segment"}, name]},
    }
    created = (await visit.api.post("/api/v3/webhooks", body))["data"]
    return await _page(visit, {}, webhook=created)


PAGES = (
    Page(
        f"{PATH}/{{name}}",
        "Segment",
        show_segment,
        section=Section.SEGMENTS,
        permit=permits.SEGMENT_READ,
        handles_forms=True,
    ),
)
