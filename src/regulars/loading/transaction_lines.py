"""From lines of a file to a transaction: one line that holds it all, or one line an item."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec
from msgspec import UNSET

from regulars.core.errors import ValidationError, from_msgspec
from regulars.facts.transactions import ITEM_COLUMNS, TransactionLine
from regulars.loading import group_lines
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow
from regulars.model.community import Community
from regulars.model.transactions import schema
from regulars.model.transactions.line_items import ItemIn, value_or_none
from regulars.model.transactions.schema import TransactionIn, TransactionRow

_columns = attrgetter(*ITEM_COLUMNS)
_NO_ITEM = dict.fromkeys(ITEM_COLUMNS, UNSET)
_NOT_GIVEN = tuple(_NO_ITEM.values())
_decoder = msgspec.json.Decoder(TransactionLine, strict=False)

# What a line's column is called, where the checked row calls it otherwise.
_COLUMN_OF = {"location_ref": "location", "local_time": "transacted_at", "amount": "total"}
_NOT_COMPARED = {"items", "fingerprint"}


def parse_transaction(group: Sequence[FileRow], community: Community) -> TransactionRow | list[RejectedRow]:
    """The transaction that lines make, with the fingerprint of all they say; or what is wrong with them.

    Where one line is no good, the transaction is not taken, for it would lack something.
    """
    if group_lines.has_too_many_lines(group):
        number = group[0].number if isinstance(group[0], RawRow) else group[0].line
        return [RejectedRow(number, {"items": f"must be at most {group_lines.MAX_TRANSACTION_LINES}"})]
    rejections = [row for row in group if isinstance(row, RejectedRow)]
    lines: list[tuple[int, TransactionLine]] = []
    for row in group:
        if isinstance(row, RawRow):
            try:
                lines.append((row.number, parse_line(row.content)))
            except ValidationError as refused:
                rejections.append(RejectedRow(row.number, refused.errors))
    if not rejections:
        rejections = _disagreeing(lines, community)
    if rejections:
        return sorted(rejections, key=lambda each: each.line)
    return _checked(lines, community)


def parse_line(content: bytes) -> TransactionLine:
    """A line as it came in. Raises Refused by path."""
    try:
        line = _decoder.decode(content)
    except msgspec.ValidationError as error:
        raise from_msgspec(error) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValidationError({"": f"is not JSON: {error}"}) from None
    if value_or_none(line.external_id) in (None, ""):
        raise ValidationError({"external_id": "is required: it tells a transaction that comes again from a new one"})
    if _is_of_an_item(line) and value_or_none(line.items):
        raise ValidationError({"items": "come as a list or in columns of their own, not both"})
    return line


def _is_of_an_item(line: TransactionLine) -> bool:
    given = _columns(line)
    return given != _NOT_GIVEN and any(value is not None and value is not UNSET for value in given)


def _item(line: TransactionLine) -> ItemIn:
    return ItemIn(
        sku=line.sku,
        name=line.name,
        brand=line.brand,
        quantity=line.quantity,
        price_sell=line.price_sell,
        price_current=line.price_current,
        discount=line.discount,
    )


def _header(line: TransactionLine) -> TransactionLine:
    """What a line says of the transaction as a whole."""
    items = UNSET if _is_of_an_item(line) else line.items
    return msgspec.structs.replace(line, items=items, **_NO_ITEM)


def _disagreeing(lines: Sequence[tuple[int, TransactionLine]], community: Community) -> list[RejectedRow]:
    """What lines say that the first does not."""
    if len(lines) == 1:
        return []
    (number, first), *others = [(number, _header(line)) for number, line in lines]
    rejections = []
    for place, other in others:
        if other != first:
            try:
                differing = _differing(first, other, community)
            except ValidationError as refused:
                rejections.append(RejectedRow(place, refused.errors))
                continue
            if differing:
                text = f"differs from that of line {number}: lines with one external_id are one transaction"
                rejections.append(RejectedRow(place, dict.fromkeys(differing, text)))
    return rejections


def _differing(one: TransactionIn, other: TransactionIn, community: Community) -> list[str]:
    """The columns in which two headers differ; a number or a time may be written in several ways."""
    rows = [schema.validate(each, community, allow_local=True) for each in (one, other)]
    names = [name for name in TransactionRow.__struct_fields__ if name not in _NOT_COMPARED]
    found = [_COLUMN_OF.get(name, name) for name in names if getattr(rows[0], name) != getattr(rows[1], name)]
    if (value_or_none(one.items) or ()) != (value_or_none(other.items) or ()):
        found.append("items")
    return list(dict.fromkeys(found))


def _checked(lines: Sequence[tuple[int, TransactionLine]], community: Community) -> TransactionRow | list[RejectedRow]:
    number, first = lines[0]
    given: TransactionIn = first
    of_items = [(place, line) for place, line in lines if _is_of_an_item(line)]
    if of_items:
        items = tuple(_item(line) for _, line in of_items)
        given = msgspec.structs.replace(_header(first), items=items)
    try:
        row = schema.validate(given, community, allow_local=True)
    except ValidationError as refused:
        return _placed(number, [place for place, _ in of_items], refused)
    row.fingerprint = schema.fingerprint(given)
    return row


def _placed(number: int, places: Sequence[int], refused: ValidationError) -> list[RejectedRow]:
    """What is wrong with a transaction, each at the line that says it."""
    found: dict[int, dict[str, str]] = {}
    for path, text in refused.errors.items():
        parts = path.split(".", 2)
        if places and parts[0] == "items" and len(parts) == 3:
            found.setdefault(places[int(parts[1])], {})[parts[2]] = text
        else:
            found.setdefault(number, {})[path] = text
    return [RejectedRow(line, errors) for line, errors in sorted(found.items())]
