"""JSON Schemas and examples of the endpoints of segments."""

from collections.abc import Sequence

from regulars.segments.changes import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from regulars.web import report_schemas
from regulars.web.endpoint import EndpointSchema, JsonSchema
from regulars.web.report_schemas import FILTER

_TIME: JsonSchema = {**report_schemas.TIME, "description": "UTC, ISO 8601."}
_TIME_OR_NULL: JsonSchema = {**report_schemas.TIME_OR_NULL, "description": "UTC, ISO 8601."}
_NUMBER_OR_NULL: JsonSchema = {"type": ["integer", "null"], "description": "Null if it is suppressed."}
_UNKNOWN_OR_NUMBER: JsonSchema = {
    "type": ["integer", "null"],
    "description": "Null if memberships of that instant are unknown, or the count is suppressed.",
}
_NAME: JsonSchema = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9_-]*$",
    "maxLength": MAX_NAME_LENGTH,
}
_DESCRIPTION: JsonSchema = {"type": "string", "maxLength": MAX_DESCRIPTION_LENGTH}


def _object(properties: JsonSchema, optional: Sequence[str] = (), title: str = "") -> JsonSchema:
    closed = {"required": [name for name in properties if name not in optional], "additionalProperties": False}
    return {**({"title": title} if title else {}), "type": "object", "properties": properties, **closed}


_SEGMENT = _object(
    {
        "name": _NAME,
        "community_id": {"type": "integer"},
        "description": _DESCRIPTION,
        "filter": FILTER,
        "version": {"type": "integer", "description": "Raised by each change of the filter."},
        "state": {
            "type": "string",
            "enum": ["active", "computing", "invalid"],
            "description": "`computing`: the first memberships of this version are being stored, and there are no events "
            "yet. `invalid`: see `problem`.",
        },
        "problem": {"type": ["string", "null"], "description": "Why the filter can't be evaluated."},
        "known_since": {**_TIME_OR_NULL, "description": "Since when memberships of this version are known (`at`)."},
        "created_at": _TIME,
        "updated_at": _TIME,
        "members_count": {
            "type": ["integer", "null"],
            "description": "If it is requested. Null if it is suppressed, or if the filter can't be evaluated.",
        },
    },
    ("members_count",),
    title="Segment",
)

AT_RISK = {
    "type": "and",
    "operations": [
        {"type": "in", "field": "aggregations.dimension_recency", "value": ["RA", "RI"]},
        {"type": "greater_or_equal_to", "field": "aggregations.spend_12m", "value": 500},
    ],
}
_AT_RISK_SEGMENT = {
    "name": "at-risk",
    "community_id": 235,
    "description": "Good customers who have not been here for a while.",
    "filter": AT_RISK,
    "version": 1,
    "state": "active",
    "problem": None,
    "known_since": "2026-11-24T08:00:01.284000Z",
    "created_at": "2026-11-24T08:00:00.120000Z",
    "updated_at": "2026-11-24T08:00:00.120000Z",
}
_ONE = _object({"segment": _SEGMENT}, title="SegmentResponse")
_ONE_EXAMPLE = {"segment": _AT_RISK_SEGMENT}
_MASKED: JsonSchema = {"type": "boolean", "description": "Suppressed: the count is too small to be shown."}

LIST = EndpointSchema(
    request=None,
    response=_object({"segments": {"type": "array", "items": _SEGMENT}}, title="SegmentList"),
    examples={"at-risk": (None, {"segments": [_AT_RISK_SEGMENT]})},
)

CREATE = EndpointSchema(
    request=_object({"name": _NAME, "description": _DESCRIPTION, "filter": FILTER}, ("description",), "NewSegment"),
    response=_ONE,
    examples={
        "at-risk": (
            {"name": "at-risk", "description": _AT_RISK_SEGMENT["description"], "filter": AT_RISK},
            _ONE_EXAMPLE,
        )
    },
)

SHOW = EndpointSchema(request=None, response=_ONE, examples={"at-risk": (None, _ONE_EXAMPLE)})

UPDATE = EndpointSchema(
    request=_object(
        {"name": _NAME, "description": _DESCRIPTION, "filter": FILTER},
        ("name", "description", "filter"),
        "SegmentUpdate",
    ),
    response=_ONE,
    examples={"description": ({"description": _AT_RISK_SEGMENT["description"]}, _ONE_EXAMPLE)},
)

DELETE = EndpointSchema(request=None, response={}, examples={})

VERSIONS = EndpointSchema(
    request=None,
    response=_object(
        {
            "versions": {
                "type": "array",
                "description": "The newest first.",
                "items": _object(
                    {
                        "version": {"type": "integer"},
                        "filter": FILTER,
                        "cause": {
                            "type": "string",
                            "description": "`created`, `changed`, `segment <name> changed` or `valid again`.",
                        },
                        "organization_id": {"type": ["integer", "null"]},
                        "token_id": {"type": ["integer", "null"], "description": "Null for a command."},
                        "started_at": _TIME,
                        "ended_at": _TIME_OR_NULL,
                        "known_since": _TIME_OR_NULL,
                    },
                    title="SegmentVersion",
                ),
            }
        },
        title="SegmentVersionList",
    ),
    examples={
        "at-risk": (
            None,
            {
                "versions": [
                    {
                        "version": 1,
                        "filter": AT_RISK,
                        "cause": "created",
                        "organization_id": 3,
                        "token_id": 17,
                        "started_at": "2026-11-24T08:00:00.120000Z",
                        "ended_at": None,
                        "known_since": "2026-11-24T08:00:01.284000Z",
                    }
                ]
            },
        )
    },
)

COUNT = EndpointSchema(
    request=None,
    response=_object({"members_count": _NUMBER_OR_NULL, "masked": _MASKED, "at": _TIME}, ("masked",), "SegmentCount"),
    examples={"at-risk": (None, {"members_count": 1284, "at": "2026-11-24T09:30:00.000000Z"})},
)

COUNT_HISTORY = EndpointSchema(
    request=None,
    response=_object(
        {
            "counts": {
                "type": "array",
                "items": _object({"at": _TIME, "members_count": _UNKNOWN_OR_NUMBER}, title="SegmentCountAt"),
            }
        },
        title="SegmentCountHistory",
    ),
    examples={
        "at-risk": (
            None,
            {
                "counts": [
                    {"at": "2026-11-23T09:30:00.000000Z", "members_count": None},
                    {"at": "2026-11-24T09:30:00.000000Z", "members_count": 1284},
                ]
            },
        )
    },
)

MEMBERS = EndpointSchema(
    request=None,
    response=_object(
        {
            "records": {
                "type": "array",
                "items": _object({"id": {"type": ["integer", "null"]}}, title="SegmentMember"),
            },
            "pagination": _object({"next_page_info": {"type": ["string", "null"]}}, title="SegmentPagination"),
            "result_type": {"const": "records"},
            "at": _TIME,
        },
        ("at",),
        "SegmentMembers",
    ),
    examples={
        "at-risk": (
            None,
            {
                "records": [{"id": 1}, {"id": 17}],
                "pagination": {"next_page_info": None},
                "result_type": "records",
            },
        )
    },
)

EXPLAIN = EndpointSchema(
    request=None,
    response=_object(
        {
            "segment": _NAME,
            "member_id": {"type": "integer"},
            "profile_id": {"type": "string", "format": "uuid"},
            "is_member": {"type": "boolean", "description": "Only members are in segments."},
            "in_segment": {"type": "boolean"},
            "explanation": {
                "type": "object",
                "description": "The filter; each node `holds` or not, each comparison has the `actual` value, and "
                "`in_segment` the `filter` of the other segment.",
            },
            "at": _TIME,
        },
        title="SegmentExplanation",
    ),
    examples={
        "at-risk": (
            None,
            {
                "segment": "at-risk",
                "member_id": 17,
                "profile_id": "0196f3c4-7a10-7c33-9a2e-3d1f5b9c8e21",
                "is_member": True,
                "in_segment": False,
                "explanation": {
                    "type": "and",
                    "operations": [
                        {
                            "type": "in",
                            "field": "aggregations.dimension_recency",
                            "value": ["RA", "RI"],
                            "actual": "RC",
                            "holds": False,
                        },
                        {
                            "type": "greater_or_equal_to",
                            "field": "aggregations.spend_12m",
                            "value": 500,
                            "actual": 812.5,
                            "holds": True,
                        },
                    ],
                    "holds": False,
                },
                "at": "2026-11-24T09:30:00.000000Z",
            },
        )
    },
)

OVERLAP = EndpointSchema(
    request=None,
    response=_object(
        {
            "both": _NUMBER_OR_NULL,
            "only_first": _NUMBER_OR_NULL,
            "only_second": _NUMBER_OR_NULL,
            "masked": _MASKED,
            "at": _TIME,
        },
        ("masked",),
        "SegmentOverlap",
    ),
    examples={"two": (None, {"both": 312, "only_first": 972, "only_second": 84, "at": "2026-11-24T09:30:00.000000Z"})},
)
