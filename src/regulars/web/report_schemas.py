"""JSON Schemas of the Reporting API, with an example of each report."""

from collections.abc import Mapping, Sequence

from regulars.reports.report import Report
from regulars.rollups.intervals import Interval
from regulars.web import report_examples
from regulars.web.endpoint import EndpointSchema, JsonSchema

_TEXT: JsonSchema = {"type": "string"}
_FILTER: JsonSchema = {"anyOf": [{"$ref": "#/components/schemas/ReportFilter"}, {"type": "null"}]}

COMPARISONS = ("equal", "not_equal", "in", "not_in", "starts_with", "contains")
ORDERINGS = ("greater_than", "greater_or_equal_to", "less_than", "less_or_equal_to", "between")

COMPONENTS: Mapping[str, JsonSchema] = {
    "ReportFilter": {
        "title": "ReportFilter",
        "description": "A tree of at most 10 levels and 100 nodes.",
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "type": {"enum": ["and", "or"]},
                    "operations": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/components/schemas/ReportFilter"},
                    },
                },
                "required": ["type", "operations"],
            },
            {
                "type": "object",
                "properties": {
                    "type": {"const": "not"},
                    "operation": {"$ref": "#/components/schemas/ReportFilter"},
                },
                "required": ["type", "operation"],
            },
            {
                "type": "object",
                "properties": {
                    "type": {"enum": [*COMPARISONS, *ORDERINGS]},
                    "field": {**_TEXT, "description": "A filterable field; within an object by dot."},
                    "value": {"description": "Of the field's type; for `in`, `not_in` and `between` an array."},
                },
                "required": ["type", "field", "value"],
            },
            {
                "type": "object",
                "properties": {
                    "type": {"const": "in_segment"},
                    "segment": {**_TEXT, "description": "The name of a segment, in reports of members."},
                },
                "required": ["type", "segment"],
            },
        ],
    },
    "ReportError": {
        "title": "ReportError",
        "type": "object",
        "properties": {
            "error": _TEXT,
            "details": {"type": "object", "description": "Errors in the structure of the request (422)."},
            "truncated": {"type": "boolean", "description": "`details` has the first 100 errors only."},
        },
        "required": ["error"],
    },
}


def _name(reports: Sequence[Report]) -> JsonSchema:
    return {**_TEXT, "enum": [each.name for each in reports]}


def _object(required: Sequence[str], properties: JsonSchema) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def query_properties(reports: Sequence[Report]) -> JsonSchema:
    """The properties of a query without pages."""
    time = {**_TEXT, "description": "ISO 8601; without an offset, in the time zone of the customers."}
    return {
        "report": _name(reports),
        "filter": _FILTER,
        "aggregate_by": {"type": ["string", "null"], "description": "The name of an aggregation of the report."},
        "interval": {"enum": ["auto", *(each.code for each in Interval)], "description": "Timeseries only."},
        "from": time,
        "to": time,
    }


def query_schema(reports: Sequence[Report]) -> EndpointSchema:
    """The schema of report queries."""
    request = _object(
        ["report"],
        {
            **query_properties(reports),
            "page_info": {"type": ["string", "null"], "description": "The `next_page_info` of the previous page."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000},
        },
    )
    response = {
        "oneOf": [
            _result("records", {"records": {"type": "array", "items": {"type": "object"}}, "pagination": _PAGINATION}),
            _result(
                "timeseries",
                {
                    "interval": _TEXT,
                    "range_timezone": _TEXT,
                    "time_buckets": {"type": "array", "items": _TEXT},
                    "series": {"type": "array", "items": _series({"type": "array"})},
                    "data_points": {"type": "integer"},
                },
            ),
            _result(
                "statistics",
                {"statistics": {"type": "array", "items": _series({"type": "object"})}, "from": _TEXT, "to": _TEXT},
                {"empty_range": {"const": True, "description": "Present where `from` is `to`."}},
            ),
        ]
    }
    examples = {
        each.name: (report_examples.example_request(each), report_examples.example_response(each)) for each in reports
    }
    return EndpointSchema(request, response, examples)


_PAGINATION = {"type": "object", "properties": {"next_page_info": {"type": ["string", "null"]}}}


def _series(values: JsonSchema) -> JsonSchema:
    return {"type": "object", "properties": {"label": {"type": "object"}, "values": values}}


def _result(kind: str, properties: JsonSchema, optional: JsonSchema | None = None) -> JsonSchema:
    required = {**properties, "result_type": {"const": kind}}
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def metadata_schema(reports: Sequence[Report]) -> EndpointSchema:
    """The schema of report metadata."""
    return EndpointSchema(_object([], {"report": _name(reports)}), {"type": "object"}, {})


def field_metadata_schema(reports: Sequence[Report]) -> EndpointSchema:
    """The schema of field metadata."""
    properties = {"report": _name(reports), "field": _TEXT, "filter": _FILTER, "from": _TEXT, "to": _TEXT}
    return EndpointSchema(_object(["report", "field"], properties), {"type": "object"}, {})
