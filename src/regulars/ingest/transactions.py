"""Puts many transactions into their tables at once, and says which profiles they touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import Any

import msgspec

from regulars.core.errors import ValidationError, field_error
from regulars.ingest import claims, references
from regulars.model.transactions.schema import TransactionRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

INSERT_STATEMENT = (files("regulars.ingest") / "transactions_insert.sql").read_text()
"""New transactions: columns $2 to $22, the instant, and their items in $24 to $38."""

_REPLACE = (files("regulars.ingest") / "transactions_replace.sql").read_text()
_encoder = msgspec.json.Encoder(decimal_format="number")


class WriteMode(Enum):
    """What an external id that is there already means."""

    CREATE = "create"
    """A clash."""
    UPSERT = "upsert"
    """The same transaction again: replaced where it differs."""


class WriteStatus(Enum):
    """What became of a row."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A transaction that is kept now."""

    id: int
    status: WriteStatus


WriteOutcome = StoredTransaction | ValidationError


@dataclass(slots=True)
class TransactionWrite:
    """One transaction to be put."""

    row: TransactionRow
    mode: WriteMode


class StaleCommunityError(Exception):
    """The community's currency was changed since rows were checked by it: they have to be checked anew."""


async def write(
    uow: UnitOfWork, writes: Sequence[TransactionWrite], *, create_profiles: bool = False
) -> list[WriteOutcome]:
    """Puts transactions, each with all its items; what came of each, in order.

    A transaction whose references can't be resolved is refused, and only that one. What the database
    refuses is raised. Rows with one external id are put in order. Raises StaleCommunityError.
    """
    if any(each.row.unit != uow.community.currency for each in writes):
        raise StaleCommunityError
    outcomes: dict[int, WriteOutcome] = {}
    refusals = await references.resolve(uow, [each.row for each in writes], create_profiles=create_profiles)
    outcomes.update(refusals)
    waiting = [place for place in range(len(writes)) if place not in outcomes]
    while waiting:
        now, later = _distinct(writes, waiting)
        made = await _put_distinct(uow, [writes[place] for place in now])
        outcomes |= zip(now, made, strict=True)
        waiting = later
    return [outcomes[place] for place in range(len(writes))]


def _distinct(puts: Sequence[TransactionWrite], places: Sequence[int]) -> tuple[list[int], list[int]]:
    """The first of each external id, and the rest."""
    seen: set[str] = set()
    now: list[int] = []
    later: list[int] = []
    for place in places:
        external_id = puts[place].row.external_id
        if external_id is not None and external_id in seen:
            later.append(place)
            continue
        if external_id is not None:
            seen.add(external_id)
        now.append(place)
    return now, later


async def _put_distinct(uow: UnitOfWork, puts: Sequence[TransactionWrite]) -> list[WriteOutcome]:
    rows = [each.row for each in puts]
    found = await uow.fetch(INSERT_STATEMENT, uow.community_id, *_header(rows), uow.now, *_items(rows))
    outcomes: dict[int, WriteOutcome] = {}
    clashes: list[int] = []
    unowned: list[int] = []
    for place, (row, made) in enumerate(zip(rows, found, strict=True)):
        if made["id"] is None:
            clashes.append(place)
            continue
        outcomes[place] = StoredTransaction(made["id"], WriteStatus.ACCEPTED)
        uow.changed_transactions.add(made["id"])
        if row.profile_id is not None:
            uow.mark_dirty(row.profile_id, "transaction.created")
        elif row.receipt_ref is not None:
            unowned.append(made["id"])
    if unowned:
        await claims.attach_claimed(uow, unowned)
    if clashes:
        clashing = await _put_clashing(uow, [puts[place] for place in clashes])
        outcomes |= zip(clashes, clashing, strict=True)
    return [outcomes[place] for place in range(len(puts))]


async def _put_clashing(uow: UnitOfWork, puts: Sequence[TransactionWrite]) -> list[WriteOutcome]:
    """What comes of transactions whose external ids were there when they were to be made."""
    known = await _known(uow, [each.row.external_id for each in puts])
    outcomes: dict[int, WriteOutcome] = {}
    replacing: list[tuple[int, TransactionRow]] = []
    unowned: list[int] = []
    for place, each in enumerate(puts):
        there = known.get(each.row.external_id)
        if there is None:
            # Deleted since: it is made after all, below.
            continue
        if each.mode is WriteMode.CREATE:
            outcomes[place] = field_error(
                "external_id",
                f"is taken by transaction {there['id']}: change that one by PUT or update-create",
            )
            continue
        same = there["fingerprint"] is not None and there["fingerprint"] == each.row.fingerprint
        outcomes[place] = StoredTransaction(there["id"], WriteStatus.UNCHANGED if same else WriteStatus.ACCEPTED)
        if not same:
            row = _with_owner(each.row, there)
            for item in row.items:
                # New ones: a number that came in may be another line's.
                item.id = None
            replacing.append((there["id"], row))
            if there["profile_id"] is not None:
                uow.mark_dirty(there["profile_id"], "transaction.updated")
            elif row.profile_id is None and row.receipt_ref is not None:
                unowned.append(there["id"])
    if replacing:
        await replace(uow, replacing)
    if unowned:
        await claims.attach_claimed(uow, unowned)
    again = [place for place in range(len(puts)) if place not in outcomes]
    if again:
        made = await _put_distinct(uow, [puts[place] for place in again])
        outcomes |= zip(again, made, strict=True)
    return [outcomes[place] for place in range(len(puts))]


def _with_owner(row: TransactionRow, there: Any) -> TransactionRow:
    """A row that names nobody leaves a claimed transaction to whoever has claimed it."""
    if row.profile is None and there["is_claimed"]:
        return msgspec.structs.replace(row, profile_id=there["profile_id"])
    return row


async def _known(uow: UnitOfWork, external_ids: Sequence[str | None]) -> dict[str | None, Any]:
    rows = await uow.fetch(
        """
        SELECT known.id, known.external_id, known.fingerprint, known.profile_id,
               EXISTS (
                   SELECT FROM transaction_claims AS claim
                   WHERE claim.community_id = $1 AND claim.transaction_id = known.id
               ) AS is_claimed
        FROM transactions AS known
        WHERE known.community_id = $1 AND known.external_id = ANY ($2)
        ORDER BY known.external_id
        FOR NO KEY UPDATE
        """,
        uow.community_id,
        external_ids,
    )
    return {row["external_id"]: row for row in rows}


async def replace(uow: UnitOfWork, changed: Sequence[tuple[int, TransactionRow]]) -> None:
    """Replaces transactions by id, resolved and locked, each with all its items."""
    rows = [row for _, row in changed]
    uow.changed_transactions.update(transaction_id for transaction_id, _ in changed)
    await uow.execute(
        _REPLACE,
        uow.community_id,
        *_header(rows),
        uow.now,
        *_items(rows),
        [transaction_id for transaction_id, _ in changed],
        [item.id for row in rows for item in row.items],
    )
    for row in rows:
        if row.profile_id is not None:
            uow.mark_dirty(row.profile_id, "transaction.updated")


def _header(rows: Sequence[TransactionRow]) -> tuple[object, ...]:
    """Columns $2 to $22."""
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
        array_literal([row.is_void for row in rows]),
        array_literal([row.receipt_ref for row in rows]),
        array_literal([_json(row.details) for row in rows]),
        fingerprints if any(fingerprints) else [],
        array_literal([row.amount for row in rows]),
        array_literal([row.transacted_on for row in rows]),
        array_literal([row.channels for row in rows]),
        array_literal([each.discount for each in sold]),
        array_literal([each.list_value for each in sold]),
        array_literal([None if each.products is None else array_literal(each.products) for each in sold]),
        array_literal([None if each.brands is None else array_literal(each.brands) for each in sold]),
        array_literal([each.in_items for each in sold]),
    )


def _items(rows: Sequence[TransactionRow]) -> tuple[str, ...]:
    """Columns $24 to $38."""
    items = [item for row in rows for item in row.items]
    return (
        array_literal([owner for owner, row in enumerate(rows, 1) for _ in row.items]),
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
"""Columns $24 to $38 of transactions without items."""
