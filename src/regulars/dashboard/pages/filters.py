"""The builder of filters, as a part of pages: for its script, which replaces the part after each change."""

from collections.abc import Mapping, Sequence
from typing import Any

from regulars.charts.language import ChartLanguage
from regulars.charts.value_names import VALUE_NAMES
from regulars.dashboard import filter_tree
from regulars.dashboard.filter_tree import ALL, ANY, IN_SEGMENT, IS_EMPTY, IS_NOT_EMPTY, NONE, ConditionGroup
from regulars.dashboard.page import Answer, Json, Page, View
from regulars.dashboard.report_figures import language_of, names_of
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit
from regulars.reports.registry import REPORTS_BY_NAME

KINDS = {
    ALL: translatable("all of these hold"),
    ANY: translatable("at least one of these holds"),
    NONE: translatable("none of these holds"),
}
OPERATIONS = {
    "equal": translatable("is"),
    "not_equal": translatable("is not"),
    "in": translatable("is one of"),
    "not_in": translatable("is none of"),
    "greater_than": translatable("is more than"),
    "greater_or_equal_to": translatable("is at least"),
    "less_than": translatable("is less than"),
    "less_or_equal_to": translatable("is at most"),
    "between": translatable("is between"),
    "starts_with": translatable("begins with"),
    "contains": translatable("contains"),
    IS_EMPTY: translatable("is unknown"),
    IS_NOT_EMPTY: translatable("is known"),
}
"""What the operations of a condition are called."""

MAX_VALUES = 200
"""Values of a field that are proposed."""


def builder_values(
    visit: Visit, metadata: Mapping[str, Any], group: ConditionGroup, segments: Sequence[str] = ()
) -> dict[str, Any]:
    """The values that the template of the builder needs. `segments` are the names that a condition may use."""
    language = language_of(visit)
    fields = filter_tree.filterable_fields(metadata)
    labels = {name: language.words(name) for name in fields}
    return {
        "builder": {
            "report": metadata["name"],
            "group": filter_tree.adjust(group, fields),
            "fields": fields,
            "labels": dict(sorted(labels.items(), key=lambda each: each[1].casefold())),
            "operations": {name: filter_tree.operations_of(each) for name, each in fields.items()},
            "operation_names": OPERATIONS,
            "value_labels": {
                name: _value_labels(language, each) for name, each in fields.items() if each.get("values")
            },
            "kinds": KINDS,
            "segments": segments,
            "max_depth": filter_tree.MAX_DEPTH,
        }
    }


def _value_labels(language: ChartLanguage, field: Mapping[str, Any]) -> dict[str, str]:
    """What the values of an enum are called: by their short names, else with their descriptions."""
    short = VALUE_NAMES.get(field["name"].removeprefix("aggregations."), {})
    labels = {}
    for each in field["values"]:
        value, description = each["value"], each["description"]
        # Ranges, such as 15-19, say what they are.
        plain = "" if value[-1:].isdigit() or value[:1].isdigit() else description.rstrip(".")
        name = language.translate(short[value]) if value in short else plain
        labels[value] = f"{value} – {name}" if name else value
    return labels


async def segment_names(visit: Visit, report: str) -> list[str]:
    """The segments of the selected clubs, for reports of members. Takes one call."""
    may_read = visit.user.may("Reporting:Api:Segment:Read")
    if report not in REPORTS_BY_NAME or not REPORTS_BY_NAME[report].has_members or not may_read:
        return []
    found = await visit.api.get("/v1/reporting/segments")
    return sorted({each["name"] for each in found["segments"]})


async def show_builder(visit: Visit) -> Answer:
    """The builder after a change: the fields of the form, and what to do."""
    report = visit.path["report"]
    metadata = (await visit.api.post("/v1/reporting/metadata", {"report": report}))["report"]
    group = filter_tree.from_form(visit.query_lists)
    filter_tree.edit(group, visit.query.get("do", ""))
    has_segments = IN_SEGMENT in visit.query_lists.get("with", ())
    segments = await segment_names(visit, report) if has_segments else []
    return View("filters/fragment.html", builder_values(visit, metadata, group, segments))


async def list_values(visit: Visit) -> Answer:
    """The most frequent values of a field, with their names."""
    report, name = visit.path["report"], visit.query.get("field", "")
    body = {"report": report, "field": name}
    if REPORTS_BY_NAME[report].format.value != "records" if report in REPORTS_BY_NAME else False:
        body |= {"from": visit.query.get("from", ""), "to": visit.query.get("to", "")}
    found = await visit.api.post("/v1/reporting/field_metadata", {key: value for key, value in body.items() if value})
    values = found["values"][:MAX_VALUES]
    names = await names_of(visit, {"records": [{name: each["value"]} for each in values]})
    known = names.get(name, {})
    return Json(
        {
            "values": [
                {"value": each["value"], "name": known.get(each["value"]), "count": each["count"]} for each in values
            ]
        }
    )


PAGES = (
    Page("/filters/{report}", "Filter", show_builder, needs_one_club=False),
    Page("/filters/{report}/values.json", "Values", list_values, needs_one_club=False),
)
