"""JSON Schemas and examples of the endpoints of exports."""

from regulars.exports.compression import COMPRESSIONS_BY_CODE
from regulars.exports.export_table import ExportStatus
from regulars.exports.formats import FORMATS_BY_CODE
from regulars.model.webhooks import MAX_URL_LENGTH
from regulars.reports.registry import REPORTS
from regulars.web import report_schemas
from regulars.web.endpoint import EndpointSchema, JsonSchema

_TIME: JsonSchema = {"type": ["string", "null"], "description": "UTC, ISO 8601."}
_TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
_COUNT_OR_NULL: JsonSchema = {"type": ["integer", "null"]}

_DELETED = "deleted"

MEDIA_TYPES = tuple(
    dict.fromkeys(
        [
            *(each.media_type for each in FORMATS_BY_CODE.values()),
            *(f"application/{code}" for code in COMPRESSIONS_BY_CODE),
        ]
    )
)
"""The media types of files."""

FILE_PROPERTIES: JsonSchema = {
    "format": {
        "enum": list(FORMATS_BY_CODE),
        "description": " ".join(f"`{code}`: {each.description}" for code, each in FORMATS_BY_CODE.items()),
    },
    "compression": {
        "enum": [*COMPRESSIONS_BY_CODE, None],
        "description": "Compresses the file. Without it, only parquet and arrow are compressed, by themselves.",
    },
}

_EXPORT: JsonSchema = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "status": {
            "enum": [*(each.value for each in ExportStatus), _DELETED],
            "description": "An export that waits or runs is cancelled by DELETE, one that has ended is deleted.",
        },
        "request": {"type": "object", "description": "The request, without `webhook_url`."},
        "community_ids": {"type": "array", "items": {"type": "integer"}, "description": "The customers' communities."},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "rows": {"type": "integer", "description": "Rows written so far."},
        "bytes": {**_COUNT_OR_NULL, "description": "Size of the file, once it is done."},
        "sha256": {**_TEXT_OR_NULL, "description": "Hash of the file, once it is done. It is also its ETag."},
        "error": {**_TEXT_OR_NULL, "description": "Why the last attempt failed."},
        "attempts": {"type": "integer"},
        "requested_at": _TIME,
        "snapshot_at": {**_TIME, "description": "The instant of the data."},
        "finished_at": _TIME,
        "expires_at": {**_TIME, "description": "When the export and its file are deleted."},
        "schedule_id": {**_TEXT_OR_NULL, "description": "The schedule that requested it."},
        "file_name": _TEXT_OR_NULL,
        "url": {
            **_TEXT_OR_NULL,
            "description": "A link to the file that needs no token, valid for an hour by default.",
        },
        "webhook_secret": {
            "type": "string",
            "description": "The secret that signs the request to `webhook_url`. Only in the response to the request.",
        },
    },
    "required": ["id", "status", "request", "progress", "rows"],
}

_QUEUED_EXAMPLE = {
    "id": "1f0c3a52-4bb1-4c5e-9d55-6a4d0f0e2d11",
    "status": "queued",
    "request": {"report": "members", "format": "parquet"},
    "community_ids": [1],
    "progress": 0.0,
    "rows": 0,
    "bytes": None,
    "sha256": None,
    "error": None,
    "attempts": 0,
    "requested_at": "2026-12-01T05:00:00.000000Z",
    "snapshot_at": None,
    "finished_at": None,
    "expires_at": None,
    "schedule_id": None,
    "file_name": None,
    "url": None,
}
_DONE_EXAMPLE = {
    **_QUEUED_EXAMPLE,
    "status": "done",
    "progress": 1.0,
    "rows": 23570,
    "bytes": 1048576,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "attempts": 1,
    "snapshot_at": "2026-12-01T05:00:01.000000Z",
    "finished_at": "2026-12-01T05:00:02.000000Z",
    "expires_at": "2026-12-08T05:00:02.000000Z",
    "file_name": "members-20261201T050000Z-1f0c3a52.parquet",
    "url": "https://regulars.example/v1/reporting/exports/1f0c3a52-4bb1-4c5e-9d55-6a4d0f0e2d11/file?organization=1&expires=1796104800&signature=5e8848",
}


def _object(required: list[str], properties: JsonSchema) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def request_schema() -> EndpointSchema:
    """The schema of requests of exports: that of queries, without pages, and the format of the file."""
    query = report_schemas.query_properties(REPORTS)
    properties = {
        **query,
        **FILE_PROPERTIES,
        "webhook_url": {
            **_TEXT_OR_NULL,
            "maxLength": MAX_URL_LENGTH,
            "description": "Receives `export.completed` or `export.failed`, signed by Standard Webhooks.",
        },
    }
    return EndpointSchema(
        _object(["report", "format"], properties),
        _object(["export"], {"export": _EXPORT}),
        {"members": ({"report": "members", "format": "parquet"}, {"export": _QUEUED_EXAMPLE})},
    )


EXPORT = EndpointSchema(None, _object(["export"], {"export": _EXPORT}), {"done": (None, {"export": _DONE_EXAMPLE})})
LIST = EndpointSchema(
    None,
    _object(["exports"], {"exports": {"type": "array", "items": _EXPORT, "description": "At most 100."}}),
    {"one": (None, {"exports": [_DONE_EXAMPLE]})},
)
