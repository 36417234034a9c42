"""What a change makes of a transaction that stands: given fields go over it, its lines are matched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core.errors import NotFoundError, ValidationError
from regulars.model.community import Community
from regulars.model.transactions import line_items
from regulars.model.transactions.line_items import ItemIn, value_or_none
from regulars.model.transactions.schema import TRANSACTIONS, TransactionIn, TransactionRow, to_input, validate
from regulars.model.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class LockedTransaction:
    """A transaction that is locked: as it could be sent back, and what the wire does not say of it."""

    id: int
    profile_id: UUID | None
    location_id: int | None
    transacted_at: datetime
    receipt_ref: str | None
    current: TransactionIn

    @property
    def items(self) -> tuple[ItemIn, ...]:
        """Its lines, in order."""
        return value_or_none(self.current.items) or ()


_LOCK = """
SELECT id, profile_id, location_id, transacted_at, receipt_ref
FROM transactions
WHERE community_id = $1 AND id = $2
FOR {strength}
"""


async def fetch_for_update(uow: UnitOfWork, transaction_id: int, *, to_delete: bool = False) -> LockedTransaction:
    """A transaction, locked, as no other writer will change it meanwhile. Raises NotFoundError."""
    statement = _LOCK.format(strength="UPDATE" if to_delete else "NO KEY UPDATE")
    row = await uow.fetchrow(statement, uow.community_id, transaction_id)
    if row is None:
        raise NotFoundError(f"There is no transaction {transaction_id}.")
    # Read by a later statement than the lock, so that what its last holder wrote is seen.
    return LockedTransaction(**row, current=to_input(await TRANSACTIONS.fetch_one(uow, transaction_id)))


@dataclass(frozen=True, slots=True)
class ItemUpdate:
    """A line as it is to be: what it was before, if it stood, and the path at which it came in."""

    item: ItemIn
    before: ItemIn | None
    path: str


@dataclass(frozen=True, slots=True)
class TransactionUpdate:
    """A transaction as it will be kept. `lines` are those of its row, in order."""

    row: TransactionRow
    items: tuple[ItemUpdate, ...]

    def restore_paths(self, refused: ValidationError) -> ValidationError:
        """A refusal of the row, told by the paths at which its lines came in."""
        return _renamed(refused, self.items)


def _renamed(refused: ValidationError, lines: Sequence[ItemUpdate]) -> ValidationError:
    found: dict[str, str] = {}
    for path, message in refused.errors.items():
        first, _, rest = path.partition(".")
        place, _, field = rest.partition(".")
        if first == "items" and place.isdigit():
            at = lines[int(place)].path
            found[f"{at}.{field}" if at and field else at or field] = message
        else:
            found[path] = message
    return ValidationError(found)


# The header ------------------------------------------------------------------------------------------

# Told apart from the rest, because what they name is kept as it is unless they name something else.
_REFERENCES = ("profile_id", "profile_id_handle", "profile", "location_id", "location")
_MERGED = tuple(
    name
    for name in TransactionIn.__struct_fields__
    if name not in (*_REFERENCES, "id", "items", "delete_existing_items")
)


def apply(
    standing: LockedTransaction, given: TransactionIn, lines: Sequence[ItemUpdate], community: Community
) -> TransactionUpdate:
    """A transaction with the given fields over its own: absent ones stay, null clears.

    Raises Refused by path.
    """
    fields = {name: value for name in _MERGED if (value := getattr(given, name)) is not UNSET}
    references = {name: getattr(given, name) for name in _REFERENCES}
    items = tuple(line.item for line in lines)
    merged = msgspec.structs.replace(standing.current, **fields, **references, items=items)
    try:
        row = validate(merged, community)
        _require(lines)
    except ValidationError as refused:
        raise _renamed(refused, lines) from None
    if _is_the_one_read(row.transacted_at, str(merged.transacted_at), standing):
        row.transacted_at = standing.transacted_at
    _keep_references(standing, given, row)
    for line, kept in zip(lines, row.items, strict=True):
        if line.before is not None and _same_product(line.before, line.item):
            kept.product_id = value_or_none(line.before.product_id)
            kept.product_variant_id = value_or_none(line.before.product_variant_id)
            kept.is_resolved = True
    return TransactionUpdate(row, tuple(lines))


def _is_the_one_read(at: datetime | None, text: str, standing: LockedTransaction) -> bool:
    # What was read is cut to the second; sent back, it is the same instant. A fraction is meant as it is.
    return "." not in text and "," not in text and at == standing.transacted_at.replace(microsecond=0)


def _keep_references(standing: LockedTransaction, given: TransactionIn, row: TransactionRow) -> None:
    # Who and where it was may be deleted by now, and still belongs to it.
    is_given = given.location_id is not UNSET or row.place is not None
    if not is_given or row.place == str(standing.location_id):
        row.place, row.location_id = None, standing.location_id
    is_given = given.profile_id is not UNSET or row.profile is not None
    if not is_given or row.profile == ("id", str(standing.profile_id)):
        row.profile, row.profile_id = None, standing.profile_id


def _require(lines: Sequence[ItemUpdate]) -> None:
    missing: dict[str, str] = {}
    for place, line in enumerate(lines):
        if line.before is None:
            try:
                line_items.require_fields(line.item, f"items.{place}")
            except ValidationError as refused:
                missing |= refused.errors
    if missing:
        raise ValidationError(missing)


# The lines -------------------------------------------------------------------------------------------

_PRODUCT = frozenset({"product_variant_id", "sku", "product_id"})


def unchanged_items(standing: LockedTransaction) -> list[ItemUpdate]:
    """Its lines as they stand."""
    return [ItemUpdate(each, each, f"items.{place}") for place, each in enumerate(standing.items)]


def match_items(standing: LockedTransaction, given: TransactionIn) -> list[ItemUpdate]:
    """Its lines after those given: matched by id, then by external id, the rest appended.

    With `delete_existing_items` those given are all there are; without `items` the lines stay.
    """
    came = value_or_none(given.items)
    if came is None:
        return unchanged_items(standing)
    if value_or_none(given.delete_existing_items):
        return _only(standing, came)
    lines = unchanged_items(standing)
    taken: set[int] = set()
    for place, item in enumerate(came):
        path = f"items.{place}"
        at = _match(standing.items, item, taken)
        if at is None:
            lines.append(ItemUpdate(new_item(item), None, path))
        else:
            taken.add(at)
            lines[at] = ItemUpdate(merge_item(lines[at].item, item), lines[at].before, path)
    return lines


def _only(standing: LockedTransaction, came: Sequence[ItemIn]) -> list[ItemUpdate]:
    ids = {item.id for item in standing.items}
    lines = []
    for place, item in enumerate(came):
        # A line keeps its number, once.
        lines.append(ItemUpdate(item if item.id in ids else new_item(item), None, f"items.{place}"))
        ids.discard(item.id)
    return lines


def _match(standing: Sequence[ItemIn], item: ItemIn, taken: set[int]) -> int | None:
    def first(matches: Callable[[int, ItemIn], bool]) -> int | None:
        return next((at for at, each in enumerate(standing) if matches(at, each)), None)

    found = None if value_or_none(item.id) is None else first(lambda at, each: each.id == item.id)
    if found is None and (external_id := _text(item.external_id)):
        found = first(lambda at, each: at not in taken and _text(each.external_id) == external_id)
    return found


def new_item(item: ItemIn) -> ItemIn:
    """A line as it came in, under no number of its own."""
    return msgspec.structs.replace(item, id=UNSET)


def merge_item(before: ItemIn, given: ItemIn) -> ItemIn:
    """A line with the given fields over its own. Of what names its product, what is new counts."""
    fields = {
        name: value
        for name in ItemIn.__struct_fields__
        if name != "id" and (value := getattr(given, name)) is not UNSET
    }
    if "discount" in fields:
        fields.setdefault("discounts", UNSET)
    new = {name for name in fields.keys() & _PRODUCT if _text(fields[name]) != _text(getattr(before, name))}
    if new:
        fields |= {name: UNSET for name in ("product_variant_id", "product_id") if name not in new}
    return msgspec.structs.replace(before, **fields)


def _same_product(before: ItemIn, item: ItemIn) -> bool:
    inline = item.product_variant
    return (inline is UNSET or bytes(inline) == b"null") and all(
        _text(getattr(before, name)) == _text(getattr(item, name)) for name in _PRODUCT
    )


def _text(value: object) -> str | None:
    return None if value is UNSET or value is None else str(value)
