"""Webhooks over HTTP."""

from typing import Any

from regulars.api.profile import examples, response_schemas
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import audit_rules, permits
from regulars.model import webhook_deliveries, webhooks
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.unit_of_work import UnitOfWork
from regulars.model.webhook_deliveries import WEBHOOK_DELIVERIES, ResendIn
from regulars.model.webhooks import WEBHOOKS, RotationIn, WebhookIn
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint, EndpointSchema
from regulars.web.envelopes import data_envelope, page_envelope
from regulars.web.resource_schemas import data_schema, object_schema
from regulars.webhooks.payloads import message_id
from regulars.webhooks.ping import send_ping


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    created = await webhooks.create(uow, context.body)
    return data_envelope({**await WEBHOOKS.fetch_one(uow, created.id), "secret": created.secret})


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    webhook_id = context.path_integer("id")
    await webhooks.update(uow, webhook_id, context.body)
    return await get_representation(WEBHOOKS, uow, webhook_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await webhooks.delete(uow, context.path_integer("id"))


async def _rotate_secret(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    rotated = await webhooks.rotate_secret(uow, context.path_integer("id"), context.body)
    return data_envelope({**await WEBHOOKS.fetch_one(uow, rotated.id), "secret": rotated.secret})


async def _list_deliveries(context: RequestContext) -> dict[str, object]:
    webhook_id = context.path_integer("id")
    query = parse_list_query(WEBHOOK_DELIVERIES, context.query_params)
    async with context.app.database.read_transaction(context.community_id) as scope:
        await WEBHOOKS.fetch_one(scope, webhook_id)
        rows, total = await fetch_page(WEBHOOK_DELIVERIES, scope, query, "r.webhook_id = {0}", webhook_id)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _read_delivery(context: RequestContext) -> dict[str, object]:
    webhook_id, delivery_id = context.path_integer("id"), context.path_integer("delivery_id")
    async with context.app.database.read_transaction(context.community_id) as scope:
        return data_envelope(await webhook_deliveries.fetch_one(scope, webhook_id, delivery_id))


async def _resend(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    webhook_id, delivery_id = context.path_integer("id"), context.path_integer("delivery_id")
    await webhook_deliveries.resend(uow, webhook_id, delivery_id)
    return data_envelope(await webhook_deliveries.fetch_one(uow, webhook_id, delivery_id))


async def _resend_range(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    count = await webhook_deliveries.resend_range(uow, context.path_integer("id"), context.body)
    return data_envelope({"deliveries": count})


async def _test(context: RequestContext) -> dict[str, object]:
    app = context.app
    ping = await send_ping(app.database, app.webhook_client, context.community_id, context.path_integer("id"))
    return data_envelope(
        {
            "delivery_id": ping.delivery_id,
            "event_id": message_id(ping.event_id),
            "is_delivered": ping.attempt.is_delivered,
            "response_status": ping.attempt.status,
            "response_excerpt": ping.attempt.excerpt or None,
            "error": ping.attempt.error or None,
            "milliseconds": round(ping.attempt.seconds * 1000),
        }
    )


def _data_schema(title: str, properties: dict[str, Any], example: dict[str, object]) -> EndpointSchema:
    return response_schemas.response(
        data_schema(object_schema(properties, title), f"{title}Response"), {"data": example}
    )


_TEST_SCHEMA = _data_schema(
    "WebhookTest",
    {
        "delivery_id": {"type": "integer"},
        "event_id": {"type": "string"},
        "is_delivered": {"type": "boolean", "description": "Whether the receiver responded with a status of 2xx."},
        "response_status": {"type": ["integer", "null"]},
        "response_excerpt": {"type": ["string", "null"]},
        "error": {"type": ["string", "null"], "description": "Why it was not delivered."},
        "milliseconds": {"type": "integer"},
    },
    {
        "delivery_id": 4294967311,
        "event_id": "evt_0b9b6a3c5d5c4d0f9a53a3f6a1c0e7d2",
        "is_delivered": True,
        "response_status": 200,
        "response_excerpt": "ok",
        "error": None,
        "milliseconds": 48,
    },
)

_PATH = "/api/v3/webhooks"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        "List webhooks",
        read_handler=list_handler(WEBHOOKS),
        resource=WEBHOOKS,
        is_list=True,
        permit=permits.WEBHOOK_READ,
        audit=audit_rules.NOTHING,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        _PATH,
        "Create a webhook; only this response contains its secret",
        write_handler=_create,
        request_model=WebhookIn,
        request_example=examples.WEBHOOK,
        resource=WEBHOOKS,
        schema=response_schemas.with_secret(WEBHOOKS),
        status=201,
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CREATE_WEBHOOK,
        tag="webhooks",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}",
        "Get a webhook",
        read_handler=get_handler(WEBHOOKS),
        resource=WEBHOOKS,
        permit=permits.WEBHOOK_READ,
        audit=audit_rules.NOTHING,
        tag="webhooks",
    ),
    Endpoint(
        "PUT",
        f"{_PATH}/{{id}}",
        "Update a webhook",
        write_handler=_update,
        request_model=WebhookIn,
        request_example=examples.WEBHOOK,
        resource=WEBHOOKS,
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CHANGE_WEBHOOK,
        tag="webhooks",
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id}}",
        "Delete a webhook",
        write_handler=_delete,
        status=204,
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CHANGE_WEBHOOK,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{id}}/rotate-secret",
        "Replace the secret of a webhook; the previous one signs as well for some time",
        write_handler=_rotate_secret,
        request_model=RotationIn,
        request_example=examples.WEBHOOK_ROTATION,
        resource=WEBHOOKS,
        schema=response_schemas.with_secret(WEBHOOKS),
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CHANGE_WEBHOOK,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{id}}/test",
        "Send a test event to a webhook now",
        read_handler=_test,
        schema=_TEST_SCHEMA,
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CHANGE_WEBHOOK,
        tag="webhooks",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}/deliveries",
        "List the deliveries of a webhook",
        read_handler=_list_deliveries,
        resource=WEBHOOK_DELIVERIES,
        is_list=True,
        permit=permits.WEBHOOK_READ,
        audit=audit_rules.READ_DELIVERIES,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{id}}/deliveries/resend",
        "Send deliveries of a time range again, each under the same id",
        write_handler=_resend_range,
        request_model=ResendIn,
        request_example=examples.WEBHOOK_RESEND,
        schema=_data_schema("ResentDeliveries", {"deliveries": {"type": "integer"}}, {"deliveries": 120}),
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CHANGE_WEBHOOK,
        tag="webhooks",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}/deliveries/{{delivery_id}}",
        "Get a delivery of a webhook",
        read_handler=_read_delivery,
        resource=WEBHOOK_DELIVERIES,
        permit=permits.WEBHOOK_READ,
        audit=audit_rules.READ_DELIVERIES,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{id}}/deliveries/{{delivery_id}}/resend",
        "Send a delivery again, under the same id",
        write_handler=_resend,
        resource=WEBHOOK_DELIVERIES,
        permit=permits.WEBHOOK_WRITE,
        audit=audit_rules.CHANGE_WEBHOOK,
        tag="webhooks",
    ),
)
