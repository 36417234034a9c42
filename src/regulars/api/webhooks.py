"""Webhooks over HTTP."""

from regulars.access import permits
from regulars.api.endpoint import Call, Endpoint, data
from regulars.api.resources import as_it_is, the_list, the_one
from regulars.facts import webhooks
from regulars.facts.webhooks import WEBHOOKS, WebhookIn
from regulars.facts.writing import Writing


async def _create(call: Call, writing: Writing) -> dict[str, object]:
    made = await webhooks.create(writing, call.body)
    return data({**await WEBHOOKS.one(writing, made.id), "secret": made.secret})


async def _update(call: Call, writing: Writing) -> dict[str, object]:
    webhook_id = call.integer("id")
    await webhooks.update(writing, webhook_id, call.body)
    return await as_it_is(WEBHOOKS, writing, webhook_id)


async def _delete(call: Call, writing: Writing) -> None:
    await webhooks.delete(writing, call.integer("id"))


_AT = "/api/v3/webhooks"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List webhooks",
        reads=the_list(WEBHOOKS),
        shows=WEBHOOKS,
        lists=True,
        permit=permits.WEBHOOK_READ,
        tag="webhooks",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a webhook; the answer alone shows its secret",
        writes=_create,
        takes=WebhookIn,
        shows=WEBHOOKS,
        status=201,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a webhook",
        reads=the_one(WEBHOOKS),
        shows=WEBHOOKS,
        permit=permits.WEBHOOK_READ,
        tag="webhooks",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a webhook",
        writes=_update,
        takes=WebhookIn,
        shows=WEBHOOKS,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a webhook",
        writes=_delete,
        status=204,
        permit=permits.WEBHOOK_WRITE,
        tag="webhooks",
    ),
)
