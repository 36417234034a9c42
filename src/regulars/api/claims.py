"""Claims over HTTP: a profile's purchases that came in without its name, and the way back."""

from typing import Any

from regulars.access import permits
from regulars.api.endpoint import Call, Endpoint, data, page
from regulars.api.resources import as_it_is
from regulars.facts import claims as facts
from regulars.facts import profile_lookup
from regulars.facts.claims import CLAIMS, ClaimIn
from regulars.facts.refusals import NotFound
from regulars.facts.resource import listed, listing
from regulars.facts.transactions import TRANSACTIONS
from regulars.facts.writing import Writing
from regulars.ingest import claims

_AT = "/api/v3/profiles/{id}/transactions"
_TAG = "claims"


async def _list(call: Call) -> dict[str, object]:
    asked, profile_id = listing(CLAIMS, call.query), call.uuid()
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        things, total = await listed(CLAIMS, scope, asked, "r.profile_id = {0}", profile_id)
    return page(call, things, total, asked.page.number, asked.page.size)


async def _read(call: Call) -> dict[str, object]:
    claim_id = call.integer("claim")
    async with call.server.database.reading(call.community_id) as scope:
        shown = await CLAIMS.one(scope, claim_id)
    if shown["profile_id"] != call.uuid():
        raise NotFound(f"There is no claim {claim_id}.")
    return data(shown)


async def _create(call: Call, writing: Writing) -> dict[str, object]:
    row = facts.checked(call.body)
    return await as_it_is(CLAIMS, writing, await claims.claim(writing, call.uuid(), row))


async def _delete(call: Call, writing: Writing) -> None:
    await claims.withdraw(writing, call.uuid(), call.integer("claim"))


async def _unattach(call: Call, writing: Writing) -> dict[str, object]:
    transaction_id = call.integer("transaction_id")
    await claims.unattach(writing, call.uuid(), transaction_id)
    return await as_it_is(TRANSACTIONS, writing, transaction_id)


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if more.get("reads") else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_AT}{path}", summary, permit=permit, subject="id", tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "/claims", "List a profile's claims", reads=_list, shows=CLAIMS, lists=True),
    _endpoint(
        "POST",
        "/claims",
        "Claim a purchase that is nobody's yet",
        writes=_create,
        takes=ClaimIn,
        shows=CLAIMS,
        status=201,
    ),
    _endpoint("GET", "/claims/{claim}", "Read a claim", reads=_read, shows=CLAIMS),
    _endpoint(
        "DELETE",
        "/claims/{claim}",
        "Withdraw a claim; what it got stays",
        writes=_delete,
        status=204,
    ),
    _endpoint(
        "GET",
        "/{transaction_id}/unattach",
        "Make a profile's transaction nobody's again",
        writes=_unattach,
        shows=TRANSACTIONS,
    ),
)
