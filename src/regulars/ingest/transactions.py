"""Puts many transactions into their tables at once, and says which profiles they touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import Any

import msgspec

from regulars.facts.refusals import Refused, refuse
from regulars.facts.transactions import TransactionRow
from regulars.facts.writing import Writing
from regulars.ingest import claims, references
from regulars.storage.arrays import array

INSERT = (files("regulars.ingest") / "transactions_insert.sql").read_text()
"""New transactions: columns $2 to $22, the instant, and their items in $24 to $38."""

_REPLACE = (files("regulars.ingest") / "transactions_replace.sql").read_text()
_encoder = msgspec.json.Encoder(decimal_format="number")


class Mode(Enum):
    """What an external id that is there already means."""

    CREATE = "create"
    """A clash."""
    UPSERT = "upsert"
    """The same transaction again: replaced where it differs."""


class Kind(Enum):
    """What became of a row."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Kept:
    """A transaction that is kept now."""

    id: int
    kind: Kind


Outcome = Kept | Refused


@dataclass(slots=True)
class Put:
    """One transaction to be put."""

    row: TransactionRow
    mode: Mode


class OutdatedError(Exception):
    """The community's currency was changed since rows were checked by it: they have to be checked anew."""


async def put(writing: Writing, puts: Sequence[Put], *, create_profiles: bool = False) -> list[Outcome]:
    """Puts transactions, each with all its items; what came of each, in order.

    A transaction whose references can't be resolved is refused, and only that one. What the database
    refuses is raised. Rows with one external id are put in order. Raises OutdatedError.
    """
    if any(each.row.unit != writing.community.currency for each in puts):
        raise OutdatedError
    outcomes: dict[int, Outcome] = {}
    refusals = await references.resolve(writing, [each.row for each in puts], create_profiles=create_profiles)
    outcomes.update(refusals)
    waiting = [place for place in range(len(puts)) if place not in outcomes]
    while waiting:
        now, later = _distinct(puts, waiting)
        made = await _put_distinct(writing, [puts[place] for place in now])
        outcomes |= zip(now, made, strict=True)
        waiting = later
    return [outcomes[place] for place in range(len(puts))]


def _distinct(puts: Sequence[Put], places: Sequence[int]) -> tuple[list[int], list[int]]:
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


async def _put_distinct(writing: Writing, puts: Sequence[Put]) -> list[Outcome]:
    rows = [each.row for each in puts]
    found = await writing.fetch(INSERT, writing.community_id, *_header(rows), writing.now, *_items(rows))
    outcomes: dict[int, Outcome] = {}
    clashes: list[int] = []
    unowned: list[int] = []
    for place, (row, made) in enumerate(zip(rows, found, strict=True)):
        if made["id"] is None:
            clashes.append(place)
            continue
        outcomes[place] = Kept(made["id"], Kind.LOADED)
        writing.transactions.add(made["id"])
        if row.profile_id is not None:
            writing.touch(row.profile_id, "transaction.created")
        elif row.receipt_ref is not None:
            unowned.append(made["id"])
    if unowned:
        await claims.attach_arrived(writing, unowned)
    if clashes:
        clashing = await _put_clashing(writing, [puts[place] for place in clashes])
        outcomes |= zip(clashes, clashing, strict=True)
    return [outcomes[place] for place in range(len(puts))]


async def _put_clashing(writing: Writing, puts: Sequence[Put]) -> list[Outcome]:
    """What comes of transactions whose external ids were there when they were to be made."""
    known = await _known(writing, [each.row.external_id for each in puts])
    outcomes: dict[int, Outcome] = {}
    replacing: list[tuple[int, TransactionRow]] = []
    unowned: list[int] = []
    for place, each in enumerate(puts):
        there = known.get(each.row.external_id)
        if there is None:
            # Deleted since: it is made after all, below.
            continue
        if each.mode is Mode.CREATE:
            outcomes[place] = refuse(
                "external_id",
                f"is taken by transaction {there['id']}: change that one by PUT or update-create",
            )
            continue
        same = there["fingerprint"] is not None and there["fingerprint"] == each.row.fingerprint
        outcomes[place] = Kept(there["id"], Kind.UNCHANGED if same else Kind.LOADED)
        if not same:
            row = _with_owner(each.row, there)
            for item in row.items:
                # New ones: a number that came in may be another line's.
                item.id = None
            replacing.append((there["id"], row))
            if there["profile_id"] is not None:
                writing.touch(there["profile_id"], "transaction.updated")
            elif row.profile_id is None and row.receipt_ref is not None:
                unowned.append(there["id"])
    if replacing:
        await replace(writing, replacing)
    if unowned:
        await claims.attach_arrived(writing, unowned)
    again = [place for place in range(len(puts)) if place not in outcomes]
    if again:
        made = await _put_distinct(writing, [puts[place] for place in again])
        outcomes |= zip(again, made, strict=True)
    return [outcomes[place] for place in range(len(puts))]


def _with_owner(row: TransactionRow, there: Any) -> TransactionRow:
    """A row that names nobody leaves a claimed transaction to whoever has claimed it."""
    if row.profile is None and there["is_claimed"]:
        return msgspec.structs.replace(row, profile_id=there["profile_id"])
    return row


async def _known(writing: Writing, external_ids: Sequence[str | None]) -> dict[str | None, Any]:
    rows = await writing.fetch(
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
        writing.community_id,
        external_ids,
    )
    return {row["external_id"]: row for row in rows}


async def replace(writing: Writing, changed: Sequence[tuple[int, TransactionRow]]) -> None:
    """Replaces transactions by id, resolved and locked, each with all its items."""
    rows = [row for _, row in changed]
    writing.transactions.update(transaction_id for transaction_id, _ in changed)
    await writing.execute(
        _REPLACE,
        writing.community_id,
        *_header(rows),
        writing.now,
        *_items(rows),
        [transaction_id for transaction_id, _ in changed],
        [item.id for row in rows for item in row.items],
    )
    for row in rows:
        if row.profile_id is not None:
            writing.touch(row.profile_id, "transaction.updated")


def _header(rows: Sequence[TransactionRow]) -> tuple[object, ...]:
    """Columns $2 to $22."""
    sold = [row.sold for row in rows]
    fingerprints = [row.fingerprint for row in rows]
    return (
        array([row.external_id for row in rows]),
        array([row.profile_id for row in rows]),
        array([row.transacted_at for row in rows]),
        array([row.timezone for row in rows]),
        array([row.total for row in rows]),
        array([row.currency for row in rows]),
        array([row.currency_rate for row in rows]),
        array([row.location_id for row in rows]),
        array([",".join(row.systems) for row in rows]),
        array([row.is_void for row in rows]),
        array([row.receipt_ref for row in rows]),
        array([_json(row.details) for row in rows]),
        fingerprints if any(fingerprints) else [],
        array([row.amount for row in rows]),
        array([row.shop_date for row in rows]),
        array([row.channels for row in rows]),
        array([each.discount for each in sold]),
        array([each.list_value for each in sold]),
        array([None if each.products is None else array(each.products) for each in sold]),
        array([None if each.brands is None else array(each.brands) for each in sold]),
        array([each.in_items for each in sold]),
    )


def _items(rows: Sequence[TransactionRow]) -> tuple[str, ...]:
    """Columns $24 to $38."""
    items = [item for row in rows for item in row.items]
    return (
        array([owner for owner, row in enumerate(rows, 1) for _ in row.items]),
        array([item.external_id for item in items]),
        array([item.name for item in items]),
        array([item.sku for item in items]),
        array([item.brand for item in items]),
        array([item.product_id for item in items]),
        array([item.product_variant_id for item in items]),
        array([item.quantity for item in items]),
        array([item.price_sell for item in items]),
        array([item.price_current for item in items]),
        array([item.price_original for item in items]),
        array([item.price_tax for item in items]),
        array([_json([each.shown for each in item.discounts]) for item in items]),
        array([item.is_void for item in items]),
        array([_json(item.details) for item in items]),
    )


def _json(value: object) -> str | None:
    return _encoder.encode(value).decode() if value else None


NO_ITEMS = _items([])
"""Columns $24 to $38 of transactions without items."""
