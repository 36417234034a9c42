"""Erasure with a receipt: what it would remove of a member, and what it has removed."""

from dataclasses import asdict
from typing import Literal

import msgspec

from regulars.api.profile import response_schemas
from regulars.auth import audit_rules, permits
from regulars.core.errors import field_error
from regulars.model import erasure, erasure_receipt
from regulars.model.erasure_receipt import ErasedTable
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope
from regulars.web.resource_schemas import TIMESTAMP, data_schema, object_schema

METHODS = ("purge", "depersonalise")


class ErasureIn(msgspec.Struct, frozen=True):
    """How a member is erased: `purge` deletes everything, `depersonalise` what identifies the member."""

    method: Literal["purge", "depersonalise"]


async def _preview(context: RequestContext) -> dict[str, object]:
    method = context.query_params.get("method", "purge")
    if method not in METHODS:
        raise field_error("method", f"is {method[:50]!r}. Allowed: {', '.join(METHODS)}")
    profile_id = context.path_uuid()
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        tables = await erasure_receipt.describe(scope, profile_id, purge=method == "purge")
    return _envelope(context, method, tables)


async def _erase(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    profile_id, method = context.path_uuid(), context.body.method
    tables = await erasure_receipt.describe(uow, profile_id, purge=method == "purge")
    if method == "purge":
        await erasure.purge(uow, profile_id)
    else:
        await erasure.anonymize(uow, profile_id)
    # The entry of the audit log is the receipt that stays.
    context.audit.details |= {"method": method, "tables": {each.table: _summary(each) for each in tables}}
    return _envelope(context, method, tables)


def _summary(table: ErasedTable) -> dict[str, object]:
    """What happened to the rows of a table: deleted, cleared in some columns, or retained without a name."""
    outcome = "deleted" if table.is_deleted else "cleared" if table.cleared else "retained"
    return {"rows": table.rows, "outcome": outcome, **({"columns": list(table.cleared)} if table.cleared else {})}


def _envelope(context: RequestContext, method: str, tables: list[ErasedTable]) -> dict[str, object]:
    return data_envelope(
        {
            "id": str(context.path_uuid()),
            "method": method,
            "at": f"{context.now:%Y-%m-%d %H:%M:%S}",
            "tables": [asdict(each) for each in tables],
        }
    )


_TABLE = object_schema(
    {
        "table": {"type": "string"},
        "rows": {"type": "integer"},
        "is_deleted": {
            "type": "boolean",
            "description": "Whether the rows are deleted; otherwise columns are cleared.",
        },
        "cleared": {"type": "array", "items": {"type": "string"}},
        "retained": {
            "type": "object",
            "description": "Columns that stay, each with the reason.",
            "additionalProperties": {"type": "string"},
        },
    },
    "ErasedTable",
)
_RECEIPT = response_schemas.response(
    data_schema(
        object_schema(
            {
                "id": {"type": "string", "format": "uuid"},
                "method": {"type": "string", "enum": list(METHODS)},
                "at": TIMESTAMP,
                "tables": {"type": "array", "items": _TABLE},
            },
            "ErasureReceipt",
        ),
        "ErasureReceiptResponse",
    )
)

_PATH = "/api/v3/profiles/{id}/erasure"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        "Get what an erasure would remove of a profile",
        read_handler=_preview,
        schema=_RECEIPT,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        subject="id",
        tag="profiles",
        query_params={"method": "`purge`, the default, or `depersonalise`."},
    ),
    Endpoint(
        "POST",
        _PATH,
        "Purge or depersonalise a profile, and get a receipt of what was removed",
        write_handler=_erase,
        schema=_RECEIPT,
        request_model=ErasureIn,
        request_example={"method": "purge"},
        permit=permits.PROFILE_ERASE,
        audit=audit_rules.ERASE_PROFILE,
        subject="id",
        tag="profiles",
    ),
)
