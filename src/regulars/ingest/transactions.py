"""Writes batches of transactions with their items, and marks the profiles that they change."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import Any

import msgspec

from regulars.core.errors import ValidationError, field_error
from regulars.ingest import claims, references
from regulars.model.transactions.schema import TransactionRow
from regulars.model.transactions.void_statuses import is_void_status
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

INSERT_STATEMENT = (files("regulars.ingest") / "transactions_insert.sql").read_text()
"""Inserts transactions: their columns in $2 to $22, the current time, their items in $24 to $38, and in $39 whether their
profiles are locked and the ids of their items returned.
"""

_REPLACE = (files("regulars.ingest") / "transactions_replace.sql").read_text()
_encoder = msgspec.json.Encoder(decimal_format="number")


class WriteMode(Enum):
    """What to do if a transaction with the external id exists."""

    CREATE = "create"
    """Reject the row."""
    UPSERT = "upsert"
    """Replace the transaction if it differs."""


class WriteStatus(Enum):
    """The outcome of a valid row."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A transaction that is stored. `item_ids` are those of its items if it was created as its row says."""

    id: int
    status: WriteStatus
    item_ids: Sequence[int] | None = None


WriteOutcome = StoredTransaction | ValidationError


@dataclass(slots=True)
class TransactionWrite:
    """One transaction to write."""

    row: TransactionRow
    mode: WriteMode
    namespace: str | None = None
    """The namespace of the caller."""


class StaleCommunityError(Exception):
    """The currency of the community was changed after rows were validated by it: they must be validated again."""


async def write(
    uow: UnitOfWork, writes: Sequence[TransactionWrite], *, create_profiles: bool = False
) -> list[WriteOutcome]:
    """Writes transactions with all their items and returns their outcomes in order.

    A transaction whose references can't be resolved is rejected. Errors of the database are raised. Rows with the same
    external id are written one after the other. Raises StaleCommunityError.
    """
    if any(each.row.amount_currency != uow.community.currency for each in writes):
        raise StaleCommunityError
    outcomes: dict[int, WriteOutcome] = {}
    outcomes.update(await references.resolve(uow, [each.row for each in writes], create_profiles=create_profiles))
    remaining = [index for index in range(len(writes)) if index not in outcomes]
    while remaining:
        distinct, repeated = _split_repeated(writes, remaining)
        are_plain = not repeated and not create_profiles and _are_plain(uow, writes)
        written = await _write_distinct(uow, [writes[index] for index in distinct], are_plain=are_plain)
        outcomes |= zip(distinct, written, strict=True)
        remaining = repeated
    return [outcomes[index] for index in range(len(writes))]


def _split_repeated(writes: Sequence[TransactionWrite], indexes: Sequence[int]) -> tuple[list[int], list[int]]:
    """The indexes of the first row of each external id, and of all other rows."""
    seen: set[str] = set()
    first: list[int] = []
    repeated: list[int] = []
    for index in indexes:
        external_id = writes[index].row.external_id
        if external_id is not None and external_id in seen:
            repeated.append(index)
            continue
        if external_id is not None:
            seen.add(external_id)
        first.append(index)
    return first, repeated


def _are_plain(uow: UnitOfWork, writes: Sequence[TransactionWrite]) -> bool:
    """Whether the transactions are new and all that their commit changes, so that no other lock of it comes later."""
    return not (uow.dirty_profiles or uow.dirty_members) and all(
        each.mode is WriteMode.CREATE and (each.row.profile_id is not None or each.row.receipt_ref is None)
        for each in writes
    )


async def _write_distinct(
    uow: UnitOfWork, writes: Sequence[TransactionWrite], *, are_plain: bool = False
) -> list[WriteOutcome]:
    rows = [each.row for each in writes]
    inserted = await uow.fetch(
        INSERT_STATEMENT, uow.community_id, *_header(uow, rows), uow.now, *_items(rows), are_plain
    )
    item_ids: Sequence[int] = (inserted[0]["item_ids"] or ()) if inserted else ()
    next_item = 0
    outcomes: dict[int, WriteOutcome] = {}
    conflicts: list[int] = []
    unowned: list[int] = []
    for index, (row, new) in enumerate(zip(rows, inserted, strict=True)):
        namespace = writes[index].namespace
        first_item, next_item = next_item, next_item + len(row.items)
        if new["id"] is None:
            conflicts.append(index)
            continue
        own_items = item_ids[first_item:next_item] if are_plain else None
        outcomes[index] = StoredTransaction(new["id"], WriteStatus.ACCEPTED, own_items)
        uow.changed_transactions.add(new["id"])
        uow.new_transactions.add(new["id"])
        uow.record_event("transaction.created", row.profile_id, new["id"], namespace=namespace)
        if row.profile_id is not None:
            uow.mark_dirty(row.profile_id, "transaction.created", namespace)
            if new["is_locked"]:
                uow.locked_profiles.add(row.profile_id)
        elif row.receipt_ref is not None:
            unowned.append(new["id"])
    if unowned:
        await claims.attach_claimed(uow, unowned)
    if conflicts:
        written = await _write_existing(uow, [writes[index] for index in conflicts])
        outcomes |= zip(conflicts, written, strict=True)
    return [outcomes[index] for index in range(len(writes))]


async def _write_existing(uow: UnitOfWork, writes: Sequence[TransactionWrite]) -> list[WriteOutcome]:
    """Writes transactions whose external ids were found to exist, and returns their outcomes."""
    may_replace = any(each.mode is WriteMode.UPSERT for each in writes)
    existing = await _find_existing(uow, [each.row.external_id for each in writes], lock=may_replace)
    outcomes: dict[int, WriteOutcome] = {}
    replacements: list[tuple[int, TransactionRow]] = []
    unowned: list[int] = []
    for index, each in enumerate(writes):
        stored = existing.get(each.row.external_id)
        if stored is None:
            # Deleted by another writer since the conflict: it is inserted below.
            continue
        if each.mode is WriteMode.CREATE:
            outcomes[index] = field_error(
                "external_id",
                f"is taken by transaction {stored['id']}: change that one by PUT or update-create",
            )
            continue
        is_same = stored["fingerprint"] is not None and stored["fingerprint"] == each.row.fingerprint
        outcomes[index] = StoredTransaction(stored["id"], WriteStatus.UNCHANGED if is_same else WriteStatus.ACCEPTED)
        if not is_same:
            row = _with_claimed_owner(each.row, stored)
            for item in row.items:
                # Ids of the input may belong to items of other transactions.
                item.id = None
            replacements.append((stored["id"], row))
            uow.record_event("transaction.updated", row.profile_id, stored["id"], namespace=each.namespace)
            for profile_id in (stored["profile_id"], row.profile_id):
                if profile_id is not None:
                    uow.mark_dirty(profile_id, "transaction.updated", each.namespace)
            if stored["profile_id"] is None and row.profile_id is None and row.receipt_ref is not None:
                unowned.append(stored["id"])
    if replacements:
        await replace(uow, replacements)
    if unowned:
        await claims.attach_claimed(uow, unowned)
    if missing := [index for index in range(len(writes)) if index not in outcomes]:
        written = await _write_distinct(uow, [writes[index] for index in missing])
        outcomes |= zip(missing, written, strict=True)
    return [outcomes[index] for index in range(len(writes))]


def _with_claimed_owner(row: TransactionRow, stored: Any) -> TransactionRow:
    """The row, which keeps the profile that has claimed the transaction if it names none itself."""
    if row.profile is None and stored["is_claimed"]:
        return msgspec.structs.replace(row, profile_id=stored["profile_id"])
    return row


async def _find_existing(uow: UnitOfWork, external_ids: Sequence[str | None], *, lock: bool) -> dict[str | None, Any]:
    rows = await uow.fetch(
        f"""
        SELECT existing.id, existing.external_id, existing.fingerprint, existing.profile_id,
               EXISTS (
                   SELECT FROM transaction_claims AS claim
                   WHERE claim.community_id = $1 AND claim.transaction_id = existing.id
               ) AS is_claimed
        FROM transactions AS existing
        WHERE existing.community_id = $1 AND existing.external_id = ANY ($2)
        ORDER BY existing.external_id
        {"FOR NO KEY UPDATE" if lock else ""}
        """,
        uow.community_id,
        external_ids,
    )
    return {row["external_id"]: row for row in rows}


async def replace(uow: UnitOfWork, replacements: Sequence[tuple[int, TransactionRow]]) -> None:
    """Replaces locked transactions by id, each with all its items. Their references are resolved."""
    rows = [row for _, row in replacements]
    uow.changed_transactions.update(transaction_id for transaction_id, _ in replacements)
    await uow.execute(
        _REPLACE,
        uow.community_id,
        *_header(uow, rows),
        uow.now,
        *_items(rows),
        [transaction_id for transaction_id, _ in replacements],
        [item.id for row in rows for item in row.items],
    )


def _header(uow: UnitOfWork, rows: Sequence[TransactionRow]) -> tuple[object, ...]:
    """Parameters $2 to $22."""
    # By the statuses that are void now: they may have changed since the rows were validated.
    is_void_by_status = [is_void_status(row.status, uow.community.void_statuses) for row in rows]
    sold = [row.sold_summary for row in rows]
    fingerprints = [row.fingerprint for row in rows]
    return (
        array_literal([row.external_id for row in rows]),
        array_literal([row.profile_id for row in rows]),
        array_literal([row.transacted_at for row in rows]),
        array_literal([row.timezone for row in rows]),
        array_literal([row.total for row in rows]),
        array_literal([row.currency for row in rows]),
        array_literal([row.currency_rate for row in rows]),
        array_literal([row.location_id for row in rows]),
        array_literal([",".join(row.systems) for row in rows]),
        array_literal([row.is_void or by_status for row, by_status in zip(rows, is_void_by_status, strict=True)]),
        array_literal([row.receipt_ref for row in rows]),
        array_literal(
            [_json(_details(row, by_status)) for row, by_status in zip(rows, is_void_by_status, strict=True)]
        ),
        fingerprints if any(fingerprints) else [],
        array_literal([row.amount for row in rows]),
        array_literal([row.transacted_on for row in rows]),
        array_literal([row.channels for row in rows]),
        array_literal([each.discount for each in sold]),
        array_literal([each.list_value for each in sold]),
        array_literal([None if each.product_ids is None else array_literal(each.product_ids) for each in sold]),
        array_literal([None if each.brands is None else array_literal(each.brands) for each in sold]),
        array_literal([each.overflow for each in sold]),
    )


def _details(row: TransactionRow, is_void_by_status: bool) -> dict[str, Any] | None:
    """The details to store. A transaction that is void by its status alone is restored with another status."""
    if row.is_void or not is_void_by_status or row.details is None:
        return row.details
    return row.details | {"is_voided_by_status": True}


def _items(rows: Sequence[TransactionRow]) -> tuple[str, ...]:
    """Parameters $24 to $38."""
    items = [item for row in rows for item in row.items]
    return (
        array_literal([ordinal for ordinal, row in enumerate(rows, 1) for _ in row.items]),
        array_literal([item.external_id for item in items]),
        array_literal([item.name for item in items]),
        array_literal([item.sku for item in items]),
        array_literal([item.brand for item in items]),
        array_literal([item.product_id for item in items]),
        array_literal([item.product_variant_id for item in items]),
        array_literal([item.quantity for item in items]),
        array_literal([item.price_sell for item in items]),
        array_literal([item.price_current for item in items]),
        array_literal([item.price_original for item in items]),
        array_literal([item.price_tax for item in items]),
        array_literal([_json([each.json for each in item.discounts]) for item in items]),
        array_literal([item.is_void for item in items]),
        array_literal([_json(item.details) for item in items]),
    )


def _json(value: object) -> str | None:
    return _encoder.encode(value).decode() if value else None


NO_ITEMS = _items([])
"""Parameters $24 to $38 of transactions without items."""
