"""The state of the data over HTTP, for each customer and for the organization."""

from dataclasses import asdict
from typing import Any

from regulars.api.admin.customers import accessible_tenants
from regulars.api.admin.declarations import (
    INSTANT,
    INSTANT_OR_NULL,
    INTEGER,
    INTEGER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    endpoint,
    organization_id,
)
from regulars.api.admin.deliveries import DELIVERY, list_failed
from regulars.auth import permits
from regulars.auth.tenants import Tenant
from regulars.exports import export_table
from regulars.exports.export_table import ExportStatus
from regulars.observability import data_health
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint, EndpointSchema, JsonSchema
from regulars.web.envelopes import data_envelope
from regulars.web.resource_schemas import data_schema, object_schema, or_null

MAX_DELIVERIES = 20
"""Failed deliveries that are listed for each customer."""

MAX_EXPORTS = 100
"""Exports of the organization among which failed ones are looked for."""

MAX_CUSTOMERS = 50
"""Customers that one request measures; the parameter `customer` chooses one."""


async def _read(context: RequestContext) -> dict[str, object]:
    app, owner = context.app, organization_id(context.principal)
    async with app.database.unscoped_connection() as connection:
        tenants = await accessible_tenants(connection, context.principal, context.query_params.get("customer") or None)
    measured = [await _describe(context, each) for each in tenants[:MAX_CUSTOMERS]]
    exports = await export_table.list_latest(
        app.database, owner, {each.community_id for each in tenants}, limit=MAX_EXPORTS
    )
    return data_envelope(
        {
            "measured_at": context.now,
            "customers": measured,
            "omitted_customers": max(0, len(tenants) - MAX_CUSTOMERS),
            "failed_exports": [
                {
                    "id": str(each.id),
                    "report": str(each.request.get("report", "")),
                    "error": each.error,
                    "requested_at": each.requested_at,
                    "finished_at": each.finished_at,
                }
                for each in exports
                if each.status is ExportStatus.FAILED
            ],
        }
    )


async def _describe(context: RequestContext, tenant: Tenant) -> dict[str, object]:
    app = context.app
    measured = await data_health.measure(app.database, tenant)
    async with app.database.read_transaction(tenant.community_id) as scope:
        failed = await list_failed(scope, tenant, MAX_DELIVERIES)
    return {
        "customer": tenant.slug,
        "name": tenant.name,
        "problems": measured.problems,
        "stores": [asdict(each) for each in measured.stores],
        "newest": measured.newest,
        "last_load_at": measured.last_load_at,
        "rejected_loads": [asdict(each) for each in measured.rejected_loads],
        "waiting_for_compaction": measured.waiting,
        "outdated_profiles": {
            "profiles": measured.refresh.profiles,
            "oldest_seconds": round(measured.refresh.oldest_seconds),
        },
        "replica_caught_up_at": app.replicas.caught_up_at(tenant.community_id),
        "verify": None if measured.verify is None else asdict(measured.verify),
        "webhooks": asdict(measured.webhooks),
        "failed_deliveries": failed,
        "invalid_segments": [asdict(each) for each in measured.invalid_segments],
    }


def _list(properties: dict[str, Any], title: str = "") -> JsonSchema:
    return {"type": "array", "items": object_schema(properties, title)}


_REASON = {"count": INTEGER, "line": INTEGER, "reason": TEXT}
_LOAD = {
    "id": INTEGER,
    "source": {**TEXT, "enum": ["load", "import"]},
    "entity": TEXT,
    "file_name": TEXT,
    "started_at": INSTANT,
    "finished_at": INSTANT,
    "accepted": INTEGER,
    "unchanged": INTEGER,
    "rejected": INTEGER,
    "reasons": _list(_REASON),
    "error": TEXT_OR_NULL,
}
_STORE = {
    "id": INTEGER,
    "name": TEXT_OR_NULL,
    "external_id": TEXT_OR_NULL,
    "last_sale_at": INSTANT_OR_NULL,
    "usual_days": {**INTEGER_OR_NULL, "description": "Usual number of days between days with sales."},
    "status": {**TEXT, "enum": ["late", "on_time", "unknown", "none"]},
}
_VERIFY = object_schema(
    {
        "started_at": INSTANT,
        "finished_at": INSTANT,
        "profiles": INTEGER,
        "differences": INTEGER,
        "differences_by_name": {"type": "object", "additionalProperties": INTEGER},
    }
)
_NEWEST = dict.fromkeys(("purchases", "profiles", "sending_events", "link_visits", "offer_events"), INSTANT_OR_NULL)
_CUSTOMER = {
    "customer": TEXT,
    "name": TEXT,
    "problems": {**TEXTS, "description": "The parts that need attention."},
    "stores": _list(_STORE, "StoreHealth"),
    "newest": object_schema(_NEWEST),
    "last_load_at": INSTANT_OR_NULL,
    "rejected_loads": _list(_LOAD, "LoadRun"),
    "waiting_for_compaction": {"type": "object", "additionalProperties": INTEGER},
    "outdated_profiles": object_schema({"profiles": INTEGER, "oldest_seconds": INTEGER}),
    "replica_caught_up_at": {**INSTANT_OR_NULL, "description": "Null if this process has no replica of the members."},
    "verify": or_null(_VERIFY),
    "webhooks": object_schema({"undelivered": INTEGER, "disabled": INTEGER}),
    "failed_deliveries": _list(DELIVERY, "FailedDelivery"),
    "invalid_segments": _list({"name": TEXT, "problem": TEXT}),
}
_EXPORT = {
    "id": TEXT,
    "report": TEXT,
    "error": TEXT_OR_NULL,
    "requested_at": INSTANT_OR_NULL,
    "finished_at": INSTANT_OR_NULL,
}
_HEALTH = object_schema(
    {
        "measured_at": INSTANT,
        "customers": _list(_CUSTOMER, "CustomerHealth"),
        "omitted_customers": INTEGER,
        "failed_exports": _list(_EXPORT),
    },
    "Health",
)

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "GET",
        "/health",
        "Get the state of the data: late stores, rejected rows, freshness, backlogs, failed work",
        None,
        read_handler=_read,
        permit=permits.ADMIN_HEALTH_READ,
        may_return_404=True,
        query_params={"customer": f"Slug of a customer; by default the first {MAX_CUSTOMERS}."},
        schema=EndpointSchema(None, data_schema(_HEALTH, "HealthResponse"), {}),
    ),
)
