"""Deliveries of webhooks that failed, over all communities of the organization, and sending one again."""

from typing import Any

from regulars.api.admin.customers import accessible_tenants
from regulars.api.admin.declarations import (
    FLAG,
    INSTANT,
    INSTANT_OR_NULL,
    INTEGER,
    INTEGER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    endpoint,
    many,
    not_found,
    one,
    parse_integer,
)
from regulars.auth import audit_rules, permits
from regulars.auth.tenants import Tenant
from regulars.ingest.commit import commit
from regulars.model import webhook_deliveries
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope

MAX_DELIVERIES = 500

_SELECT = """
SELECT d.id, d.webhook_id, w.url, w.is_active, w.disabled_reason, d.event_type, d.status, d.attempts, d.occurred_at,
       d.last_attempt_at, d.due_at AS next_attempt_at, d.response_status, d.error, d.body IS NOT NULL AS has_payload
FROM webhook_deliveries AS d
JOIN webhooks AS w ON w.community_id = d.community_id AND w.id = d.webhook_id
"""

_FAILED = f"""{_SELECT}
WHERE d.community_id = $1 AND (d.status = 'failed' OR (d.status = 'pending' AND d.attempts > 0))
ORDER BY d.id DESC
LIMIT $2
"""

_ONE = f"{_SELECT} WHERE d.community_id = $1 AND d.id = $2"


def describe_delivery(row: Any, tenant: Tenant) -> dict[str, object]:
    """A delivery as responses show it, without its payload and the receiver's response, which may be personal."""
    return {"customer": tenant.slug, **row}


async def list_failed(scope: Scope, tenant: Tenant, limit: int) -> list[dict[str, object]]:
    """The latest deliveries of a community that failed or are being retried, newest first."""
    rows = await scope.fetch(_FAILED, scope.community_id, limit)
    return [describe_delivery(row, tenant) for row in rows]


async def _tenants(context: RequestContext) -> tuple[Tenant, ...]:
    async with context.app.database.unscoped_connection() as connection:
        return await accessible_tenants(connection, context.principal, context.query_params.get("customer") or None)


async def _list(context: RequestContext) -> dict[str, object]:
    limit = parse_integer(context, "limit", 100, MAX_DELIVERIES)
    found: list[dict[str, object]] = []
    for tenant in await _tenants(context):
        async with context.app.database.read_transaction(tenant.community_id) as scope:
            found += await list_failed(scope, tenant, limit)
    found.sort(key=lambda each: str(each["occurred_at"]), reverse=True)
    return data_envelope(found[:limit])


async def _resend(context: RequestContext) -> dict[str, object]:
    delivery_id = context.path_integer("id")
    for tenant in await _tenants(context):
        # The number of the community is part of the id of its rows.
        if tenant.community_id == delivery_id >> 32:
            break
    else:
        raise not_found("delivery", delivery_id)

    async def work(uow: UnitOfWork) -> dict[str, object]:
        row = await uow.fetchrow(_ONE, uow.community_id, delivery_id)
        if row is None:
            raise not_found("delivery", delivery_id)
        await webhook_deliveries.resend(uow, row["webhook_id"], delivery_id)
        await context.audit.insert(uow.connection)
        return describe_delivery(await uow.fetchrow(_ONE, uow.community_id, delivery_id), tenant)

    context.audit.community_ids = [tenant.community_id]
    described = await commit(context.app.database, tenant.community_id, work)
    context.audit.is_written = True
    return data_envelope(described)


DELIVERY = {
    "customer": TEXT,
    "id": INTEGER,
    "webhook_id": INTEGER,
    "url": TEXT,
    "is_active": {**FLAG, "description": "Whether the webhook is active. Nothing is sent to an inactive one."},
    "disabled_reason": TEXT_OR_NULL,
    "event_type": TEXT,
    "status": TEXT,
    "attempts": INTEGER,
    "occurred_at": INSTANT,
    "last_attempt_at": INSTANT_OR_NULL,
    "next_attempt_at": INSTANT_OR_NULL,
    "response_status": INTEGER_OR_NULL,
    "error": TEXT_OR_NULL,
    "has_payload": {**FLAG, "description": "False after the profile that it concerns was erased."},
}

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "GET",
        "/deliveries",
        "List deliveries of webhooks that failed or are being retried, newest first",
        None,
        read_handler=_list,
        permit=permits.ADMIN_DELIVERY_READ,
        may_return_404=True,
        query_params={
            "customer": "Slug of a customer; by default all.",
            "limit": f"1 to {MAX_DELIVERIES}; default 100.",
        },
        schema=many("FailedDelivery", DELIVERY),
    ),
    endpoint(
        "POST",
        "/deliveries/{id}/resend",
        "Send a delivery again, under the same id",
        None,
        read_handler=_resend,
        permit=permits.ADMIN_DELIVERY_WRITE,
        audit=audit_rules.RESEND_DELIVERY,
        schema=one("FailedDelivery", DELIVERY),
    ),
)
