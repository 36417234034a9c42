"""JSON Schemas and examples of saved views, and of the names of labels."""

from regulars.model.saved_views import MAX_VIEWS
from regulars.web.endpoint import EndpointSchema, JsonSchema
from regulars.web.report_schemas import TIME
from regulars.web.resource_schemas import object_schema

MAX_NAME_LENGTH = 100
MAX_QUERY_BYTES = 200_000
"""Bytes of the request of a view."""

PERIOD_PATTERN = r"[1-9][0-9]{0,2}(d|w|mo|y)|today|yesterday|this_(week|month|year)"

_NAME: JsonSchema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH}
_QUERY: JsonSchema = {
    "type": "object",
    "description": "A body of /v1/reporting/query, without page_info and limit.",
    "additionalProperties": True,
}
_PERIOD: JsonSchema = {
    "type": ["string", "null"],
    "description": "Replaces `from` and `to` of the query when the view is opened, such as 30d, 12mo or this_month.",
}
_VIEW = object_schema(
    {
        "id": {"type": "integer"},
        "name": _NAME,
        "report": {"type": "string"},
        "query": _QUERY,
        "period": _PERIOD,
        "is_shared": {"type": "boolean", "description": "Everybody in the organization sees it."},
        "is_own": {"type": "boolean", "description": "The caller has saved it, and may delete it."},
        "saved_by": {"type": "string", "description": "Who saved it; empty for a token."},
        "created_at": TIME,
    },
    "SavedView",
)
_EXAMPLE = {
    "id": 3,
    "name": "Sales by store, this month",
    "report": "transactions_stats",
    "query": {"report": "transactions_stats", "aggregate_by": "location"},
    "period": "this_month",
    "is_shared": True,
    "is_own": True,
    "saved_by": "Ada Lund",
    "created_at": "2026-11-24T08:00:00.120000Z",
}
_ONE = object_schema({"view": _VIEW}, "SavedViewResponse")

LIST = EndpointSchema(
    request=None,
    response=object_schema({"views": {"type": "array", "items": _VIEW}}, "SavedViewList"),
    examples={"views": (None, {"views": [_EXAMPLE]})},
)
CREATE = EndpointSchema(
    request={
        **object_schema(
            {
                "name": _NAME,
                "query": _QUERY,
                "period": _PERIOD,
                "is_shared": {
                    "type": "boolean",
                    "description": f"Views of tokens are always shared. An organization has at most {MAX_VIEWS} views.",
                },
            },
            "NewSavedView",
            ("period", "is_shared"),
        ),
        "additionalProperties": False,
    },
    response=_ONE,
    examples={
        "sales by store": (
            {key: _EXAMPLE[key] for key in ("name", "query", "period", "is_shared")},
            {"view": _EXAMPLE},
        )
    },
)
DELETE = EndpointSchema(request=None, response=_ONE, examples={"deleted": (None, {"view": _EXAMPLE})})

_IDS: JsonSchema = {"type": "array", "items": {"type": "integer"}, "maxItems": 1_000}
_LABELS: JsonSchema = {
    "type": "object",
    "description": "Ids by the key of the label: location, location_id, store_id, favorite_store or offer_id.",
    "additionalProperties": _IDS,
}
_NAMES: JsonSchema = {
    "type": "object",
    "description": "Names by id, by the key of the label. Ids without a name are left out.",
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}},
}
LABEL_NAMES = EndpointSchema(
    request={**object_schema({"labels": _LABELS}, "LabelNamesRequest"), "additionalProperties": False},
    response=object_schema({"names": _NAMES}, "LabelNames"),
    examples={"stores": ({"labels": {"location": [41, 42]}}, {"names": {"location": {"41": "Oslo City"}}})},
)
