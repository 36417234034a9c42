"""Claims: a profile claims a purchase that was recorded without a profile, or returns one."""

from typing import Any

from regulars.api.profile import examples
from regulars.api.profile.crud import get_representation
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
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


async def _list(context: RequestContext) -> dict[str, object]:
    query, profile_id = parse_list_query(CLAIMS, context.query_params), context.path_uuid()
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        rows, total = await fetch_page(CLAIMS, scope, query, "r.profile_id = {0}", profile_id)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _read(context: RequestContext) -> dict[str, object]:
    claim_id = context.path_integer("claim")
    async with context.app.database.read_transaction(context.community_id) as scope:
        claim = await CLAIMS.fetch_one(scope, claim_id)
    if claim["profile_id"] != context.path_uuid():
        raise NotFoundError(f"There is no claim {claim_id}.")
    return data_envelope(claim)


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    row = facts.validate(context.body)
    return await get_representation(CLAIMS, uow, await claims.create(uow, context.path_uuid(), row))


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await claims.withdraw(uow, context.path_uuid(), context.path_integer("claim"))


async def _unattach(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id = context.path_integer("transaction_id")
    await claims.detach(uow, context.path_uuid(), transaction_id)
    return await get_representation(TRANSACTIONS, uow, transaction_id)


def claim_endpoints(
    base_path: str, caller: Caller = Caller.COMMUNITY, subject: str = "", tag: str = "claims"
) -> tuple[Endpoint, ...]:
    """The endpoints of the claims of the profile at `base_path`. A member changes the own profile with a claim."""
    write_permit = permits.PROFILE_WRITE if caller is Caller.MEMBER else permits.TRANSACTION_WRITE

    def endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
        permit = permits.TRANSACTION_READ if more.get("read_handler") else write_permit
        rule = audit_rules.READ_PROFILE if more.get("read_handler") else audit_rules.CHANGE_PROFILE
        return Endpoint(
            method,
            f"{base_path}/transactions{path}",
            summary,
            caller=caller,
            permit=permit,
            subject=subject,
            tag=tag,
            audit=None if caller is Caller.MEMBER else rule,
            **more,
        )

    return (
        endpoint("GET", "/claims", "List a profile's claims", read_handler=_list, resource=CLAIMS, is_list=True),
        endpoint(
            "POST",
            "/claims",
            "Claim a purchase that has no profile",
            write_handler=_create,
            request_model=ClaimIn,
            request_example=examples.CLAIM,
            resource=CLAIMS,
            status=201,
        ),
        endpoint("GET", "/claims/{claim}", "Get a claim", read_handler=_read, resource=CLAIMS),
        endpoint(
            "DELETE",
            "/claims/{claim}",
            "Withdraw a claim; the transaction that it matched stays with the profile",
            write_handler=_delete,
            status=204,
        ),
        endpoint(
            "GET",
            "/{transaction_id}/unattach",
            "Detach a transaction from its profile",
            write_handler=_unattach,
            resource=TRANSACTIONS,
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = claim_endpoints("/api/v3/profiles/{id}", subject="id")
