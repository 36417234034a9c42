"""Items of transactions: the request, its validation, the stored row, and the totals of sold items."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from regulars.core import money
from regulars.core.errors import ValidationError
from regulars.core.field_type import FieldType
from regulars.core.time_forms import BLANKS
from regulars.core.validation import Id, check_json
from regulars.model.resource import Resource, ResourceField

Text = Annotated[str, Meta(max_length=255)]
TextOrInt = Text | int
"""A name or an ID; some clients send a number."""

MAX_QUANTITY = Decimal(10) ** 7
MAX_ITEMS = 2_000


class DiscountIn(msgspec.Struct, frozen=True):
    """The field of a discount that is computed with: its amount for the whole item. All others are only stored."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount of an item: its amount, and its JSON as stored and shown."""

    amount: Decimal
    json: object


class ItemIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an item in a request. The API requires name, prices and quantity, files require none."""

    id: Id = UNSET
    external_id: TextOrInt | UnsetType | None = UNSET
    name: Annotated[str, Meta(max_length=1000)] | int | UnsetType | None = UNSET
    sku: TextOrInt | UnsetType | None = UNSET
    brand: Text | UnsetType | None = UNSET
    product_id: Id = UNSET
    product_variant_id: Id = UNSET
    product_variant: msgspec.Raw | UnsetType = UNSET
    quantity: Decimal | UnsetType | None = UNSET
    price_sell: Decimal | UnsetType | None = UNSET
    price_current: Decimal | UnsetType | None = UNSET
    price_original: Decimal | UnsetType | None = UNSET
    price_tax: Decimal | UnsetType | None = UNSET
    discount: Decimal | UnsetType | None = UNSET
    discounts: tuple[msgspec.Raw, ...] | UnsetType | None = UNSET
    is_void: bool | UnsetType | None = UNSET
    tags: msgspec.Raw | UnsetType = UNSET
    meta: msgspec.Raw | UnsetType = UNSET


REQUIRED_FIELDS = ("name", "price_current", "price_sell", "quantity")
"""The fields that the API requires of a new item."""


class ItemRow(msgspec.Struct, kw_only=True):
    """A validated item.

    A request names the product by `requested_variant_id`, `sku`, `inline_variant` or `requested_product_id`;
    `product_id` and `product_variant_id` are the resolved product. `is_resolved` means that the item keeps its product.
    """

    id: int | None
    external_id: str | None
    name: str | None
    sku: str | None
    brand: str | None
    requested_product_id: int | None
    requested_variant_id: int | None
    inline_variant: msgspec.Raw | None
    quantity: Decimal
    price_sell: Decimal | None
    price_current: Decimal | None
    price_original: Decimal | None
    price_tax: Decimal | None
    discounts: tuple[Discount, ...]
    is_void: bool
    details: dict[str, Any] | None = None
    product_id: int | None = None
    product_variant_id: int | None = None
    is_resolved: bool = False

    @property
    def is_sold(self) -> bool:
        """Whether it counts among the sold items."""
        return not self.is_void and self.quantity > 0


def value_or_none(value: Any) -> Any:
    """The value of a field; None where the field is absent."""
    return None if value is UNSET else value


def read_text(value: object, path: str, errors: dict[str, str]) -> str | None:
    """Validates a short text or number and returns it as a text; adds to `errors`."""
    if value is UNSET or value is None:
        return None
    found = str(value)
    if "\0" in found:
        errors[path] = "must not hold a NUL character"
    if len(found) > 255:
        errors[path] = "must be at most 255 characters"
    return found or None


def read_code(value: object, path: str, errors: dict[str, str]) -> str | None:
    """Validates an ID of another system and returns it without blanks around it; adds to `errors`."""
    found = read_text(value, path, errors)
    return found and (found.strip(BLANKS) or None)


def read_decimal(value: Any, path: str, errors: dict[str, str], limit: Decimal = money.MAX_AMOUNT) -> Decimal | None:
    """Validates a decimal; adds to `errors`."""
    if value is UNSET or value is None:
        return None
    try:
        return money.check_decimal(value, limit)
    except ValueError as error:
        errors[path] = str(error)
        return None


_MAX_EXPONENT = 308


def _float(written: str) -> float:
    # PostgreSQL parses the original text, and rejects exponents that a float would round to 0.
    mantissa, _, exponent = written.lower().partition("e")
    if len(mantissa) > _MAX_EXPONENT or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise ValueError("out of range")
    return float(written)


_json_decoder = msgspec.json.Decoder(float_hook=_float)
_discount_decoder = msgspec.json.Decoder(DiscountIn, strict=False)


def read_json(
    raw: object, path: str, errors: dict[str, str], shape: type | tuple[type, ...] = (list, dict)
) -> msgspec.Raw | None:
    """Validates JSON that is stored as received; None where there is none. Adds to `errors`."""
    if not isinstance(raw, msgspec.Raw) or bytes(raw) == b"null":
        return None
    try:
        value = _json_decoder.decode(raw)
        check_json(value)
    except msgspec.ValidationError:
        errors[path] = "must hold numbers within the range of a 64-bit float"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        errors[path] = "must be JSON"
    except ValueError as error:
        errors[path] = str(error)
    else:
        if not isinstance(value, shape):
            errors[path] = "must be a list" if shape is list else "must be a list or an object"
    return raw


def _discounts(item: ItemIn, errors: dict[str, str]) -> tuple[Discount, ...]:
    raw_discounts: tuple[msgspec.Raw, ...] = value_or_none(item.discounts) or ()
    if not raw_discounts:
        amount = read_decimal(item.discount, "discount", errors)
        return () if amount is None else (Discount(amount, {"amount": amount}),)
    found = []
    for index, raw in enumerate(raw_discounts):
        at = f"discounts.{index}"
        try:
            amount = read_decimal(_discount_decoder.decode(raw).amount, f"{at}.amount", errors)
        except (msgspec.DecodeError, UnicodeDecodeError):
            errors[at] = "must be an object with an amount"
            continue
        if amount is not None and read_json(raw, at, errors, dict) is not None:
            found.append(Discount(amount, raw))
    return tuple(found)


def validate(item: ItemIn, path: str, errors: dict[str, str]) -> ItemRow:
    """Validates an item; adds to `errors` with `path` before each field."""
    item_errors: dict[str, str] = {}
    row = _row(item, item_errors)
    for name, message in item_errors.items():
        errors[f"{path}.{name}"] = message
    return row


def _row(item: ItemIn, errors: dict[str, str]) -> ItemRow:
    quantity = read_decimal(item.quantity, "quantity", errors, MAX_QUANTITY)
    name = value_or_none(item.name)
    if isinstance(name, str) and "\0" in name:
        errors["name"] = "must not hold a NUL character"
    return ItemRow(
        id=value_or_none(item.id),
        external_id=read_code(item.external_id, "external_id", errors),
        name=None if name is None else str(name),
        sku=read_code(item.sku, "sku", errors),
        brand=read_text(item.brand, "brand", errors),
        requested_product_id=value_or_none(item.product_id),
        requested_variant_id=value_or_none(item.product_variant_id),
        inline_variant=read_json(item.product_variant, "product_variant", errors, dict),
        quantity=Decimal(1) if quantity is None else quantity,
        price_sell=read_decimal(item.price_sell, "price_sell", errors),
        price_current=read_decimal(item.price_current, "price_current", errors),
        price_original=read_decimal(item.price_original, "price_original", errors),
        price_tax=read_decimal(item.price_tax, "price_tax", errors),
        discounts=_discounts(item, errors),
        is_void=bool(value_or_none(item.is_void)),
        details=_details(item, errors),
    )


def _details(item: ItemIn, errors: dict[str, str]) -> dict[str, Any] | None:
    if item.tags is UNSET and item.meta is UNSET:
        return None
    details = {"tags": read_json(item.tags, "tags", errors, list), "meta": read_json(item.meta, "meta", errors)}
    return {key: value for key, value in details.items() if value is not None}


_required = attrgetter(*REQUIRED_FIELDS)


def require_fields(item: ItemIn, path: str) -> None:
    """Raises ValidationError for required fields of a new item that are missing."""
    missing = [
        name for name, value in zip(REQUIRED_FIELDS, _required(item), strict=True) if value is UNSET or value is None
    ]
    if missing:
        raise ValidationError({f"{path}.{name}": "is required" for name in missing})


class SoldSummary(msgspec.Struct, frozen=True):
    """The totals of sold items that are stored with the transaction, so that aggregations need not read its items.

    `discount` and `list_value` are exact, at the transaction's currency rate. `product_ids` and `brands` are the
    distinct pairs (product, brand of the item); with `overflow` there are too many pairs, and both are None.
    """

    discount: Decimal | None
    list_value: Decimal | None
    product_ids: tuple[int | None, ...] | None
    brands: tuple[str | None, ...] | None
    overflow: bool


MAX_PAIR_BYTES = 900
"""The size of the pairs that fits into an index row; of larger ones the items are read."""


def summarize_sold(items: Sequence[ItemRow], rate: Decimal | None) -> SoldSummary:
    """The totals of the sold items among `items`."""
    discount = list_value = Decimal(0)
    pairs: dict[tuple[int | None, str | None], None] = {}
    any_sold = False
    for item in items:
        if not item.is_sold:
            continue
        any_sold = True
        price = item.price_sell if item.price_current is None else item.price_current
        if price is not None:
            list_value = money.EXACT_CONTEXT.add(list_value, money.EXACT_CONTEXT.multiply(price, item.quantity))
        for each in item.discounts:
            discount = money.EXACT_CONTEXT.add(discount, each.amount)
        if item.product_id is not None or item.brand is not None:
            pairs[(item.product_id, item.brand)] = None
    if not any_sold:
        return SoldSummary(None, None, None, None, overflow=False)
    if rate is not None:
        discount = money.EXACT_CONTEXT.multiply(discount, rate)
        list_value = money.EXACT_CONTEXT.multiply(list_value, rate)
    products = tuple([product for product, _ in pairs])
    brands = tuple([brand for _, brand in pairs])
    are_branded = brands.count(None) < len(brands)
    size = 12 * len(pairs) + (len("".join([brand or "" for brand in brands]).encode()) if are_branded else 0)
    if size > MAX_PAIR_BYTES:
        return SoldSummary(discount, list_value, None, None, overflow=True)
    return SoldSummary(
        discount,
        list_value,
        products if products.count(None) < len(products) else None,
        brands if are_branded else None,
        overflow=False,
    )


ITEM_FIELDS = (
    ResourceField("id", FieldType.INTEGER),
    ResourceField("transaction_id", FieldType.INTEGER),
    ResourceField("external_id", FieldType.STRING),
    ResourceField("name", FieldType.STRING),
    ResourceField("sku", FieldType.STRING),
    ResourceField("brand", FieldType.STRING),
    ResourceField("product_id", FieldType.INTEGER),
    ResourceField("product_variant_id", FieldType.INTEGER),
    ResourceField("quantity", FieldType.NUMBER),
    ResourceField("price_sell", FieldType.NUMBER),
    ResourceField("price_current", FieldType.NUMBER),
    ResourceField("price_original", FieldType.NUMBER),
    ResourceField("price_tax", FieldType.NUMBER),
    ResourceField("discounts", FieldType.LIST, "coalesce(r.discounts, '[]')"),
    ResourceField("is_void", FieldType.BOOLEAN),
    ResourceField("tags", FieldType.LIST, "coalesce(r.details -> 'tags', '[]')"),
    ResourceField("meta", FieldType.OBJECT, "r.details -> 'meta'"),
    ResourceField("created_at", FieldType.TIMESTAMP),
    ResourceField("updated_at", FieldType.TIMESTAMP),
)


ITEMS = Resource("transaction item", "transaction_items AS r", ITEM_FIELDS)


def json_object_sql(fields: Sequence[ResourceField], alias: str) -> str:
    """The SQL of a JSON object of fields in their order, with timestamps in the format of the API."""
    parts = []
    for each in fields:
        value = (each.sql or f"r.{each.name}").replace("r.", f"{alias}.")
        if each.type is FieldType.TIMESTAMP:
            value = f"to_char({value}, 'YYYY-MM-DD HH24:MI:SS')"
        parts.append(f"'{each.name}', {value}")
    return f"json_build_object({', '.join(parts)})"
