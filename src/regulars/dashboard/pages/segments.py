"""Segments: the list, and one that is being built, with its number of members while it is."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from regulars.auth import permits
from regulars.dashboard import filter_tree
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.filter_tree import ConditionGroup, InvalidFilterError
from regulars.dashboard.page import Answer, Json, Page, Redirect, Section, View
from regulars.dashboard.pages.filters import builder_values
from regulars.dashboard.report_view import encode_filter
from regulars.dashboard.visit import Visit

PATH = "/segments"
API = "/v1/reporting/segments"
PER_PAGE = 25
COUNT_REPORT = "members_count"
_FILTER_REPORT = "members"


async def list_segments(visit: Visit) -> Answer:
    """The segments of a club in pages, each with its number of members."""
    found = sorted((await visit.api.get(API))["segments"], key=lambda each: each["name"])
    text = visit.query.get("page", "")
    last = max(1, -(-len(found) // PER_PAGE))
    number = min(max(1, int(text)), last) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    shown = found[(number - 1) * PER_PAGE : number * PER_PAGE]
    if shown and may_count(visit):
        counted = (await visit.api.get(API, count=",".join(each["name"] for each in shown)))["segments"]
        names = {each["name"] for each in shown}
        shown = sorted((each for each in counted if each["name"] in names), key=lambda each: each["name"])
    return View(
        "segments/list.html",
        {
            "segments": shown,
            "total": len(found),
            "number": number,
            "last": last,
            "may_write": visit.user.may(permits.SEGMENT_WRITE),
            "may_count": may_count(visit),
        },
    )


def may_count(visit: Visit) -> bool:
    """Whether the person may see numbers of members."""
    return visit.user.may("Reporting:Api:Report:MembersCount")


# A filter that is being built ---------------------------------------------------------------------------------


async def metadata_of_members(visit: Visit) -> Mapping[str, Any]:
    """The fields of members, as the API describes them."""
    found: Mapping[str, Any] = (await visit.api.post("/v1/reporting/metadata", {"report": _FILTER_REPORT}))["report"]
    return found


async def count_members(visit: Visit, tree: Any) -> dict[str, Any]:
    """The number of members that a filter selects: a number, None if it is suppressed, and why there is none."""
    try:
        body = {"report": COUNT_REPORT, **({"filter": tree} if tree is not None else {})}
        records = (await visit.api.query(body))["records"]
    except ApiCallError as error:
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        return {"members_count": None, "problem": first_message(error)}
    return {"members_count": records[0]["members_count"] if records else 0, "problem": ""}


def first_message(error: ApiCallError) -> str:
    """The first message of an error of the Reporting API, whose details are a tree in the shape of the request."""
    waiting: list[Any] = [error.details]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Mapping):
            if isinstance(node.get("message"), str):
                return str(node["message"])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return error.message


async def count_filter(visit: Visit) -> Answer:
    """The number of members of the filter in the fields of a form, for its script."""
    fields = filter_tree.filterable_fields(await metadata_of_members(visit))
    found = await count_members(visit, filter_tree.to_json(filter_tree.from_form(visit.query_lists), fields))
    number = found["members_count"]
    text = "" if number is None else visit.locale.number(number)
    return Json({**found, "text": text})


async def new_segment(visit: Visit) -> Answer:
    """A form for a new segment; a link may have its filter."""
    has_invalid_filter = False
    group = filter_tree.from_form(visit.form_lists)
    if not visit.is_post:
        try:
            group = filter_tree.from_json(filter_tree.parse_link(visit.query.get("filter", "")))
        except InvalidFilterError:
            has_invalid_filter, group = True, ConditionGroup()
    if not visit.is_post or "do" in visit.form:
        filter_tree.edit(group, visit.form.get("do", ""))
        return await segment_form(visit, group, {}, has_invalid_filter=has_invalid_filter)
    fields = filter_tree.filterable_fields(await metadata_of_members(visit))
    tree = filter_tree.to_json(group, fields)
    if visit.form.get("action") != "save":
        return await segment_form(visit, group, {})
    body = {
        "name": visit.form.get("name", "").strip(),
        "description": visit.form.get("description", ""),
        "filter": tree,
    }
    try:
        created = (await visit.api.post(API, body))["segment"]
    except ApiCallError as error:
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        errors = form_errors(error)
        if tree is None:
            errors["filter"] = visit.locale.gettext("A segment needs a condition.")
        return await segment_form(visit, group, errors, status=422)
    return Redirect(visit.url(f"{PATH}/{created['name']}"), visit.locale.gettext("The segment is saved."))


def form_errors(error: ApiCallError) -> dict[str, str]:
    """The messages of an error by the field of the form; those of parts of a filter are one."""
    details = error.details if isinstance(error.details, Mapping) else {}
    found = {
        name: first_message(ApiCallError(error.status, {"details": details[name], "error": error.message}))
        for name in ("name", "description", "filter")
        if name in details
    }
    return found or {"filter": error.message}


async def segment_form(
    visit: Visit,
    group: ConditionGroup,
    errors: Mapping[str, str],
    *,
    status: int = 200,
    has_invalid_filter: bool = False,
) -> View:
    """The form of a new segment, with the number of members of its filter."""
    metadata = await metadata_of_members(visit)
    fields = filter_tree.filterable_fields(metadata)
    tree = filter_tree.to_json(group, fields)
    names = await names_of_segments(visit)
    return View(
        "segments/new.html",
        {
            **builder_values(visit, metadata, group, names),
            "errors": errors,
            "name": visit.form.get("name", visit.query.get("name", "")),
            "description": visit.form.get("description", ""),
            "count": await count_members(visit, tree) if may_count(visit) else None,
            "link": visit.url(f"{PATH}/new", filter=encode_filter(tree) or None),
            "has_invalid_filter": has_invalid_filter,
        },
        status,
    )


async def names_of_segments(visit: Visit) -> Sequence[str]:
    """The names of the segments of the club."""
    return sorted(each["name"] for each in (await visit.api.get(API))["segments"])


_OF_SEGMENTS: dict[str, Any] = {"section": Section.SEGMENTS, "permit": permits.SEGMENT_READ}

PAGES = (
    Page(PATH, "Segments", list_segments, is_entry=True, **_OF_SEGMENTS),
    Page(f"{PATH}/new", "New segment", new_segment, handles_forms=True, **_OF_SEGMENTS),
    Page(f"{PATH}/count.json", "Members", count_filter, **_OF_SEGMENTS),
)
