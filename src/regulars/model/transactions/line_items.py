"""The lines of a transaction: what was sold, at which price, with which discounts."""

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
from regulars.core.validation import Id
from regulars.core.validation import check_json as kept_json
from regulars.model.resource import Resource, ResourceField

Text = Annotated[str, Meta(max_length=255)]
TextOrInt = Text | int
"""A name or an id that some clients send as a number."""

MAX_QUANTITY = Decimal(10) ** 7
MAX_ITEMS = 2_000


class DiscountIn(msgspec.Struct, frozen=True):
    """What is read of a discount: its amount, of the whole line. Everything else in it is only kept."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class Discount:
    """One discount of a line: its amount, and the JSON that is kept and shown of it."""

    amount: Decimal
    json: object


class ItemIn(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it comes in. The API asks for name, prices and quantity; files need none of them."""

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
"""What the API asks of a new line."""


class ItemRow(msgspec.Struct, kw_only=True):
    """One line, checked.

    It names its product by `variant` (a variant's id), `sku`, `inline`, or `product` (an id);
    `product_id` and `product_variant_id` are what that turned out to be, known from the start where
    `is_resolved` says that the line keeps the product it has.
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
    """A value as given; None where it was not sent."""
    return None if value is UNSET else value


def read_text(value: object, path: str, errors: dict[str, str]) -> str | None:
    """A short text as given; a number is taken as its digits."""
    if value is UNSET or value is None:
        return None
    found = str(value)
    if "\0" in found:
        errors[path] = "must not hold a NUL character"
    if len(found) > 255:
        errors[path] = "must be at most 255 characters"
    return found or None


def read_decimal(value: Any, path: str, errors: dict[str, str], limit: Decimal = money.MAX_AMOUNT) -> Decimal | None:
    """An exact decimal in range."""
    if value is UNSET or value is None:
        return None
    try:
        return money.check_decimal(value, limit)
    except ValueError as error:
        errors[path] = str(error)
        return None


_MAX_EXPONENT = 308


def _float(written: str) -> float:
    # The database parses the original text, and refuses exponents that a float would round to 0.
    mantissa, _, exponent = written.lower().partition("e")
    if len(mantissa) > _MAX_EXPONENT or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise ValueError("out of range")
    return float(written)


_json_decoder = msgspec.json.Decoder(float_hook=_float)
_discount_decoder = msgspec.json.Decoder(DiscountIn, strict=False)


def read_json(
    raw: object, path: str, errors: dict[str, str], shape: type | tuple[type, ...] = (list, dict)
) -> msgspec.Raw | None:
    """JSON of the caller's own making, kept as it was written; None where there is none."""
    if not isinstance(raw, msgspec.Raw) or bytes(raw) == b"null":
        return None
    try:
        value = _json_decoder.decode(raw)
        kept_json(value)
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


def _discounts(given: ItemIn, errors: dict[str, str]) -> tuple[Discount, ...]:
    came: tuple[msgspec.Raw, ...] = value_or_none(given.discounts) or ()
    if not came:
        amount = read_decimal(given.discount, "discount", errors)
        return () if amount is None else (Discount(amount, {"amount": amount}),)
    found = []
    for place, raw in enumerate(came):
        at = f"discounts.{place}"
        try:
            amount = read_decimal(_discount_decoder.decode(raw).amount, f"{at}.amount", errors)
        except (msgspec.DecodeError, UnicodeDecodeError):
            errors[at] = "must be an object with an amount"
            continue
        if amount is not None and read_json(raw, at, errors, dict) is not None:
            found.append(Discount(amount, raw))
    return tuple(found)


def validate(given: ItemIn, path: str, errors: dict[str, str]) -> ItemRow:
    """A line as it will be kept; what is wrong with it goes into `errors` by its path."""
    wrong: dict[str, str] = {}
    row = _row(given, wrong)
    for name, message in wrong.items():
        errors[f"{path}.{name}"] = message
    return row


def _row(given: ItemIn, errors: dict[str, str]) -> ItemRow:
    quantity = read_decimal(given.quantity, "quantity", errors, MAX_QUANTITY)
    name = value_or_none(given.name)
    if isinstance(name, str) and "\0" in name:
        errors["name"] = "must not hold a NUL character"
    return ItemRow(
        id=value_or_none(given.id),
        external_id=read_text(given.external_id, "external_id", errors),
        name=None if name is None else str(name),
        sku=read_text(given.sku, "sku", errors),
        brand=read_text(given.brand, "brand", errors),
        requested_product_id=value_or_none(given.product_id),
        requested_variant_id=value_or_none(given.product_variant_id),
        inline_variant=read_json(given.product_variant, "product_variant", errors, dict),
        quantity=Decimal(1) if quantity is None else quantity,
        price_sell=read_decimal(given.price_sell, "price_sell", errors),
        price_current=read_decimal(given.price_current, "price_current", errors),
        price_original=read_decimal(given.price_original, "price_original", errors),
        price_tax=read_decimal(given.price_tax, "price_tax", errors),
        discounts=_discounts(given, errors),
        is_void=bool(value_or_none(given.is_void)),
        details=_details(given, errors),
    )


def _details(given: ItemIn, errors: dict[str, str]) -> dict[str, Any] | None:
    if given.tags is UNSET and given.meta is UNSET:
        return None
    details = {"tags": read_json(given.tags, "tags", errors, list), "meta": read_json(given.meta, "meta", errors)}
    return {key: value for key, value in details.items() if value is not None}


_required = attrgetter(*REQUIRED_FIELDS)


def require_fields(given: ItemIn, path: str) -> None:
    """Raises Refused for the fields that the API asks of a new line and that are missing."""
    missing = [
        name for name, value in zip(REQUIRED_FIELDS, _required(given), strict=True) if value is UNSET or value is None
    ]
    if missing:
        raise ValidationError({f"{path}.{name}": "is required" for name in missing})


class SoldSummary(msgspec.Struct, frozen=True):
    """What a transaction's row keeps of its lines, so that its items need not be read for any value.

    `discount` and `list_value` are exact, at the transaction's rate; `products` and `brands` are the
    distinct pairs (product, brand on the line).
    """

    discount: Decimal | None
    list_value: Decimal | None
    products: tuple[int | None, ...] | None
    brands: tuple[str | None, ...] | None
    in_items: bool


MAX_PAIR_BYTES = 900
"""Bytes of pairs that an index row has room for; more are read from the items."""


def summarize_sold(items: Sequence[ItemRow], rate: Decimal | None) -> SoldSummary:
    """What the sold ones among lines come to."""
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
        return SoldSummary(None, None, None, None, in_items=False)
    if rate is not None:
        discount = money.EXACT_CONTEXT.multiply(discount, rate)
        list_value = money.EXACT_CONTEXT.multiply(list_value, rate)
    products = tuple([product for product, _ in pairs])
    brands = tuple([brand for _, brand in pairs])
    are_branded = brands.count(None) < len(brands)
    size = 12 * len(pairs) + (len("".join([brand or "" for brand in brands]).encode()) if are_branded else 0)
    if size > MAX_PAIR_BYTES:
        return SoldSummary(discount, list_value, None, None, in_items=True)
    return SoldSummary(
        discount,
        list_value,
        products if products.count(None) < len(products) else None,
        brands if are_branded else None,
        in_items=False,
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
    """SQL for an object of fields in their order, times in the API's form."""
    parts = []
    for each in fields:
        value = (each.sql or f"r.{each.name}").replace("r.", f"{alias}.")
        if each.type is FieldType.TIMESTAMP:
            value = f"to_char({value}, 'YYYY-MM-DD HH24:MI:SS')"
        parts.append(f"'{each.name}', {value}")
    return f"json_build_object({', '.join(parts)})"
