"""Webhooks over HTTP."""

from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model import webhooks
from regulars.model.unit_of_work import UnitOfWork
from regulars.model.webhooks import WEBHOOKS, WebhookIn
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    made = await webhooks.create(uow, call.body)
    return data_envelope({**await WEBHOOKS.fetch_one(uow, made.id), "secret": made.secret})


async def _update(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    webhook_id = call.path_integer("id")
    await webhooks.update(uow, webhook_id, call.body)
    return await get_representation(WEBHOOKS, uow, webhook_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await webhooks.delete(uow, call.path_integer("id"))


_AT = "/api/v3/webhooks"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List webhooks",
        read_handler=list_handler(WEBHOOKS),
        resource=WEBHOOKS,
        is_list=True,
        permit=permits.WEBHOOK_READ,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a webhook; the answer alone shows its secret",
        write_handler=_create,
        request_model=WebhookIn,
        resource=WEBHOOKS,
        status=201,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a webhook",
        read_handler=get_handler(WEBHOOKS),
        resource=WEBHOOKS,
        permit=permits.WEBHOOK_READ,
        tag="webhooks",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a webhook",
        write_handler=_update,
        request_model=WebhookIn,
        resource=WEBHOOKS,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a webhook",
        write_handler=_delete,
        status=204,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
)
