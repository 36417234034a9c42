"""Claims over HTTP: a profile's purchases that came in without its name, and the way back."""

from typing import Any

from regulars.api.profile.crud import get_representation
from regulars.auth import permits
from regulars.core.errors import NotFoundError
from regulars.ingest import claims
from regulars.model import claims as facts
from regulars.model.claims import CLAIMS, ClaimIn
from regulars.model.profiles import lookup
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope

_AT = "/api/v3/profiles/{id}/transactions"
_TAG = "claims"


async def _list(call: RequestContext) -> dict[str, object]:
    asked, profile_id = parse_list_query(CLAIMS, call.query_params), call.path_uuid()
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        things, total = await fetch_page(CLAIMS, scope, asked, "r.profile_id = {0}", profile_id)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def _read(call: RequestContext) -> dict[str, object]:
    claim_id = call.path_integer("claim")
    async with call.app.database.read_transaction(call.community_id) as scope:
        shown = await CLAIMS.fetch_one(scope, claim_id)
    if shown["profile_id"] != call.path_uuid():
        raise NotFoundError(f"There is no claim {claim_id}.")
    return data_envelope(shown)


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    row = facts.validate(call.body)
    return await get_representation(CLAIMS, uow, await claims.create(uow, call.path_uuid(), row))


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await claims.withdraw(uow, call.path_uuid(), call.path_integer("claim"))


async def _unattach(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id = call.path_integer("transaction_id")
    await claims.detach(uow, call.path_uuid(), transaction_id)
    return await get_representation(TRANSACTIONS, uow, transaction_id)


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if more.get("read_handler") else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_AT}{path}", summary, permit=permit, subject="id", tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "/claims", "List a profile's claims", read_handler=_list, resource=CLAIMS, is_list=True),
    _endpoint(
        "POST",
        "/claims",
        "Claim a purchase that is nobody's yet",
        write_handler=_create,
        request_model=ClaimIn,
        resource=CLAIMS,
        status=201,
    ),
    _endpoint("GET", "/claims/{claim}", "Read a claim", read_handler=_read, resource=CLAIMS),
    _endpoint(
        "DELETE",
        "/claims/{claim}",
        "Withdraw a claim; what it got stays",
        write_handler=_delete,
        status=204,
    ),
    _endpoint(
        "GET",
        "/{transaction_id}/unattach",
        "Make a profile's transaction nobody's again",
        write_handler=_unattach,
        resource=TRANSACTIONS,
    ),
)
