"""Transactions over HTTP. New ones that come in together are committed together."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_representation
from regulars.api.profile.transaction_includes import INCLUDES, add_includes, parse_includes
from regulars.auth import permits
from regulars.core.errors import NotFoundError, ValidationError
from regulars.ingest import transaction_updates
from regulars.ingest.group_commit import CommitResult, EncodedResponse, Representations
from regulars.ingest.transactions import (
    StaleCommunityError,
    StoredTransaction,
    TransactionWrite,
    WriteMode,
    WriteOutcome,
)
from regulars.model.community import Community
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.transactions import schema
from regulars.model.transactions.schema import TRANSACTIONS, TransactionIn
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.bodies import encode
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope
from regulars.web.request_handler import run_write

_AT = "/api/v3/transactions"
_TAG = "transactions"


# Reading ---------------------------------------------------------------------------------------------


async def _list(call: RequestContext) -> dict[str, object]:
    asked, names = parse_list_query(TRANSACTIONS, call.query_params), parse_includes(call)
    async with call.app.database.read_transaction(call.community_id) as scope:
        things, total = await fetch_page(TRANSACTIONS, scope, asked)
        await add_includes(scope, things, names)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def _one(call: RequestContext, key: object, condition: str = "") -> dict[str, object]:
    names = parse_includes(call)
    async with call.app.database.read_transaction(call.community_id) as scope:
        shown = await TRANSACTIONS.fetch_one(scope, key, condition)
        await add_includes(scope, [shown], names)
    return data_envelope(shown)


async def _read(call: RequestContext) -> dict[str, object]:
    return await _one(call, call.path_integer("id"))


async def _read_external(call: RequestContext) -> dict[str, object]:
    return await _one(call, call.path_params["external_id"], "r.external_id = $2")


# Making ----------------------------------------------------------------------------------------------


async def _shown(uow: UnitOfWork, outcomes: list[WriteOutcome], shown: Representations) -> EncodedResponse | None:
    (outcome,) = outcomes
    return (201, encode(data_envelope(shown[outcome.id]))) if isinstance(outcome, StoredTransaction) else None


def _new(given: TransactionIn, community: Community) -> TransactionWrite:
    schema.require_fields(given)
    return TransactionWrite(schema.validate(given, community), WriteMode.CREATE)


async def _create(call: RequestContext) -> Response:
    async def put(community: Community) -> CommitResult:
        new = _new(call.body, community)
        return await call.app.group_committer.write(
            call.community_id,
            [new],
            build_response=_shown,
            idempotency_key=call.idempotency_key,
            returns_transactions=True,
        )

    return await _put(call, put)


async def _put(call: RequestContext, put: Callable[[Community], Awaitable[CommitResult]]) -> Response:
    """The answer to rows that are checked by the community, anew where its currency has just been changed."""
    while True:
        try:
            result = await put(await call.app.group_committer.community(call.community_id))
        except StaleCommunityError:
            continue
        return _answered(result.response, result.outcomes)


def _answered(answer: EncodedResponse | None, outcomes: Sequence[WriteOutcome]) -> Response:
    if answer is None:
        raise next(outcome for outcome in outcomes if isinstance(outcome, ValidationError))
    status, content = answer
    return Response(content, status, media_type="application/json")


class TransactionsIn(TransactionIn, frozen=True, kw_only=True):
    """Transactions in a list, or one by itself."""

    transactions: tuple[msgspec.Raw, ...] | UnsetType = UNSET


TransactionsBody = TransactionsIn | tuple[msgspec.Raw, ...]


def _rows(body: TransactionsBody) -> Sequence[msgspec.Raw]:
    if isinstance(body, tuple):
        return body
    if body.transactions is UNSET:
        return [msgspec.Raw(msgspec.json.encode(body))]
    return body.transactions


async def _put_many(call: RequestContext, *, queued: bool) -> Response:
    return await _put(call, partial(_batch_put, call, queued))


async def _batch_put(call: RequestContext, queued: bool, community: Community) -> CommitResult:
    batch = RowBatch("transactions", _rows(call.body))
    good = await call.app.worker_threads.run(batch.validate, TransactionIn, partial(_new, community=community))
    refused = dict(batch.outcomes)

    async def respond(uow: UnitOfWork, outcomes: list[WriteOutcome], shown: Representations) -> EncodedResponse:
        # From the start, for a batch that meets another's lock is answered anew.
        results: dict[int, WriteOutcome] = dict(zip(good, outcomes, strict=True))
        batch.outcomes = refused | {
            place: outcome if isinstance(outcome, ValidationError) else outcome.status.value
            for place, outcome in results.items()
        }
        kept: dict[str, Any] = await batch.store_result(uow)
        if queued:
            said = {"message": "Transactions queued for batch import.", "batch_id": kept["data"]["batch_id"]}
            return 200, encode(data_envelope(said))
        ids = [
            each.id if isinstance(each := results.get(place), StoredTransaction) else None
            for place in range(len(batch.rows))
        ]
        return 200, encode(data_envelope({**kept["data"], "ids": ids}))

    return await call.app.group_committer.write(
        call.community_id, list(good.values()), build_response=respond, idempotency_key=call.idempotency_key
    )


async def _batch(call: RequestContext) -> Response:
    """Makes many transactions; `ids` are those of the rows in order, null where one was rejected."""
    return await _put_many(call, queued=False)


async def _queue(call: RequestContext) -> Response:
    """As a batch, answered as one that is queued; what came of it is kept under its batch_id."""
    return await _put_many(call, queued=True)


# Changing --------------------------------------------------------------------------------------------


async def _change(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id = call.path_integer("id")
    await transaction_updates.update(uow, transaction_id, call.body)
    return await get_representation(TRANSACTIONS, uow, transaction_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await transaction_updates.delete(uow, call.path_integer("id"))


class _GoneError(Exception):
    """The transaction that was to be changed has just been deleted."""


async def _update_or_create(call: RequestContext) -> Response:
    """Changes the transaction with that external id, else with that id; makes one where there is none."""

    async def change(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
        found = await transaction_updates.find_existing(uow, call.body)
        if found is None:
            raise _GoneError
        try:
            await transaction_updates.update(uow, found, call.body)
        except NotFoundError:
            raise _GoneError from None
        return await get_representation(TRANSACTIONS, uow, found)

    while True:
        async with call.app.database.read_transaction(call.community_id) as scope:
            found = await transaction_updates.find_existing(scope, call.body)
        if found is not None:
            try:
                return await run_write(call, 200, change)
            except _GoneError:
                continue
        try:
            return await _create(call)
        except ValidationError:
            async with call.app.database.read_transaction(call.community_id) as scope:
                # Where another has just made it, it is changed; any other refusal stands.
                if await transaction_updates.find_existing(scope, call.body) is None:
                    raise


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if method == "GET" else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_AT}{path}", summary, permit=permit, tag=_TAG, **more)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint(
        "GET", "", "List transactions", read_handler=_list, resource=TRANSACTIONS, is_list=True, query_params=INCLUDES
    ),
    _endpoint(
        "POST",
        "",
        "Make a transaction",
        read_handler=_create,
        is_group_commit=True,
        request_model=TransactionIn,
        resource=TRANSACTIONS,
        status=201,
    ),
    _endpoint(
        "POST",
        "/update-create",
        "Change the transaction with that external id or id, or make it",
        read_handler=_update_or_create,
        is_group_commit=True,
        request_model=TransactionIn,
        resource=TRANSACTIONS,
        may_return_201=True,
    ),
    _endpoint(
        "POST",
        "/batch.json",
        "Make many transactions",
        read_handler=_batch,
        is_group_commit=True,
        request_model=TransactionsBody,
    ),
    _endpoint(
        "POST",
        "/queue",
        "Queue one or many transactions",
        read_handler=_queue,
        is_group_commit=True,
        request_model=TransactionsBody,
    ),
    _endpoint(
        "GET",
        "/external/{external_id}",
        "Read a transaction by its external id",
        read_handler=_read_external,
        resource=TRANSACTIONS,
        query_params=INCLUDES,
    ),
    _endpoint("GET", "/{id}", "Read a transaction", read_handler=_read, resource=TRANSACTIONS, query_params=INCLUDES),
    _endpoint(
        "PUT",
        "/{id}",
        "Change what is given of a transaction",
        write_handler=_change,
        request_model=TransactionIn,
        resource=TRANSACTIONS,
    ),
    _endpoint("DELETE", "/{id}", "Delete a transaction with its items", write_handler=_delete, status=204),
)
