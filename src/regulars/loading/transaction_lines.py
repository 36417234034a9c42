"""Parses transactions from the lines of a file: one line per transaction, or one line per item."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from operator import attrgetter

import msgspec
from msgspec import UNSET

from regulars.core.errors import QuotingText, ValidationError
from regulars.core.row_decoding import decode_row
from regulars.facts.transactions import ITEM_COLUMNS, TransactionLine
from regulars.loading.group_lines import MAX_TRANSACTION_LINES, has_too_many_lines
from regulars.loading.readers.rows import FileRow, RawRow, RejectedRow, trim_id
from regulars.model.community import Community
from regulars.model.transactions import schema
from regulars.model.transactions.line_items import ItemIn, value_or_none
from regulars.model.transactions.schema import TransactionIn, TransactionRow

_item_cells = attrgetter(*ITEM_COLUMNS)
_UNSET_ITEM = dict.fromkeys(ITEM_COLUMNS, UNSET)
_UNSET_CELLS = tuple(_UNSET_ITEM.values())
_decoder = msgspec.json.Decoder(TransactionLine, strict=False)

# Columns of the file whose field in the validated row has another name.
_COLUMN_OF = {"location_ref": "location", "local_time": "transacted_at", "amount": "total"}
_NOT_COMPARED = {"items", "fingerprint"}
_NULL = msgspec.Raw(b"null")

_MILLIONTH = Decimal("0.000001")
_EXACT = Context(prec=100)
"""A price times a quantity has 12 decimal places; a sum of them is rounded once."""


@dataclass(frozen=True, slots=True)
class ParsedTransaction:
    """A transaction of lines; `differing` are the header columns in which a line differs from the first one with a value,
    and `line` is the first such line.
    """

    row: TransactionRow
    differing: tuple[str, ...] = ()
    line: int = 0


def parse_transaction(
    group: Sequence[FileRow], community: Community, *, is_strict: bool = False
) -> ParsedTransaction | list[RejectedRow]:
    """The transaction of a group of lines, with the fingerprint of their content; or the errors by line.

    One invalid line rejects the whole transaction, which would be incomplete without it. Of a header column, the first
    line with a value decides; with `is_strict`, all lines must have the same values.
    """
    if has_too_many_lines(group):
        number = group[0].number if isinstance(group[0], RawRow) else group[0].line
        return [RejectedRow(number, {"items": f"must be at most {MAX_TRANSACTION_LINES}"})]
    rejections = [row for row in group if isinstance(row, RejectedRow)]
    lines: list[tuple[int, TransactionLine]] = []
    for row in group:
        if isinstance(row, RawRow):
            try:
                lines.append((row.number, parse_line(row.content)))
            except ValidationError as error:
                rejections.append(RejectedRow(row.number, error.errors))
    if not rejections:
        rejections = _contradictions(lines, community) if is_strict else _contradicting_items(lines)
    if rejections:
        return sorted(rejections, key=lambda each: each.line)
    return _combine(lines, community)


_LIST_AND_COLUMNS = "must be a list or in columns of their own, not both"


def parse_line(content: bytes) -> TransactionLine:
    """Decodes a line. Raises ValidationError by path."""
    line = decode_row(content, _decoder)
    external_id = value_or_none(line.external_id)
    if external_id is None or trim_id(str(external_id)) is None:
        raise ValidationError({"external_id": "is required: it identifies the transaction in later imports"})
    if _has_item_columns(line) and value_or_none(line.items):
        raise ValidationError({"items": _LIST_AND_COLUMNS})
    return line


def _has_item_columns(line: TransactionLine) -> bool:
    cells = _item_cells(line)
    return cells != _UNSET_CELLS and any(value is not None and value is not UNSET for value in cells)


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
    """The fields of a line that concern the whole transaction."""
    items = UNSET if _has_item_columns(line) else line.items
    return msgspec.structs.replace(line, items=items, **_UNSET_ITEM)


def _contradictions(lines: Sequence[tuple[int, TransactionLine]], community: Community) -> list[RejectedRow]:
    """The lines whose header differs from that of the first line."""
    if len(lines) == 1:
        return []
    (first_number, first), *others = [(number, _header(line)) for number, line in lines]
    rejections = []
    for number, header in others:
        if header != first:
            try:
                columns = _differing_columns(first, header, community)
            except ValidationError as error:
                rejections.append(RejectedRow(number, error.errors))
                continue
            if columns:
                rejections.append(RejectedRow(number, dict.fromkeys(columns, _differs_from(first_number))))
    return rejections


def _differs_from(number: int) -> QuotingText:
    reason = "all lines with one external_id are one transaction"
    return QuotingText(f"differs from line {number}: {reason}", f"differs from another line: {reason}")


def _contradicting_items(lines: Sequence[tuple[int, TransactionLine]]) -> list[RejectedRow]:
    """The lines with another list of items than the first one that has a list, or with items in columns: one of them would be
    lost.
    """
    lists = [(number, _header(line).items) for number, line in lines if value_or_none(_header(line).items)]
    if lists and (in_columns := [number for number, line in lines if _has_item_columns(line)]):
        return [RejectedRow(number, {"items": _LIST_AND_COLUMNS}) for number in in_columns]
    return [
        RejectedRow(number, {"items": _differs_from(lists[0][0])})
        for number, items in lists[1:]
        if items != lists[0][1]
    ]


def _differing_columns(first: TransactionIn, other: TransactionIn, community: Community) -> list[str]:
    """The columns in which two headers differ after validation; a number or a time has several notations."""
    without_total = value_or_none(first.total) is None and value_or_none(other.total) is None
    if without_total:
        # It is the sum of the lines.
        first, other = (msgspec.structs.replace(each, total=Decimal(0)) for each in (first, other))
    rows = [schema.validate(each, community, allow_local=True) for each in (first, other)]
    names = [name for name in TransactionRow.__struct_fields__ if name not in _NOT_COMPARED]
    columns = [_COLUMN_OF.get(name, name) for name in names if getattr(rows[0], name) != getattr(rows[1], name)]
    if (value_or_none(first.items) or ()) != (value_or_none(other.items) or ()):
        columns.append("items")
    return list(dict.fromkeys(columns))


def _merge_headers(lines: Sequence[tuple[int, TransactionLine]]) -> tuple[TransactionLine, tuple[str, ...], int]:
    """The header of a transaction, the columns in which lines differ from it, and the first such line.

    An empty cell does not differ: many programs write the header on the first line only.
    """
    (first_number, first), *others = [(number, _header(line)) for number, line in lines]
    differing: dict[str, int] = {}
    for number, header in others:
        if header == first:
            continue
        for name in TransactionIn.__struct_fields__:
            value, merged = getattr(header, name), getattr(first, name)
            if value == merged or _is_empty(value):
                continue
            if _is_empty(merged):
                first = msgspec.structs.replace(first, **{name: value})
            else:
                differing.setdefault(name, number)
    return first, tuple(differing), min(differing.values(), default=first_number)


def _is_empty(value: object) -> bool:
    return value is None or value is UNSET or value == "" or value == () or value == _NULL


def _combine(
    lines: Sequence[tuple[int, TransactionLine]], community: Community
) -> ParsedTransaction | list[RejectedRow]:
    header, differing, line = (lines[0][1], (), 0) if len(lines) == 1 else _merge_headers(lines)
    transaction: TransactionIn = header
    item_lines = [(number, line) for number, line in lines if _has_item_columns(line)]
    if item_lines:
        items = tuple(_item(line) for _, line in item_lines)
        transaction = msgspec.structs.replace(_header(header), items=items)
    if value_or_none(transaction.total) is None:
        transaction = _with_total(transaction)
    try:
        row = schema.validate(transaction, community, allow_local=True)
    except ValidationError as error:
        if value_or_none(transaction.total) is None:
            error = ValidationError({**error.errors, "total": "is required, or the price_sell of the lines"})
        return _errors_by_line(lines[0][0], [number for number, _ in item_lines], error)
    row.fingerprint = schema.fingerprint(transaction)
    return ParsedTransaction(row, differing, line)


def _with_total(transaction: TransactionIn) -> TransactionIn:
    """The transaction with the sum of its lines as its total, if any has a price; void lines do not count."""
    total: Decimal | None = None
    for item in value_or_none(transaction.items) or ():
        price, quantity = value_or_none(item.price_sell), value_or_none(item.quantity)
        quantity = Decimal(1) if quantity is None else quantity
        if price is None or value_or_none(item.is_void):
            continue
        if not price.is_finite() or not quantity.is_finite():
            # The validation of the items reports it.
            return transaction
        total = _EXACT.add(total or Decimal(0), _EXACT.multiply(price, quantity))
    if total is None:
        return transaction
    rounded = total.quantize(_MILLIONTH, ROUND_HALF_EVEN, _EXACT)
    # Without zeros at the end, as people write it.
    return msgspec.structs.replace(transaction, total=Decimal(f"{rounded.normalize(_EXACT):f}"))


def _errors_by_line(first_number: int, item_numbers: Sequence[int], error: ValidationError) -> list[RejectedRow]:
    """The errors of a transaction at the lines that contain them: those of items at their own line."""
    errors: dict[int, dict[str, str]] = {}
    for path, message in error.errors.items():
        parts = path.split(".", 2)
        if item_numbers and parts[0] == "items" and len(parts) == 3:
            errors.setdefault(item_numbers[int(parts[1])], {})[parts[2]] = message
        else:
            errors.setdefault(first_number, {})[path] = message
    return [RejectedRow(number, messages) for number, messages in sorted(errors.items())]
