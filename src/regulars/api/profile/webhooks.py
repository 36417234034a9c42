"""Webhooks over HTTP."""

from regulars.api.profile import examples
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model import webhooks
from regulars.model.unit_of_work import UnitOfWork
from regulars.model.webhooks import WEBHOOKS, WebhookIn
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    created = await webhooks.create(uow, context.body)
    return data_envelope({**await WEBHOOKS.fetch_one(uow, created.id), "secret": created.secret})


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    webhook_id = context.path_integer("id")
    await webhooks.update(uow, webhook_id, context.body)
    return await get_representation(WEBHOOKS, uow, webhook_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await webhooks.delete(uow, context.path_integer("id"))


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
        status=201,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}",
        "Get a webhook",
        read_handler=get_handler(WEBHOOKS),
        resource=WEBHOOKS,
        permit=permits.WEBHOOK_READ,
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
        tag="webhooks",
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id}}",
        "Delete a webhook",
        write_handler=_delete,
        status=204,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
)
