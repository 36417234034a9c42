"""What a change makes of a transaction that stands: given fields go over it, its lines are matched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.facts import transaction_items
from regulars.facts.community import Community
from regulars.facts.refusals import NotFound, Refused
from regulars.facts.transaction_items import ItemIn, present
from regulars.facts.transactions import TRANSACTIONS, TransactionIn, TransactionRow, as_given, checked
from regulars.facts.writing import Writing


@dataclass(frozen=True, slots=True)
class Standing:
    """A transaction that is locked: as it could be sent back, and what the wire does not say of it."""

    id: int
    profile_id: UUID | None
    location_id: int | None
    transacted_at: datetime
    receipt_ref: str | None
    given: TransactionIn

    @property
    def items(self) -> tuple[ItemIn, ...]:
        """Its lines, in order."""
        return present(self.given.items) or ()


_LOCK = """
SELECT id, profile_id, location_id, transacted_at, receipt_ref
FROM transactions
WHERE community_id = $1 AND id = $2
FOR {strength}
"""


async def locked(writing: Writing, transaction_id: int, *, to_delete: bool = False) -> Standing:
    """A transaction, locked, as no other writer will change it meanwhile. Raises NotFound."""
    statement = _LOCK.format(strength="UPDATE" if to_delete else "NO KEY UPDATE")
    row = await writing.fetchrow(statement, writing.community_id, transaction_id)
    if row is None:
        raise NotFound(f"There is no transaction {transaction_id}.")
    # Read by a later statement than the lock, so that what its last holder wrote is seen.
    return Standing(**row, given=as_given(await TRANSACTIONS.one(writing, transaction_id)))


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is to be: what it was before, if it stood, and the path at which it came in."""

    item: ItemIn
    before: ItemIn | None
    path: str


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction as it will be kept. `lines` are those of its row, in order."""

    row: TransactionRow
    lines: tuple[Line, ...]

    def refusal(self, refused: Refused) -> Refused:
        """A refusal of the row, told by the paths at which its lines came in."""
        return _renamed(refused, self.lines)


def _renamed(refused: Refused, lines: Sequence[Line]) -> Refused:
    found: dict[str, str] = {}
    for path, message in refused.errors.items():
        first, _, rest = path.partition(".")
        place, _, field = rest.partition(".")
        if first == "items" and place.isdigit():
            at = lines[int(place)].path
            found[f"{at}.{field}" if at and field else at or field] = message
        else:
            found[path] = message
    return Refused(found)


# The header ------------------------------------------------------------------------------------------

# Told apart from the rest, because what they name is kept as it is unless they name something else.
_REFERENCES = ("profile_id", "profile_id_handle", "profile", "location_id", "location")
_MERGED = tuple(
    name
    for name in TransactionIn.__struct_fields__
    if name not in (*_REFERENCES, "id", "items", "delete_existing_items")
)


def changed(standing: Standing, given: TransactionIn, lines: Sequence[Line], community: Community) -> Change:
    """A transaction with the given fields over its own: absent ones stay, null clears.

    Raises Refused by path.
    """
    fields = {name: value for name in _MERGED if (value := getattr(given, name)) is not UNSET}
    references = {name: getattr(given, name) for name in _REFERENCES}
    items = tuple(line.item for line in lines)
    merged = msgspec.structs.replace(standing.given, **fields, **references, items=items)
    try:
        row = checked(merged, community)
        _require(lines)
    except Refused as refused:
        raise _renamed(refused, lines) from None
    if _is_the_one_read(row.transacted_at, str(merged.transacted_at), standing):
        row.transacted_at = standing.transacted_at
    _keep_references(standing, given, row)
    for line, kept in zip(lines, row.items, strict=True):
        if line.before is not None and _same_product(line.before, line.item):
            kept.product_id = present(line.before.product_id)
            kept.product_variant_id = present(line.before.product_variant_id)
            kept.is_resolved = True
    return Change(row, tuple(lines))


def _is_the_one_read(at: datetime | None, text: str, standing: Standing) -> bool:
    # What was read is cut to the second; sent back, it is the same instant. A fraction is meant as it is.
    return "." not in text and "," not in text and at == standing.transacted_at.replace(microsecond=0)


def _keep_references(standing: Standing, given: TransactionIn, row: TransactionRow) -> None:
    # Who and where it was may be deleted by now, and still belongs to it.
    is_given = given.location_id is not UNSET or row.place is not None
    if not is_given or row.place == str(standing.location_id):
        row.place, row.location_id = None, standing.location_id
    is_given = given.profile_id is not UNSET or row.profile is not None
    if not is_given or row.profile == ("id", str(standing.profile_id)):
        row.profile, row.profile_id = None, standing.profile_id


def _require(lines: Sequence[Line]) -> None:
    missing: dict[str, str] = {}
    for place, line in enumerate(lines):
        if line.before is None:
            try:
                transaction_items.require(line.item, f"items.{place}")
            except Refused as refused:
                missing |= refused.errors
    if missing:
        raise Refused(missing)


# The lines -------------------------------------------------------------------------------------------

_PRODUCT = frozenset({"product_variant_id", "sku", "product_id"})


def kept_lines(standing: Standing) -> list[Line]:
    """Its lines as they stand."""
    return [Line(each, each, f"items.{place}") for place, each in enumerate(standing.items)]


def matched_lines(standing: Standing, given: TransactionIn) -> list[Line]:
    """Its lines after those given: matched by id, then by external id, the rest appended.

    With `delete_existing_items` those given are all there are; without `items` the lines stay.
    """
    came = present(given.items)
    if came is None:
        return kept_lines(standing)
    if present(given.delete_existing_items):
        return _only(standing, came)
    lines = kept_lines(standing)
    taken: set[int] = set()
    for place, item in enumerate(came):
        path = f"items.{place}"
        at = _match(standing.items, item, taken)
        if at is None:
            lines.append(Line(new_item(item), None, path))
        else:
            taken.add(at)
            lines[at] = Line(merged_item(lines[at].item, item), lines[at].before, path)
    return lines


def _only(standing: Standing, came: Sequence[ItemIn]) -> list[Line]:
    ids = {item.id for item in standing.items}
    lines = []
    for place, item in enumerate(came):
        # A line keeps its number, once.
        lines.append(Line(item if item.id in ids else new_item(item), None, f"items.{place}"))
        ids.discard(item.id)
    return lines


def _match(standing: Sequence[ItemIn], item: ItemIn, taken: set[int]) -> int | None:
    def first(matches: Callable[[int, ItemIn], bool]) -> int | None:
        return next((at for at, each in enumerate(standing) if matches(at, each)), None)

    found = None if present(item.id) is None else first(lambda at, each: each.id == item.id)
    if found is None and (external_id := _text(item.external_id)):
        found = first(lambda at, each: at not in taken and _text(each.external_id) == external_id)
    return found


def new_item(item: ItemIn) -> ItemIn:
    """A line as it came in, under no number of its own."""
    return msgspec.structs.replace(item, id=UNSET)


def merged_item(before: ItemIn, given: ItemIn) -> ItemIn:
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
