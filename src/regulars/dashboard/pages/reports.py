"""The report explorer: every report by its metadata, as chart and table, for programs, saved, and exported."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlencode

from regulars.auth import permits
from regulars.dashboard import filter_tree, periods
from regulars.dashboard.answer_table import answer_table
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.page import Answer, Download, Json, Page, Redirect, Section, View
from regulars.dashboard.pages.filters import builder_values, segment_names
from regulars.dashboard.report_commands import commands
from regulars.dashboard.report_figures import figure_of, language_of, names_of, subject_of
from regulars.dashboard.report_view import ReportView, encode_filter, read_view
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

FORMATS = ("csv", "xlsx", "ndjson", "parquet")
"""The formats of exported files."""

SUBJECTS = {
    "members": translatable("Members"),
    "member": translatable("Members"),
    "transactions": translatable("Sales"),
    "sendings": translatable("Messages"),
    "links": translatable("Links"),
    "offers": translatable("Offers"),
}
"""The headings of the list of reports, by the first word of their names."""


async def list_reports(visit: Visit) -> Answer:
    """All reports that the person may query, and the saved views."""
    found = (await visit.api.post("/v1/reporting/metadata", {}))["reports"]
    views = (await visit.api.get("/v1/reporting/views"))["views"]
    language = language_of(visit)
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        subject = SUBJECTS.get(each["name"].partition("_")[0], each["name"])
        groups.setdefault(subject, []).append({**each, "title": language.words(each["name"])})
    return View("reports/list.html", {"groups": groups, "views": [_with_link(visit, each) for each in views]})


def _with_link(visit: Visit, view: Mapping[str, Any]) -> dict[str, Any]:
    """A saved view with the address of its page."""
    query = view["query"]
    params = {
        "group": query.get("aggregate_by"),
        "interval": query.get("interval"),
        "period": view["period"],
        "filter": encode_filter(query.get("filter")) or None,
    }
    if not view["period"] and query.get("from") and query.get("to"):
        period = periods.of_range(query["from"], query["to"])
        params |= {"from": period.start.isoformat(), "to": period.last_day.isoformat()} if period is not None else {}
    return {**view, "url": visit.url(f"/reports/{view['report']}", **params)}


async def show_report(visit: Visit) -> Answer:
    """A view of a report, or what a form of the page does."""
    metadata = await _metadata(visit)
    view = read_view(visit, metadata)
    if visit.is_post:
        return await _handle_form(visit, view)
    fields = filter_tree.filterable_fields(metadata)
    if "f.type" in visit.query_lists:
        return _apply_form(visit, view, fields)
    group = filter_tree.from_form(_draft(visit)) if "draft" in visit.query else filter_tree.from_json(view.filter)
    values: dict[str, Any] = {"answer": None, "figure": None, "table": None, "problem": None}
    try:
        answer = await visit.api.query(view.body)
        names = await names_of(visit, answer)
        subject = subject_of(visit, view.report, view.aggregate_by, names)
        values |= {
            "answer": answer,
            "figure": figure_of(subject, answer, has_table=False),
            "table": answer_table(visit, subject, metadata, answer),
        }
    except ApiCallError as error:
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        values["problem"] = {"message": error.message, "details": list(_messages(error.details))}
    views = (await visit.api.get("/v1/reporting/views"))["views"]
    segments = await segment_names(visit, view.report)
    language = language_of(visit)
    return View(
        "reports/report.html",
        {
            **values,
            **builder_values(visit, metadata, group, segments),
            "view": view,
            "metadata": metadata,
            "title": language.words(view.report),
            "groupings": {each["name"]: language.words(_grouping_label(each)) for each in metadata["aggregations"]},
            "presets": periods.PRESETS,
            "commands": commands(visit.server_url, visit.clubs, view.whole_body),
            "link": visit.url(visit.url_path, **view.params),
            "views": [_with_link(visit, each) for each in views if each["report"] == view.report],
            "may_export": visit.user.may(permits.EXPORT),
            "formats": FORMATS,
            "next_page": (values["answer"] or {}).get("pagination", {}).get("next_page_info"),
        },
    )


def _grouping_label(grouping: Mapping[str, Any]) -> str:
    name: str = grouping["name"]
    return name.removeprefix("by_")


async def _metadata(visit: Visit) -> Mapping[str, Any]:
    """The metadata of the report of the path. Raises ApiCallError, 404 for an unknown one."""
    try:
        found = await visit.api.post("/v1/reporting/metadata", {"report": visit.path["report"]})
    except ApiCallError as error:
        if error.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise ApiCallError(HTTPStatus.NOT_FOUND, error.body) from None
        raise
    metadata: Mapping[str, Any] = found["report"]
    return metadata


def _messages(details: Any) -> Any:
    """The messages of an error, which are a tree in the shape of the request."""
    if isinstance(details, Mapping):
        for each in details.values():
            yield from _messages(each)
    elif isinstance(details, list):
        yield from (each["message"] for each in details if isinstance(each, Mapping) and "message" in each)


def _draft(visit: Visit) -> Mapping[str, list[str]]:
    """The fields of a builder that is being edited without scripts, from its text in the link."""
    return parse_qs(visit.query["draft"], keep_blank_values=True, max_num_fields=2_000)


def _apply_form(visit: Visit, view: ReportView, fields: Mapping[str, Any]) -> Redirect:
    """Leads from the fields of the form to the link of the view, which keeps incomplete conditions while it is edited."""
    group = filter_tree.adjust(filter_tree.from_form(visit.query_lists), fields)
    params: dict[str, object] = {**view.params}
    action = visit.query.get("do", "")
    if action:
        filter_tree.edit(group, action)
        params["draft"] = urlencode(list(filter_tree.to_form(group)))
    else:
        params["filter"] = encode_filter(filter_tree.to_json(group, fields)) or None
    return Redirect(visit.url(visit.url_path, **params))


# Forms --------------------------------------------------------------------------------------------------------


async def _handle_form(visit: Visit, view: ReportView) -> Answer:
    here = visit.url(visit.url_path, **view.params)
    match visit.form.get("action", ""):
        case "save":
            body = {
                "name": visit.form.get("name", ""),
                "query": view.whole_body if not view.period_code else view.query,
                "period": view.period_code if view.has_range and view.period_code else None,
                "is_shared": "is_shared" in visit.form,
            }
            await visit.api.post("/v1/reporting/views", body)
            return Redirect(here, visit.locale.gettext("The view is saved."))
        case "delete":
            await visit.api.delete(f"/v1/reporting/views/{visit.form.get('view', '')}")
            return Redirect(here, visit.locale.gettext("The view is deleted."))
        case "export":
            chosen = visit.form.get("format", "")
            body = {**view.whole_body, "format": chosen if chosen in FORMATS else FORMATS[0]}
            export = (await visit.api.post("/v1/reporting/query/export", body))["export"]
            return Redirect(visit.url(f"/reports/exports/{export['id']}"))
        case _:
            return Redirect(here)


# Exports ------------------------------------------------------------------------------------------------------


async def show_export(visit: Visit) -> Answer:
    """The progress of an export, and its file; a form cancels or deletes it."""
    path = f"/v1/reporting/exports/{visit.path['id']}"
    if visit.is_post:
        await visit.api.delete(path)
        return Redirect(visit.url("/reports"), visit.locale.gettext("The export is deleted."))
    export = (await visit.api.get(path))["export"]
    return View(
        "reports/export.html", {"export": export, "title": language_of(visit).words(export["request"]["report"])}
    )


async def show_progress(visit: Visit) -> Answer:
    """The progress of an export, for the script of its page."""
    export = (await visit.api.get(f"/v1/reporting/exports/{visit.path['id']}"))["export"]
    return Json({key: export[key] for key in ("status", "progress", "rows")})


async def download_export(visit: Visit) -> Answer:
    """The file of an export."""
    return Download(f"/v1/reporting/exports/{visit.path['id']}/file")


_OF_REPORTS: dict[str, Any] = {"section": Section.REPORTS, "permit": permits.QUERY, "needs_one_club": False}

PAGES = (
    Page("/reports", "Reports", list_reports, is_entry=True, **_OF_REPORTS),
    Page("/reports/{report}", "Report", show_report, handles_forms=True, **_OF_REPORTS),
    Page("/reports/exports/{id}", "Export", show_export, handles_forms=True, **_OF_REPORTS),
    Page("/reports/exports/{id}/progress.json", "Export", show_progress, **_OF_REPORTS),
    Page("/reports/exports/{id}/file", "Export", download_export, **_OF_REPORTS),
)
