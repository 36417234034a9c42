"""JSON Schemas of the Reporting API, with an example of each report."""

from collections.abc import Sequence

from regulars.reports.report import Report, ReportFormat
from regulars.rollups.intervals import Interval
from regulars.web import report_examples
from regulars.web.endpoint import EndpointSchema, JsonSchema
from regulars.web.resource_schemas import object_schema
from regulars.web.schema_components import reference

_TEXT: JsonSchema = {"type": "string"}
_TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
TIME: JsonSchema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
FILTER: JsonSchema = reference("ReportFilter")
_FILTER_OR_NULL: JsonSchema = {"anyOf": [FILTER, {"type": "null"}]}

COMPARISONS = ("equal", "not_equal", "in", "not_in", "starts_with", "contains")
ORDERINGS = ("greater_than", "greater_or_equal_to", "less_than", "less_or_equal_to", "between")

# The nodes of a filter are components of their own: generators of clients resolve a reference to an object from within
# it, but not one to a union.
_FILTER_NODES: Sequence[JsonSchema] = (
    {
        "title": "FilterGroup",
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["and", "or"]},
            "operations": {"type": "array", "minItems": 1, "items": FILTER},
        },
        "required": ["type", "operations"],
    },
    {
        "title": "FilterNegation",
        "type": "object",
        "properties": {"type": {"const": "not"}, "operation": FILTER},
        "required": ["type", "operation"],
    },
    {
        "title": "FilterComparison",
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": [*COMPARISONS, *ORDERINGS]},
            "field": {**_TEXT, "description": "A filterable field; within an object by dot."},
            "value": {"description": "Of the field's type; for `in`, `not_in` and `between` an array."},
        },
        "required": ["type", "field", "value"],
    },
    {
        "title": "FilterSegment",
        "type": "object",
        "properties": {
            "type": {"const": "in_segment"},
            "segment": {**_TEXT, "description": "The name of a segment, in reports of members."},
        },
        "required": ["type", "segment"],
    },
)

COMPONENTS: Sequence[JsonSchema] = (
    {
        "title": "ReportFilter",
        "description": "A tree of at most 10 levels and 100 nodes.",
        "oneOf": _FILTER_NODES,
    },
    {
        "title": "ReportError",
        "type": "object",
        "properties": {
            "error": _TEXT,
            "details": {"type": "object", "description": "Errors in the structure of the request (422)."},
            "truncated": {"type": "boolean", "description": "`details` has the first 100 errors only."},
        },
        "required": ["error"],
    },
)


def _name(reports: Sequence[Report]) -> JsonSchema:
    return {"title": "ReportName", **_TEXT, "enum": [each.name for each in reports]}


def request_object(title: str, required: Sequence[str], properties: JsonSchema) -> JsonSchema:
    """The component of a request, which has no other properties."""
    closed = {"required": list(required), "additionalProperties": False}
    return {"title": title, "type": "object", "properties": properties, **closed}


_INTERVAL: JsonSchema = {
    "title": "ReportInterval",
    **_TEXT,
    "enum": ["auto", *(each.code for each in Interval)],
    "description": "Timeseries only.",
}


def query_properties(reports: Sequence[Report]) -> JsonSchema:
    """The properties of a query without pages."""
    time = {**_TEXT, "description": "ISO 8601; without an offset, in the time zone of the customers."}
    return {
        "report": _name(reports),
        "filter": _FILTER_OR_NULL,
        "aggregate_by": {**_TEXT_OR_NULL, "description": "The name of an aggregation of the report."},
        "interval": _INTERVAL,
        "from": time,
        "to": time,
    }


def query_schema(reports: Sequence[Report]) -> EndpointSchema:
    """The schema of report queries."""
    request = request_object(
        "ReportQuery",
        ["report"],
        {
            **query_properties(reports),
            "page_info": {**_TEXT_OR_NULL, "description": "The `next_page_info` of the previous page."},
            # Without a `default`, which generated clients would send, and only records have a limit.
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "description": "Records only: how many a page has, without it 1,000.",
            },
        },
    )
    examples = {
        each.name: (report_examples.example_request(each), report_examples.example_response(each)) for each in reports
    }
    return EndpointSchema(request, _RESULT, examples)


_LABEL: JsonSchema = {"type": "object", "description": "The fields of the group and their values."}
_VALUES: JsonSchema = {"type": "array", "items": {"type": ["number", "null"]}}
_MASKED: JsonSchema = {
    "type": "boolean",
    "description": "Present if values are suppressed, because the group is small.",
}
_SERIES = object_schema(
    {
        "timezone": {**_TEXT, "description": "Present if there are several time zones."},
        "label": _LABEL,
        "values": _VALUES,
        "masked": _MASKED,
    },
    "ReportSeries",
    ("timezone", "masked"),
)


def _result(kind: str, properties: JsonSchema, optional: JsonSchema | None = None) -> JsonSchema:
    every = {**properties, "result_type": {"const": kind}, **(optional or {})}
    return object_schema(every, f"Report{kind.capitalize()}", tuple(optional or ()))


_RESULT: JsonSchema = {
    "title": "ReportResult",
    "description": "Which of them depends on the report.",
    "oneOf": [
        _result(
            "records",
            {
                "records": {"type": "array", "items": {"type": "object"}},
                "pagination": object_schema({"next_page_info": _TEXT_OR_NULL}, "ReportPagination"),
            },
        ),
        _result(
            "timeseries",
            {
                "interval": _TEXT,
                "range_timezone": _TEXT,
                "time_buckets": {
                    "type": "array",
                    "items": {**_TEXT, "description": "ISO 8601; without an offset if there are several time zones."},
                },
                "series": {"type": "array", "items": _SERIES},
                "data_points": {"type": "integer"},
            },
            {
                "truncated": {"type": "boolean", "description": "Present if data points were cut off."},
            },
        ),
        _result(
            "statistics",
            {
                "statistics": {
                    "type": "array",
                    "items": object_schema(
                        {
                            "label": _LABEL,
                            "values": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
                            "masked": _MASKED,
                        },
                        "ReportStatistic",
                        ("masked",),
                    ),
                },
                "from": _TEXT,
                "to": _TEXT,
            },
            {"empty_range": {"type": "boolean", "description": "Present where `from` is `to`."}},
        ),
    ],
}

_VALUE = object_schema({"value": {}, "description": _TEXT}, "ReportFieldValue")
_FIELD = object_schema(
    {
        "name": _TEXT,
        "type": _TEXT,
        "description": _TEXT,
        "filterable": {"type": "boolean"},
        "readonly": {"type": "boolean"},
        "shown": {"type": "boolean"},
        "filterable_by": {**_TEXT, "description": "For fields that are filtered by a header."},
        "operations": {"type": "array", "items": _TEXT, "description": "The comparisons that filters allow."},
        "values": {"type": "array", "items": _VALUE, "description": "The values of an enum."},
    },
    "ReportField",
    ("filterable_by", "operations", "values"),
)
_LABEL_FIELDS = {"type": "array", "items": object_schema({"key": _TEXT, "type": _TEXT}, "ReportLabel")}
_RETURNED_FIELD = object_schema(
    {"key": _TEXT, "type": _TEXT, "description": _TEXT}, "ReportReturnedField", ("description",)
)
_AGGREGATION = object_schema(
    {
        "name": _TEXT,
        "description": _TEXT,
        "labels": {**_LABEL_FIELDS, "description": "Of the series, in timeseries."},
        "returned_fields": {"type": "array", "items": _RETURNED_FIELD, "description": "In records and statistics."},
    },
    "ReportAggregation",
    ("labels", "returned_fields"),
)
_METADATA = object_schema(
    {
        "name": _TEXT,
        "format": {"type": "string", "enum": [each.value for each in ReportFormat]},
        "description": _TEXT,
        "permit": _TEXT,
        "cost": {"type": "integer"},
        "fields": {"type": "array", "items": _FIELD},
        "aggregations": {"type": "array", "items": _AGGREGATION},
        "intervals": {"type": "array", "items": _TEXT, "description": "In timeseries."},
    },
    "ReportMetadata",
    ("intervals",),
)


def metadata_schema(reports: Sequence[Report]) -> EndpointSchema:
    """The schema of report metadata."""
    response = object_schema(
        {
            "report": {**_METADATA},
            "reports": {"type": "array", "items": _METADATA, "description": "Without `report` in the request."},
        },
        "ReportMetadataResponse",
        ("report", "reports"),
    )
    return EndpointSchema(request_object("ReportMetadataQuery", [], {"report": _name(reports)}), response, {})


def field_metadata_schema(reports: Sequence[Report]) -> EndpointSchema:
    """The schema of field metadata."""
    properties = {
        "report": _name(reports),
        "field": _TEXT,
        "filter": _FILTER_OR_NULL,
        "from": _TEXT_OR_NULL,
        "to": _TEXT_OR_NULL,
    }
    count = {"type": ["integer", "null"], "description": "Null if it is suppressed."}
    values = {"type": "array", "items": object_schema({"value": {}, "count": count}, "FieldValueCount")}
    response = object_schema({"report": _TEXT, "field": _TEXT, "values": values}, "FieldMetadata")
    return EndpointSchema(request_object("FieldMetadataQuery", ["report", "field"], properties), response, {})
