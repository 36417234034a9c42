"""Transactions over HTTP. New ones that come in together are committed together."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from regulars.access import permits
from regulars.api.batches import Batch
from regulars.api.endpoint import Call, Endpoint, data, page
from regulars.api.resources import as_it_is
from regulars.api.server import encoded
from regulars.api.transaction_includes import INCLUDES, include, included
from regulars.facts import transactions
from regulars.facts.community import Community
from regulars.facts.refusals import NotFound, Refused
from regulars.facts.resource import listed, listing
from regulars.facts.transactions import TRANSACTIONS, TransactionIn
from regulars.facts.writing import Writing
from regulars.ingest import changes
from regulars.ingest.grouping import Answer, Result, Shown
from regulars.ingest.transactions import Kept, Mode, Outcome, OutdatedError, Put

_AT = "/api/v3/transactions"
_TAG = "transactions"


# Reading ---------------------------------------------------------------------------------------------


async def _list(call: Call) -> dict[str, object]:
    asked, names = listing(TRANSACTIONS, call.query), included(call)
    async with call.server.database.reading(call.community_id) as scope:
        things, total = await listed(TRANSACTIONS, scope, asked)
        await include(scope, things, names)
    return page(call, things, total, asked.page.number, asked.page.size)


async def _one(call: Call, key: object, condition: str = "") -> dict[str, object]:
    names = included(call)
    async with call.server.database.reading(call.community_id) as scope:
        shown = await TRANSACTIONS.one(scope, key, condition)
        await include(scope, [shown], names)
    return data(shown)


async def _read(call: Call) -> dict[str, object]:
    return await _one(call, call.integer("id"))


async def _read_external(call: Call) -> dict[str, object]:
    return await _one(call, call.path["external_id"], "r.external_id = $2")


# Making ----------------------------------------------------------------------------------------------


async def _shown(writing: Writing, outcomes: list[Outcome], shown: Shown) -> Answer | None:
    (outcome,) = outcomes
    return (201, encoded(data(shown[outcome.id]))) if isinstance(outcome, Kept) else None


def _new(given: TransactionIn, community: Community) -> Put:
    transactions.require(given)
    return Put(transactions.checked(given, community), Mode.CREATE)


async def _create(call: Call) -> Response:
    async def put(community: Community) -> Result:
        new = _new(call.body, community)
        return await call.server.committers.put(call.community_id, [new], respond=_shown, once=call.once, shows=True)

    return await _put(call, put)


async def _put(call: Call, put: Callable[[Community], Awaitable[Result]]) -> Response:
    """The answer to rows that are checked by the community, anew where its currency has just been changed."""
    while True:
        try:
            result = await put(await call.server.committers.community(call.community_id))
        except OutdatedError:
            continue
        return _answered(result.answer, result.outcomes)


def _answered(answer: Answer | None, outcomes: Sequence[Outcome]) -> Response:
    if answer is None:
        raise next(outcome for outcome in outcomes if isinstance(outcome, Refused))
    status, content = answer
    return Response(content, status, media_type="application/json")


class TransactionsIn(TransactionIn, frozen=True, kw_only=True):
    """Transactions in a list, or one by itself."""

    transactions: tuple[msgspec.Raw, ...] | UnsetType = UNSET


Many = TransactionsIn | tuple[msgspec.Raw, ...]


def _rows(body: Many) -> Sequence[msgspec.Raw]:
    if isinstance(body, tuple):
        return body
    if body.transactions is UNSET:
        return [msgspec.Raw(msgspec.json.encode(body))]
    return body.transactions


async def _put_many(call: Call, *, queued: bool) -> Response:
    return await _put(call, partial(_batch_put, call, queued))


async def _batch_put(call: Call, queued: bool, community: Community) -> Result:
    batch = Batch("transactions", _rows(call.body))
    good = await call.server.worker_threads.run(batch.checked, TransactionIn, partial(_new, community=community))
    refused = dict(batch.outcomes)

    async def respond(writing: Writing, outcomes: list[Outcome], shown: Shown) -> Answer:
        # From the start, for a batch that meets another's lock is answered anew.
        results: dict[int, Outcome] = dict(zip(good, outcomes, strict=True))
        batch.outcomes = refused | {
            place: outcome if isinstance(outcome, Refused) else outcome.kind.value for place, outcome in results.items()
        }
        kept: dict[str, Any] = await batch.kept(writing)
        if queued:
            said = {"message": "Transactions queued for batch import.", "batch_id": kept["data"]["batch_id"]}
            return 200, encoded(data(said))
        ids = [each.id if isinstance(each := results.get(place), Kept) else None for place in range(len(batch.rows))]
        return 200, encoded(data({**kept["data"], "ids": ids}))

    return await call.server.committers.put(call.community_id, list(good.values()), respond=respond, once=call.once)


async def _batch(call: Call) -> Response:
    """Makes many transactions; `ids` are those of the rows in order, null where one was rejected."""
    return await _put_many(call, queued=False)


async def _queue(call: Call) -> Response:
    """As a batch, answered as one that is queued; what came of it is kept under its batch_id."""
    return await _put_many(call, queued=True)


# Changing --------------------------------------------------------------------------------------------


async def _change(call: Call, writing: Writing) -> dict[str, object]:
    transaction_id = call.integer("id")
    await changes.change(writing, transaction_id, call.body)
    return await as_it_is(TRANSACTIONS, writing, transaction_id)


async def _delete(call: Call, writing: Writing) -> None:
    await changes.delete(writing, call.integer("id"))


class _GoneError(Exception):
    """The transaction that was to be changed has just been deleted."""


async def _update_or_create(call: Call) -> Response:
    """Changes the transaction with that external id, else with that id; makes one where there is none."""

    async def change(call: Call, writing: Writing) -> dict[str, object]:
        found = await changes.matching(writing, call.body)
        if found is None:
            raise _GoneError
        try:
            await changes.change(writing, found, call.body)
        except NotFound:
            raise _GoneError from None
        return await as_it_is(TRANSACTIONS, writing, found)

    while True:
        async with call.server.database.reading(call.community_id) as scope:
            found = await changes.matching(scope, call.body)
        if found is not None:
            try:
                return await call.server.written(call, 200, change)
            except _GoneError:
                continue
        try:
            return await _create(call)
        except Refused:
            async with call.server.database.reading(call.community_id) as scope:
                # Where another has just made it, it is changed; any other refusal stands.
                if await changes.matching(scope, call.body) is None:
                    raise


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if method == "GET" else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_AT}{path}", summary, permit=permit, tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "", "List transactions", reads=_list, shows=TRANSACTIONS, lists=True, query=INCLUDES),
    _endpoint(
        "POST",
        "",
        "Make a transaction",
        reads=_create,
        groups=True,
        takes=TransactionIn,
        shows=TRANSACTIONS,
        status=201,
    ),
    _endpoint(
        "POST",
        "/update-create",
        "Change the transaction with that external id or id, or make it",
        reads=_update_or_create,
        groups=True,
        takes=TransactionIn,
        shows=TRANSACTIONS,
        creates=True,
    ),
    _endpoint("POST", "/batch.json", "Make many transactions", reads=_batch, groups=True, takes=Many),
    _endpoint("POST", "/queue", "Queue one or many transactions", reads=_queue, groups=True, takes=Many),
    _endpoint(
        "GET",
        "/external/{external_id}",
        "Read a transaction by its external id",
        reads=_read_external,
        shows=TRANSACTIONS,
        query=INCLUDES,
    ),
    _endpoint("GET", "/{id}", "Read a transaction", reads=_read, shows=TRANSACTIONS, query=INCLUDES),
    _endpoint(
        "PUT",
        "/{id}",
        "Change what is given of a transaction",
        writes=_change,
        takes=TransactionIn,
        shows=TRANSACTIONS,
    ),
    _endpoint("DELETE", "/{id}", "Delete a transaction with its items", writes=_delete, status=204),
)
