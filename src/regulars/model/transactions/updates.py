"""Updates of transactions: the request's fields replace the stored ones, and its items are matched with the stored
items.
"""

from collections.abc import Callable, Mapping, Sequence
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
    """A locked transaction: its stored columns, and `current`, the request that would create it."""

    id: int
    profile_id: UUID | None
    location_id: int | None
    transacted_at: datetime
    receipt_ref: str | None
    is_voided_by_status: bool
    """Whether it is void because of its status alone."""
    current: TransactionIn

    @property
    def items(self) -> tuple[ItemIn, ...]:
        """The stored items in their order."""
        return value_or_none(self.current.items) or ()


_LOCK = """
SELECT id, profile_id, location_id, transacted_at, receipt_ref,
       coalesce((details ->> 'is_voided_by_status')::boolean, false) AS is_voided_by_status
FROM transactions
WHERE community_id = $1 AND id = $2
FOR {strength}
"""


async def fetch_for_update(uow: UnitOfWork, transaction_id: int, *, to_delete: bool = False) -> LockedTransaction:
    """Locks a transaction and returns it. Raises NotFoundError."""
    statement = _LOCK.format(strength="UPDATE" if to_delete else "NO KEY UPDATE")
    row = await uow.fetchrow(statement, uow.community_id, transaction_id)
    if row is None:
        raise NotFoundError(f"There is no transaction {transaction_id}.")
    # Read by a later statement than the lock, so that it includes the writes of the previous holder.
    current = to_input(await TRANSACTIONS.fetch_one(uow, transaction_id))
    if row["is_voided_by_status"]:
        current = msgspec.structs.replace(current, is_void=False)
    return LockedTransaction(**row, current=current)


@dataclass(frozen=True, slots=True)
class ItemUpdate:
    """An item after the update, the stored item it replaces if there is one, and its path in the request."""

    item: ItemIn
    before: ItemIn | None
    path: str


@dataclass(frozen=True, slots=True)
class TransactionUpdate:
    """A transaction after the update, with the updates of its items in the order of the row."""

    row: TransactionRow
    items: tuple[ItemUpdate, ...]

    def restore_paths(self, error: ValidationError) -> ValidationError:
        """Returns an error of the row with the paths that items have in the request."""
        return _renamed(error, self.items)


def _renamed(error: ValidationError, lines: Sequence[ItemUpdate]) -> ValidationError:
    found: dict[str, str] = {}
    for path, message in error.errors.items():
        first, _, rest = path.partition(".")
        index, _, field = rest.partition(".")
        if first == "items" and index.isdigit():
            at = lines[int(index)].path
            found[f"{at}.{field}" if at and field else at or field] = message
        else:
            found[path] = message
    return ValidationError(found)


# The header ------------------------------------------------------------------------------------------

# Handled apart from other fields: the stored profile and location stay, even deleted ones, unless others are named.
_REFERENCES = ("profile_id", "profile_id_handle", "profile", "location_id", "location")
_MERGED = tuple(
    name
    for name in TransactionIn.__struct_fields__
    if name not in (*_REFERENCES, "id", "items", "delete_existing_items")
)


def apply(
    locked: LockedTransaction, changes: TransactionIn, lines: Sequence[ItemUpdate], community: Community
) -> TransactionUpdate:
    """Applies the request's fields to a transaction: absent ones are unchanged, null clears. Raises ValidationError."""
    fields = {name: value for name in _MERGED if (value := getattr(changes, name)) is not UNSET}
    if locked.is_voided_by_status and fields.get("status", locked.current.status) == locked.current.status:
        # The response said void, and a client that sends it back voids nothing.
        fields = {name: value for name, value in fields.items() if (name, value) != ("is_void", True)}
    references = {name: getattr(changes, name) for name in _REFERENCES}
    items = tuple(line.item for line in lines)
    merged = msgspec.structs.replace(locked.current, **fields, **references, items=items)
    try:
        row = validate(merged, community)
        _require(lines)
    except ValidationError as error:
        raise _renamed(error, lines) from None
    if _is_stored_time(row.transacted_at, str(merged.transacted_at), locked):
        row.transacted_at = locked.transacted_at
    _keep_references(locked, changes, row)
    for line, item in zip(lines, row.items, strict=True):
        if line.before is not None and _same_product(line.before, line.item):
            item.product_id = value_or_none(line.before.product_id)
            item.product_variant_id = value_or_none(line.before.product_variant_id)
            item.is_resolved = True
    return TransactionUpdate(row, tuple(lines))


def _is_stored_time(at: datetime | None, text: str, locked: LockedTransaction) -> bool:
    # Responses are truncated to the second; a client that sends one back means the stored time.
    return "." not in text and "," not in text and at == locked.transacted_at.replace(microsecond=0)


def _keep_references(locked: LockedTransaction, changes: TransactionIn, row: TransactionRow) -> None:
    # The profile and location may have been deleted and still belong to the transaction.
    has_reference = changes.location_id is not UNSET or row.location_ref is not None
    if not has_reference or row.location_ref == str(locked.location_id):
        row.location_ref, row.location_id = None, locked.location_id
    has_reference = changes.profile_id is not UNSET or row.profile is not None
    if not has_reference or row.profile == ("id", str(locked.profile_id)):
        row.profile, row.profile_id = None, locked.profile_id


def _require(lines: Sequence[ItemUpdate]) -> None:
    missing: dict[str, str] = {}
    for index, line in enumerate(lines):
        if line.before is None:
            try:
                line_items.require_fields(line.item, f"items.{index}")
            except ValidationError as error:
                missing |= error.errors
    if missing:
        raise ValidationError(missing)


# The lines -------------------------------------------------------------------------------------------

_PRODUCT = frozenset({"product_variant_id", "sku", "product_id"})


def unchanged_items(locked: LockedTransaction) -> list[ItemUpdate]:
    """The stored items, unchanged."""
    return [ItemUpdate(each, each, f"items.{index}") for index, each in enumerate(locked.items)]


def match_items(locked: LockedTransaction, changes: TransactionIn, variants: Mapping[str, int]) -> list[ItemUpdate]:
    """The items after the request's: matched by id, then by external id, then as the nth item of the same product; the
    others are appended. So the same request again changes nothing. `variants` are the ids of variants by SKU.

    With `delete_existing_items` the request's items replace all stored ones; without `items` nothing changes.
    """
    requested = value_or_none(changes.items)
    if requested is None:
        return unchanged_items(locked)
    if value_or_none(changes.delete_existing_items):
        return _replace_all(locked, requested)
    lines = unchanged_items(locked)
    for index, (item, at) in enumerate(zip(requested, _match_all(locked.items, requested, variants), strict=True)):
        path = f"items.{index}"
        if at is None:
            lines.append(ItemUpdate(new_item(item), None, path))
        else:
            lines[at] = ItemUpdate(merge_item(lines[at].item, item), lines[at].before, path)
    return lines


def _replace_all(locked: LockedTransaction, requested: Sequence[ItemIn]) -> list[ItemUpdate]:
    ids = {item.id for item in locked.items}
    lines = []
    for index, item in enumerate(requested):
        # The first item with the id of a stored item keeps that id.
        lines.append(ItemUpdate(item if item.id in ids else new_item(item), None, f"items.{index}"))
        ids.discard(item.id)
    return lines


def _match_all(locked: Sequence[ItemIn], requested: Sequence[ItemIn], variants: Mapping[str, int]) -> list[int | None]:
    """The index of the stored item that each requested item means; None for new ones."""
    matched: set[int] = set()
    found: list[int | None] = []
    for item in requested:
        at = _match_id(locked, item, matched)
        found.append(at)
        matched |= set() if at is None else {at}
    for index, item in enumerate(requested):
        if found[index] is None and (at := _match_product(locked, item, matched, variants)) is not None:
            found[index] = at
            matched.add(at)
    return found


def _match_product(
    locked: Sequence[ItemIn], item: ItemIn, matched: set[int], variants: Mapping[str, int]
) -> int | None:
    """The first item of the same product that no other requested item means. Two external ids are two items."""
    return next(
        (
            at
            for at, each in enumerate(locked)
            if at not in matched
            and (_text(item.external_id) is None or _text(each.external_id) is None)
            and _is_of_product(each, item, variants)
        ),
        None,
    )


def _is_of_product(stored: ItemIn, item: ItemIn, variants: Mapping[str, int]) -> bool:
    """Whether two items are of one product: by the first of variant, SKU and name that both have."""
    sku = _text(item.sku) or inline_sku(item)
    variant_id = _text(item.product_variant_id) or _text(variants.get(sku or ""))
    names = (
        (_text(stored.product_variant_id), variant_id),
        (_text(stored.sku), sku),
        (_text(stored.name), _text(item.name)),
    )
    return next((one == other for one, other in names if one and other), False)


class _InlineSku(msgspec.Struct):
    sku: str | int | None = None


def inline_sku(item: ItemIn) -> str | None:
    """The SKU of the inline variant of an item; None if it has none."""
    if item.product_variant is UNSET:
        return None
    try:
        found = msgspec.json.decode(item.product_variant, type=_InlineSku | None)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # The validation of the item reports it.
        return None
    return None if found is None or found.sku is None else str(found.sku)


def _match_id(locked: Sequence[ItemIn], item: ItemIn, matched: set[int]) -> int | None:
    def first(matches: Callable[[int, ItemIn], bool]) -> int | None:
        return next((at for at, each in enumerate(locked) if matches(at, each)), None)

    found = None if value_or_none(item.id) is None else first(lambda at, each: each.id == item.id)
    if found is None and (external_id := _text(item.external_id)):
        found = first(lambda at, each: at not in matched and _text(each.external_id) == external_id)
    return found


def new_item(item: ItemIn) -> ItemIn:
    """The item of a request without its id."""
    return msgspec.structs.replace(item, id=UNSET)


def merge_item(before: ItemIn, changes: ItemIn) -> ItemIn:
    """Applies the request's fields to an item. Of the fields that name the product, only those that differ count."""
    fields = {
        name: value
        for name in ItemIn.__struct_fields__
        if name != "id" and (value := getattr(changes, name)) is not UNSET
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
