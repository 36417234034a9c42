"""Transactions. Concurrent write ones are committed together."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from regulars.api.profile import examples, response_schemas
from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_representation
from regulars.api.profile.transaction_includes import INCLUDES, add_includes, parse_includes
from regulars.auth import audit_rules, permits
from regulars.auth.audit_rules import AuditRule
from regulars.core.errors import NotFoundError, ValidationError
from regulars.ingest import transaction_updates
from regulars.ingest.transactions import (
    StaleCommunityError,
    StoredTransaction,
    TransactionWrite,
    WriteMode,
    WriteOutcome,
)
from regulars.ingest.write_queue import CommitResult, EncodedResponse, Representations
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

_PATH = "/api/v3/transactions"
_TAG = "transactions"


# Read ------------------------------------------------------------------------------------------------


async def _list(context: RequestContext) -> dict[str, object]:
    query, names = parse_list_query(TRANSACTIONS, context.query_params), parse_includes(context)
    async with context.app.database.read_transaction(context.community_id) as scope:
        rows, total = await fetch_page(TRANSACTIONS, scope, query)
        await add_includes(scope, rows, names)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _fetch(context: RequestContext, key: object, condition: str = "") -> dict[str, object]:
    names = parse_includes(context)
    async with context.app.database.read_transaction(context.community_id) as scope:
        transaction = await TRANSACTIONS.fetch_one(scope, key, condition)
        await add_includes(scope, [transaction], names)
    return data_envelope(transaction)


async def _read(context: RequestContext) -> dict[str, object]:
    return await _fetch(context, context.path_integer("id"))


async def _read_external(context: RequestContext) -> dict[str, object]:
    return await _fetch(context, context.path_params["external_id"], "r.external_id = $2")


# Create ----------------------------------------------------------------------------------------------


async def _created_response(
    uow: UnitOfWork, outcomes: list[WriteOutcome], representations: Representations
) -> EncodedResponse | None:
    (outcome,) = outcomes
    return (201, encode(data_envelope(representations[outcome.id]))) if isinstance(outcome, StoredTransaction) else None


def _validated_write(transaction: TransactionIn, community: Community, namespace: str | None) -> TransactionWrite:
    schema.require_fields(transaction)
    return TransactionWrite(schema.validate(transaction, community), WriteMode.CREATE, namespace)


async def _create(context: RequestContext) -> Response:
    async def commit_one(community: Community) -> CommitResult:
        write = _validated_write(context.body, community, context.namespace)
        return await context.app.group_committer.write(
            context.community_id,
            [write],
            build_response=_created_response,
            idempotency_key=context.idempotency_key,
            returns_transactions=True,
        )

    return await _commit_with_community(context, commit_one)


async def _commit_with_community(
    context: RequestContext, write: Callable[[Community], Awaitable[CommitResult]]
) -> Response:
    """Validates rows against the community and writes them; repeats it if the community changes meanwhile."""
    while True:
        try:
            result = await write(await context.app.group_committer.community(context.community_id))
        except StaleCommunityError:
            continue
        return _response(result.response, result.outcomes)


def _response(response: EncodedResponse | None, outcomes: Sequence[WriteOutcome]) -> Response:
    if response is None:
        raise next(outcome for outcome in outcomes if isinstance(outcome, ValidationError))
    status, content = response
    return Response(content, status, media_type="application/json")


class TransactionsIn(TransactionIn, frozen=True, kw_only=True):
    """A list of transactions, or one transaction."""

    transactions: tuple[msgspec.Raw, ...] | UnsetType = UNSET


TransactionsBody = TransactionsIn | tuple[msgspec.Raw, ...]


def _rows(body: TransactionsBody) -> Sequence[msgspec.Raw]:
    if isinstance(body, tuple):
        return body
    if body.transactions is UNSET:
        return [msgspec.Raw(msgspec.json.encode(body))]
    return body.transactions


async def _write_batch(context: RequestContext, *, queued: bool) -> Response:
    return await _commit_with_community(context, partial(_commit_batch, context, queued))


async def _commit_batch(context: RequestContext, queued: bool, community: Community) -> CommitResult:
    batch = RowBatch("transactions", _rows(context.body))
    valid = await context.app.worker_threads.run(
        batch.validate, TransactionIn, partial(_validated_write, community=community, namespace=context.namespace)
    )
    rejected = dict(batch.outcomes)

    async def respond(
        uow: UnitOfWork, outcomes: list[WriteOutcome], representations: Representations
    ) -> EncodedResponse:
        # The commit may be repeated, so nothing of an earlier attempt is reused.
        results: dict[int, WriteOutcome] = dict(zip(valid, outcomes, strict=True))
        batch.outcomes = rejected | {
            index: outcome if isinstance(outcome, ValidationError) else outcome.status.value
            for index, outcome in results.items()
        }
        result: dict[str, Any] = await batch.store_result(uow)
        if queued:
            queued_result = {"message": "Transactions queued for batch import.", "batch_id": result["data"]["batch_id"]}
            return 200, encode(data_envelope(queued_result))
        ids = [
            each.id if isinstance(each := results.get(index), StoredTransaction) else None
            for index in range(len(batch.rows))
        ]
        return 200, encode(data_envelope({**result["data"], "ids": ids}))

    return await context.app.group_committer.write(
        context.community_id, list(valid.values()), build_response=respond, idempotency_key=context.idempotency_key
    )


async def _batch(context: RequestContext) -> Response:
    """Creates many transactions. `ids` has the id of each row in order, null for a rejected row."""
    return await _write_batch(context, queued=False)


async def _queue(context: RequestContext) -> Response:
    """Creates many transactions with the response of a queued batch; the result is stored under its `batch_id`."""
    return await _write_batch(context, queued=True)


# Update ----------------------------------------------------------------------------------------------


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    transaction_id = context.path_integer("id")
    await transaction_updates.update(uow, transaction_id, context.body)
    return await get_representation(TRANSACTIONS, uow, transaction_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await transaction_updates.delete(uow, context.path_integer("id"))


class _TransactionDeletedError(Exception):
    """The transaction was deleted after it had been found."""


async def _update_or_create(context: RequestContext) -> Response:
    """Updates the transaction with this external id, else with this id; creates one if there is none."""

    async def update_existing(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
        transaction_id = await transaction_updates.find_existing(uow, context.body)
        if transaction_id is None:
            raise _TransactionDeletedError
        try:
            await transaction_updates.update(uow, transaction_id, context.body)
        except NotFoundError:
            raise _TransactionDeletedError from None
        return await get_representation(TRANSACTIONS, uow, transaction_id)

    while True:
        async with context.app.database.read_transaction(context.community_id) as scope:
            transaction_id = await transaction_updates.find_existing(scope, context.body)
        if transaction_id is not None:
            try:
                return await run_write(context, 200, update_existing)
            except _TransactionDeletedError:
                continue
        try:
            return await _create(context)
        except ValidationError:
            async with context.app.database.read_transaction(context.community_id) as scope:
                # If another request has created it meanwhile, it is updated; otherwise the error is final.
                if await transaction_updates.find_existing(scope, context.body) is None:
                    raise


def _endpoint(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    permit = permits.TRANSACTION_READ if method == "GET" else permits.TRANSACTION_WRITE
    return Endpoint(method, f"{_PATH}{path}", summary, permit=permit, tag=_TAG, audit=_audit_rule(method, path), **more)


def _audit_rule(method: str, path: str) -> AuditRule:
    if method == "GET":
        return audit_rules.READ_TRANSACTION if path == "/{id}" else audit_rules.READ_TRANSACTIONS
    return audit_rules.CHANGE_TRANSACTION if path == "/{id}" else audit_rules.CREATE_TRANSACTIONS


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint(
        "GET", "", "List transactions", read_handler=_list, resource=TRANSACTIONS, is_list=True, query_params=INCLUDES
    ),
    _endpoint(
        "POST",
        "",
        "Create a transaction",
        read_handler=_create,
        is_group_commit=True,
        request_model=TransactionIn,
        request_example=examples.TRANSACTION,
        resource=TRANSACTIONS,
        status=201,
    ),
    _endpoint(
        "POST",
        "/update-create",
        "Update the transaction with this external id or id, or create it",
        read_handler=_update_or_create,
        is_group_commit=True,
        request_model=TransactionIn,
        request_example=examples.TRANSACTION,
        resource=TRANSACTIONS,
        may_return_201=True,
    ),
    _endpoint(
        "POST",
        "/batch.json",
        "Create many transactions",
        read_handler=_batch,
        schema=response_schemas.BATCH,
        is_group_commit=True,
        request_model=TransactionsBody,
        request_example=examples.TRANSACTIONS,
    ),
    _endpoint(
        "POST",
        "/queue",
        "Create one or many transactions, with the response of a queued batch",
        read_handler=_queue,
        schema=response_schemas.QUEUED_BATCH,
        is_group_commit=True,
        request_model=TransactionsBody,
        request_example=examples.TRANSACTIONS,
    ),
    _endpoint(
        "GET",
        "/external/{external_id}",
        "Get a transaction by its external id",
        read_handler=_read_external,
        resource=TRANSACTIONS,
        query_params=INCLUDES,
    ),
    _endpoint("GET", "/{id}", "Get a transaction", read_handler=_read, resource=TRANSACTIONS, query_params=INCLUDES),
    _endpoint(
        "PUT",
        "/{id}",
        "Update the transaction fields of a transaction",
        write_handler=_update,
        request_model=TransactionIn,
        request_example=examples.TRANSACTION,
        resource=TRANSACTIONS,
    ),
    _endpoint("DELETE", "/{id}", "Delete a transaction with its items", write_handler=_delete, status=204),
)
