"""JSON Schemas of those responses of the Profile API that are not a resource."""

from regulars.api.profile import examples
from regulars.model import consents
from regulars.model.resource import Resource
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.web.endpoint import EndpointSchema, JsonSchema
from regulars.web.resource_schemas import (
    TIMESTAMP,
    data_schema,
    object_schema,
    or_null,
    page_schema,
    resource_schema,
)

_TEXT: JsonSchema = {"type": "string"}
_COUNT: JsonSchema = {"type": "integer"}
_UUID: JsonSchema = {"type": "string", "format": "uuid"}
_FLAG_OR_NULL: JsonSchema = {"type": ["boolean", "null"]}
_ERRORS: JsonSchema = {
    "type": "object",
    "description": "Errors by the path of the field.",
    "additionalProperties": {"type": "array", "items": _TEXT},
}


def response(schema: JsonSchema, example: object = None) -> EndpointSchema:
    """The schema of an endpoint by its response alone."""
    return EndpointSchema(None, schema, {} if example is None else {"example": (None, example)})


# Values ----------------------------------------------------------------------------------------------------------


def bare_values(resource: Resource) -> EndpointSchema:
    """The values of a profile without an envelope."""
    return response(resource_schema(resource))


def selected_values(resource: Resource) -> EndpointSchema:
    """The values of many profiles, each of them only those that were named."""
    properties = resource_schema(resource)["properties"]
    one = object_schema(properties, "SelectedAggregations", tuple(properties))
    return response(data_schema({"type": "array", "items": or_null(one)}, "SelectedAggregationsResponse"))


EXPLANATION = response(
    data_schema(
        object_schema(
            {
                "name": _TEXT,
                "value": {},
                "type": _TEXT,
                "definition": _TEXT,
                "as_of": TIMESTAMP,
                "transactions_count": _COUNT,
                "transactions": {
                    "type": "array",
                    "items": resource_schema(TRANSACTIONS),
                    "description": "At most 1,000.",
                },
                "facts": {"type": "object", "description": "The fields of the profile that the value depends on."},
            },
            "Explanation",
        ),
        "ExplanationResponse",
    )
)

_CHANGE = object_schema({"at": TIMESTAMP, "value": {}}, "ValueChange")
_CHANGES: JsonSchema = {"type": "array", "items": _CHANGE}
_CHANGES_BY_NAME: JsonSchema = {"type": "object", "additionalProperties": _CHANGES}
HISTORY = response(data_schema({"anyOf": [_CHANGES, _CHANGES_BY_NAME]}, "HistoryResponse"))


def with_secret(resource: Resource) -> EndpointSchema:
    """A webhook with its secret."""
    properties = {**resource_schema(resource)["properties"], "secret": _TEXT}
    return response(data_schema(object_schema(properties, "WebhookWithSecret"), "WebhookWithSecretResponse"))


MESSAGE = response(data_schema(object_schema({"message": _TEXT}, "Message"), "MessageResponse"))

# Profiles --------------------------------------------------------------------------------------------------------

_HOLDER = object_schema({"id": _UUID, "full_name": {"type": ["string", "null"]}}, "ProfileSummary")
_AVAILABILITY = or_null(object_schema({"available": {"type": "boolean"}, "profile": or_null(_HOLDER)}, "Availability"))
AVAILABILITY = response(
    data_schema(object_schema({"email": _AVAILABILITY, "mobile_phone": _AVAILABILITY}), "AvailabilityResponse")
)

COMMS = response(
    data_schema(
        object_schema(
            {
                "profile_id": _UUID,
                **{
                    name: {"type": ["string", "null"]} if name.endswith("_verification") else _FLAG_OR_NULL
                    for name in consents.COMMS_ATTRIBUTES
                },
            },
            "Comms",
        ),
        "CommsResponse",
    ),
    {"data": examples.COMMS},
)

ATTRIBUTES = response(
    data_schema({"type": "object", "description": "By name."}, "AttributesResponse"), {"data": examples.ATTRIBUTES}
)

MEMBER_TOKEN = response(
    data_schema(
        object_schema(
            {"token": _TEXT, "exp": {**_COUNT, "description": "When it expires, in Unix time."}}, "MemberToken"
        ),
        "MemberTokenResponse",
    )
)

# Batches ---------------------------------------------------------------------------------------------------------

BATCH = response(
    data_schema(
        object_schema(
            {
                "message": _TEXT,
                "batch_id": _UUID,
                "accepted": _COUNT,
                "unchanged": _COUNT,
                "rejected": {
                    "type": "array",
                    "items": object_schema(
                        {
                            "index": {**_COUNT, "description": "The place of the row, from 0."},
                            "message": {**_TEXT, "description": "What is wrong, without values of the row."},
                            "errors": _ERRORS,
                        },
                        "RejectedRow",
                    ),
                },
                "ids": {
                    "type": "array",
                    "items": {"type": ["integer", "null"]},
                    "description": "Of transactions: the id of each row in order, null for a rejected row.",
                },
            },
            "BatchResult",
            ("ids",),
        ),
        "BatchResultResponse",
    )
)
QUEUED_BATCH = response(
    data_schema(object_schema({"message": _TEXT, "batch_id": _UUID}, "QueuedBatch"), "QueuedBatchResponse")
)

_ROW_KINDS: JsonSchema = {
    "type": "array",
    "items": object_schema({"count": _COUNT, "line": {"type": ["integer", "null"]}, "reason": _TEXT}, "ImportRowKind"),
}

IMPORT = response(
    object_schema(
        {
            "entity": _TEXT,
            "accepted": _COUNT,
            "unchanged": _COUNT,
            "rejected": _COUNT,
            "rejections": {
                "type": "array",
                "items": object_schema(
                    {"line": {"type": ["integer", "null"]}, "reason": _TEXT, "errors": _ERRORS},
                    "ImportRejection",
                    ("errors",),
                ),
            },
            "read_as": {**_TEXT, "description": "Of CSV: how the file was read."},
            "first_rows": {
                "type": "array",
                "items": object_schema({"line": _COUNT, "row": {"type": "object"}}, "ImportPreviewRow"),
                "description": "With `dry_run`: the first rows as they would be stored.",
            },
            "rejection_kinds": {**_ROW_KINDS, "description": "With `dry_run`: the kinds of rejections."},
            "warnings": {**_ROW_KINDS, "description": "Present if there are any: the kinds of warnings."},
        },
        "ImportResult",
        ("read_as", "first_rows", "rejection_kinds", "warnings"),
    )
)

# Transactions ----------------------------------------------------------------------------------------------------

TRANSACTION_DAYS = response(
    page_schema(
        object_schema(
            {
                "date": {"type": "string", "format": "date"},
                "total": {"type": "number", "description": "In the currency of the community."},
                "transactions_count": _COUNT,
                "transactions": {"type": "array", "items": resource_schema(TRANSACTIONS)},
            },
            "TransactionDay",
        ),
        "TransactionDayPage",
    )
)
