"""JSON Schemas and examples of the endpoints of exports."""

from regulars.exports.compression import COMPRESSIONS_BY_CODE
from regulars.exports.cron import ALLOWED_FORMS
from regulars.exports.export_table import ExportStatus
from regulars.exports.formats import BINARY_MEDIA_TYPE, FORMATS_BY_CODE
from regulars.exports.schedule import MAX_NAME_LENGTH
from regulars.model.webhooks import MAX_URL_LENGTH
from regulars.reports.registry import REPORTS
from regulars.web import report_schemas
from regulars.web.endpoint import EndpointSchema, JsonSchema

_TIME: JsonSchema = {**report_schemas.TIME_OR_NULL, "description": "UTC, ISO 8601."}
_TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
_COUNT_OR_NULL: JsonSchema = {"type": ["integer", "null"]}

_DELETED = "deleted"

MEDIA_TYPES = tuple(
    dict.fromkeys(
        [
            # The first is what generated clients use: bytes.
            BINARY_MEDIA_TYPE,
            *(each.media_type for each in FORMATS_BY_CODE.values()),
            *(f"application/{code}" for code in COMPRESSIONS_BY_CODE),
        ]
    )
)
"""The media types of files: that of the format, or bytes for a client that accepts nothing else."""

FILE_PROPERTIES: JsonSchema = {
    "format": {
        "title": "ExportFormat",
        "type": "string",
        "enum": list(FORMATS_BY_CODE),
        "description": " ".join(f"`{code}`: {each.description}" for code, each in FORMATS_BY_CODE.items()),
    },
    "compression": {
        "anyOf": [
            {"title": "ExportCompression", "type": "string", "enum": list(COMPRESSIONS_BY_CODE)},
            {"type": "null"},
        ],
        "description": "Compresses the file. Without it, only parquet and arrow are compressed, by themselves.",
    },
}

_EXPORT: JsonSchema = {
    "title": "Export",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "status": {
            "title": "ExportStatus",
            "type": "string",
            "enum": [*(each.value for each in ExportStatus), _DELETED],
            "description": "An export that waits or runs is cancelled by DELETE, one that has ended is deleted.",
        },
        "request": {"type": "object", "description": "The request, without `webhook_url`."},
        "community_ids": {"type": "array", "items": {"type": "integer"}, "description": "The customers' communities."},
        "progress": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "description": "Estimated by the last export of the same query; null while there is none.",
        },
        "rows": {"type": "integer", "description": "Rows written so far."},
        "bytes": {**_COUNT_OR_NULL, "description": "Size of the file, once it is done."},
        "sha256": {**_TEXT_OR_NULL, "description": "Hash of the file, once it is done. It is also its ETag."},
        "error": {**_TEXT_OR_NULL, "description": "Why the last attempt failed."},
        "attempts": {"type": "integer"},
        "requested_at": _TIME,
        "snapshot_at": {**_TIME, "description": "The instant of the data."},
        "finished_at": _TIME,
        "expires_at": {**_TIME, "description": "When the export and its file are deleted."},
        "schedule_id": {**_TEXT_OR_NULL, "format": "uuid", "description": "The schedule that requested it."},
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


def _object(required: list[str], properties: JsonSchema, title: str = "") -> JsonSchema:
    closed = {"required": required, "additionalProperties": False}
    return {**({"title": title} if title else {}), "type": "object", "properties": properties, **closed}


_EXPORT_RESPONSE = _object(["export"], {"export": _EXPORT}, "ExportResponse")


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
        _object(["report", "format"], properties, "NewExport"),
        _EXPORT_RESPONSE,
        {"members": ({"report": "members", "format": "parquet"}, {"export": _QUEUED_EXAMPLE})},
    )


_TARGET: JsonSchema = {
    "oneOf": [
        _object(
            ["type", "path"],
            {
                "type": {"const": "folder"},
                "path": {"type": "string", "description": "Below the organization's exports."},
            },
        ),
        _object(
            ["type", "url"],
            {"type": {"const": "s3"}, "url": {"type": "string", "description": "One that the server allows."}},
        ),
        _object(
            ["type", "url"], {"type": {"const": "webhook"}, "url": {"type": "string", "maxLength": MAX_URL_LENGTH}}
        ),
        {"type": "null"},
    ]
}
_SCHEDULE: JsonSchema = {
    "title": "ExportSchedule",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string"},
        "cron": {"type": "string"},
        "timezone": {"type": "string"},
        "request": {"type": "object", "description": "The query, the format and the target."},
        "community_ids": {"type": "array", "items": {"type": "integer"}},
        "next_run_at": _TIME,
        "created_at": _TIME,
        "updated_at": _TIME,
        "runs": {
            "type": "array",
            "description": "The latest 10.",
            "items": {
                "title": "ExportScheduleRun",
                "type": "object",
                "properties": {
                    "export_id": {"type": "string", "format": "uuid"},
                    "scheduled_for": _TIME,
                    "status": {
                        "title": "ExportRunStatus",
                        "type": "string",
                        "enum": [each.value for each in ExportStatus],
                    },
                    "rows": {"type": "integer"},
                    "error": _TEXT_OR_NULL,
                },
            },
        },
        "webhook_secret": {"type": "string", "description": "Only in the response that created it."},
    },
    "required": ["id", "name", "cron", "timezone", "request", "next_run_at", "runs"],
}
_SCHEDULE_REQUEST = {
    "name": "Members every Monday",
    "cron": "0 6 * * MON",
    "report": "members",
    "format": "csv",
    "target": {"type": "folder", "path": "weekly"},
}
_SCHEDULE_EXAMPLE = {
    "id": "7c5d0f0e-6f0e-4d9b-8f3c-0d5a1c2b3e4f",
    "name": "Members every Monday",
    "cron": "0 6 * * MON",
    "timezone": "Europe/Oslo",
    "request": {"report": "members", "format": "csv", "target": {"type": "folder", "path": "weekly"}},
    "community_ids": [1],
    "next_run_at": "2026-12-07T05:00:00.000000Z",
    "created_at": "2026-12-01T12:00:00.000000Z",
    "updated_at": "2026-12-01T12:00:00.000000Z",
    "runs": [],
}
_SCHEDULE_RESPONSE = _object(["export_schedule"], {"export_schedule": _SCHEDULE}, "ExportScheduleResponse")


def schedule_schema() -> EndpointSchema:
    """The schema of requests of schedules."""
    properties = {
        **report_schemas.query_properties(REPORTS),
        **FILE_PROPERTIES,
        "name": {"type": "string", "maxLength": MAX_NAME_LENGTH},
        "cron": {"type": "string", "description": f"When it runs: {ALLOWED_FORMS}."},
        "timezone": {
            **_TEXT_OR_NULL,
            "description": "IANA. Of `cron` and `range`; required if the customers have several.",
        },
        "range": {
            "anyOf": [
                _object(["last"], {"last": {"type": "string", "examples": ["24h", "7d", "1w", "3mo"]}}),
                {"type": "null"},
            ],
            "description": "The last whole hours, days, weeks or months before each run, instead of `from` and `to`.",
        },
        "target": _TARGET,
        "customer_columns": {
            "type": "boolean",
            "description": "With each customer's id and name in the first columns.",
        },
    }
    return EndpointSchema(
        _object(["name", "cron", "report", "format"], properties, "NewExportSchedule"),
        _SCHEDULE_RESPONSE,
        {"weekly": (_SCHEDULE_REQUEST, {"export_schedule": _SCHEDULE_EXAMPLE})},
    )


SCHEDULE = EndpointSchema(None, _SCHEDULE_RESPONSE, {"weekly": (None, {"export_schedule": _SCHEDULE_EXAMPLE})})
SCHEDULES = EndpointSchema(
    None,
    _object(["export_schedules"], {"export_schedules": {"type": "array", "items": _SCHEDULE}}, "ExportScheduleList"),
    {"one": (None, {"export_schedules": [_SCHEDULE_EXAMPLE]})},
)

EXPORT = EndpointSchema(None, _EXPORT_RESPONSE, {"done": (None, {"export": _DONE_EXAMPLE})})
LIST = EndpointSchema(
    None,
    _object(["exports"], {"exports": {"type": "array", "items": _EXPORT, "description": "At most 100."}}, "ExportList"),
    {"one": (None, {"exports": [_DONE_EXAMPLE]})},
)
