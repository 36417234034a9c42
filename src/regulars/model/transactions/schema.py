"""Transactions: the request, its validation, the stored row, and the resource that the API shows.

A transaction is a sale, a return or neither, and belongs to a profile or to none.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from regulars.core import money, timestamps
from regulars.core.errors import ValidationError
from regulars.core.field_type import FieldType
from regulars.core.validation import Id
from regulars.model.community import Community
from regulars.model.locations import EMBEDDED_LOCATIONS
from regulars.model.profiles import lookup
from regulars.model.resource import Resource, ResourceField
from regulars.model.transactions import line_items
from regulars.model.transactions.line_items import (
    ITEM_FIELDS,
    ITEMS,
    ItemIn,
    ItemRow,
    SoldSummary,
    TextOrInt,
    json_object_sql,
    read_code,
    read_decimal,
    value_or_none,
)

MAX_CURRENCY_RATE = Decimal(10) ** 7
_RATE_DECIMALS = 12
POS, WEB = 1, 2
_CHANNELS = {"pos": POS, "web": WEB}

SystemName = Annotated[str, Meta(max_length=64)]

EXTERNAL_ID_OR_ID = lookup.EXTERNAL_ID_OR_ID
"""The handle of the `profile` that a file names."""


class TransactionIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a transaction in a request, a batch or a line of a file.

    A file names the profile by `profile` (external id or UUID) and the location by `location`.
    """

    id: Id = UNSET
    external_id: TextOrInt | UnsetType | None = UNSET
    profile_id: TextOrInt | UnsetType | None = UNSET
    profile_id_handle: TextOrInt | UnsetType | None = UNSET
    profile: msgspec.Raw | UnsetType = UNSET
    transacted_at: str | UnsetType = UNSET
    timezone: str | UnsetType | None = UNSET
    total: Decimal | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    currency_rate: Decimal | UnsetType | None = UNSET
    location_id: TextOrInt | UnsetType | None = UNSET
    location: msgspec.Raw | UnsetType = UNSET
    systems: tuple[SystemName, ...] | UnsetType | None = UNSET
    is_void: bool | UnsetType | None = UNSET
    receipt_ref: TextOrInt | UnsetType | None = UNSET
    linked_receipt_ref: TextOrInt | UnsetType | None = UNSET
    total_original: Decimal | UnsetType | None = UNSET
    rounding: Decimal | UnsetType | None = UNSET
    margin: Decimal | UnsetType | None = UNSET
    type: TextOrInt | UnsetType | None = UNSET
    status: TextOrInt | UnsetType | None = UNSET
    order_number: TextOrInt | UnsetType | None = UNSET
    tags: msgspec.Raw | UnsetType = UNSET
    meta: msgspec.Raw | UnsetType = UNSET
    payments: msgspec.Raw | UnsetType = UNSET
    items: tuple[ItemIn, ...] | UnsetType | None = UNSET
    delete_existing_items: bool | UnsetType | None = UNSET


class TransactionRow(msgspec.Struct, kw_only=True):
    """A validated transaction whose references are not yet resolved.

    `local_time` is the time of a file's row without an offset, converted once the time zone of its location is known;
    `default_zone` is that of the file, which applies before the community's.
    `amount` is in minor units of `amount_currency`, the community's currency at validation.
    """

    external_id: str | None
    profile: tuple[str, str] | None
    location_ref: str | None
    transacted_at: datetime | None
    local_time: datetime | None
    timezone: str | None
    total: Decimal
    currency: str | None
    currency_rate: Decimal | None
    systems: tuple[str, ...]
    is_void: bool
    """Whether it is void with any status."""
    receipt_ref: str | None
    details: dict[str, Any] | None
    items: list[ItemRow]
    amount: int
    amount_currency: str
    fingerprint: bytes | None
    default_zone: str | None = None
    profile_id: UUID | None = None
    location_id: int | None = None
    location_zone: str | None = None
    embedded_location: msgspec.Raw | None = None
    """Its location as responses show it, if it was read."""

    @property
    def status(self) -> str | None:
        """Its status."""
        return None if self.details is None else self.details.get("status")

    @property
    def channels(self) -> int | None:
        """The channels of its systems; None where the location decides."""
        channels = 0
        for system in self.systems:
            channels |= _CHANNELS.get(system.lower(), 0)
        return channels or None

    @property
    def transacted_on(self) -> Any:
        """The date in its own time zone; None where that of the location or community decides."""
        if self.timezone is None or self.transacted_at is None:
            return None
        return self.transacted_at.astimezone(timestamps.zone_info(self.timezone)).date()

    @property
    def sold_summary(self) -> SoldSummary:
        """The totals of its sold items."""
        return line_items.summarize_sold(self.items, self.currency_rate)


_DETAIL_TEXTS = ("linked_receipt_ref", "type", "status", "order_number")
_DETAIL_SUMS = ("total_original", "rounding", "margin")
_DETAIL_JSON: Mapping[str, type | tuple[type, ...]] = {
    "tags": list,
    "meta": (list, dict),
    "payments": (list, dict),
}


_detailed = attrgetter(*_DETAIL_TEXTS, *_DETAIL_SUMS, *_DETAIL_JSON)
_NO_DETAILS = _detailed(TransactionIn())


def _details(transaction: TransactionIn, errors: dict[str, str]) -> dict[str, Any] | None:
    if _detailed(transaction) == _NO_DETAILS:
        return None
    found: dict[str, Any] = {}
    for name in _DETAIL_TEXTS:
        if (value := read_code(getattr(transaction, name), name, errors)) is not None:
            found[name] = value
    for name in _DETAIL_SUMS:
        if (amount := read_decimal(getattr(transaction, name), name, errors)) is not None:
            found[name] = amount
    for name, shape in _DETAIL_JSON.items():
        if (raw := line_items.read_json(getattr(transaction, name), name, errors, shape)) is not None:
            found[name] = raw
    return found or None


def _money(
    transaction: TransactionIn, community: Community, errors: dict[str, str]
) -> tuple[Decimal, str | None, Decimal | None, int]:
    total = read_decimal(transaction.total, "total", errors)
    if total is None:
        errors.setdefault("total", "is required")
        return Decimal(0), None, None, 0
    code: str | None = value_or_none(transaction.currency)
    if code is not None:
        try:
            code = money.parse_currency(code)
        except ValueError as error:
            errors["currency"] = str(error)
            return total, None, None, 0
    rate: Decimal | None = value_or_none(transaction.currency_rate)
    if code is None or code == community.currency:
        # The community's own currency has no rate; one that is sent is ignored.
        return total, code, None, money.to_minor_units(total, None, community.minor_digits)
    if rate is None or not rate.is_finite() or not 0 < rate < MAX_CURRENCY_RATE:
        errors["currency_rate"] = f"must be above 0: {code} is not the community's {community.currency}"
        return total, None, None, 0
    try:
        money.check_decimal(rate, MAX_CURRENCY_RATE, _RATE_DECIMALS)
        amount = money.to_minor_units(total, rate, community.minor_digits)
        money.check_decimal(money.from_minor_units(amount, community.minor_digits))
    except ValueError as error:
        errors["currency_rate"] = str(error)
        return total, None, None, 0
    return total, code, rate, amount


def _profile(transaction: TransactionIn, errors: dict[str, str]) -> tuple[str, str] | None:
    by_file = _named(transaction.profile, "profile", errors)
    if by_file is not None:
        return EXTERNAL_ID_OR_ID, by_file
    ref = read_code(transaction.profile_id, "profile_id", errors)
    if ref is None:
        return None
    handle = read_code(transaction.profile_id_handle, "profile_id_handle", errors)
    if handle is None and not lookup.is_canonical_uuid(ref):
        try:
            ref = str(UUID(ref))
        except ValueError:
            errors["profile_id"] = "must be a UUID; name another identity by profile_id_handle"
    return handle or "id", ref


def _location_ref(transaction: TransactionIn, errors: dict[str, str]) -> str | None:
    ref = read_code(transaction.location_id, "location_id", errors)
    return _named(transaction.location, "location", errors) if ref is None else ref


_name_decoder = msgspec.json.Decoder(str | int | dict[str, Any] | None, strict=False)


def _named(raw: msgspec.Raw | UnsetType, path: str, errors: dict[str, str]) -> str | None:
    # A name in a file; an object in a response of the API, which a client may send back and which is ignored.
    if raw is UNSET:
        return None
    try:
        value = _name_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        errors[path] = "must be a text or an integer"
        return None
    return read_code(value, path, errors) if isinstance(value, str | int) else None


def _when(
    transaction: TransactionIn, *, local: bool, errors: dict[str, str]
) -> tuple[datetime | None, datetime | None, str | None]:
    zone: str | None = value_or_none(transaction.timezone) or None
    if zone is not None:
        try:
            timestamps.zone_info(zone)
        except ValueError as error:
            errors["timezone"] = str(error)
    if transaction.transacted_at is UNSET:
        errors["transacted_at"] = "is required"
        return None, None, zone
    try:
        if local and (naive := timestamps.parse_local_time(transaction.transacted_at)) is not None:
            return None, naive, zone
        return timestamps.parse_timestamp(transaction.transacted_at), None, zone
    except ValueError as error:
        errors["transacted_at"] = str(error)
        return None, None, zone


def validate(transaction: TransactionIn, community: Community, *, allow_local: bool = False) -> TransactionRow:
    """Validates a transaction. With `allow_local`, times without an offset are local time of its time zone.

    Raises ValidationError with all errors.
    """
    errors: dict[str, str] = {}
    at, naive, zone = _when(transaction, local=allow_local, errors=errors)
    total, currency, rate, amount = _money(transaction, community, errors)
    items = value_or_none(transaction.items) or ()
    if len(items) > line_items.MAX_ITEMS:
        errors["items"] = f"must be at most {line_items.MAX_ITEMS}"
        items = ()
    systems: tuple[str, ...] = value_or_none(transaction.systems) or ()
    if len(systems) > 20 or any("\0" in each or "," in each for each in systems):
        errors["systems"] = "must be at most 20 names without commas"
    row = TransactionRow(
        external_id=read_code(transaction.external_id, "external_id", errors),
        profile=_profile(transaction, errors),
        location_ref=_location_ref(transaction, errors),
        transacted_at=at,
        local_time=naive,
        timezone=zone,
        total=total,
        currency=currency,
        currency_rate=rate,
        systems=systems,
        is_void=bool(value_or_none(transaction.is_void)),
        receipt_ref=read_code(transaction.receipt_ref, "receipt_ref", errors),
        details=_details(transaction, errors),
        items=[line_items.validate(item, f"items.{index}", errors) for index, item in enumerate(items)],
        amount=amount,
        amount_currency=community.currency,
        fingerprint=None,
    )
    if errors:
        raise ValidationError(errors)
    return row


_encoder = msgspec.json.Encoder(decimal_format="string")
_number_encoder = msgspec.json.Encoder(decimal_format="number")


def fingerprint(transaction: TransactionIn) -> bytes:
    """A hash of a row of a file, by which an unchanged row is recognized."""
    return hashlib.blake2b(_encoder.encode(transaction), digest_size=16).digest()


def zoned_fingerprint(digest: bytes, zone: str) -> bytes:
    """The fingerprint of a row whose time is local in the time zone of the file."""
    return hashlib.blake2b(digest + zone.encode(), digest_size=16).digest()


_REQUIRED = ("items", "timezone", "total", "transacted_at")
_required = attrgetter(*_REQUIRED)


def require_fields(transaction: TransactionIn) -> None:
    """Raises ValidationError for required fields of a new transaction that are missing."""
    missing = {
        name: "is required"
        for name, value in zip(_REQUIRED, _required(transaction), strict=True)
        if value is UNSET or value is None
    }
    for index, item in enumerate(value_or_none(transaction.items) or ()):
        try:
            line_items.require_fields(item, f"items.{index}")
        except ValidationError as error:
            missing.update(error.errors)
    if missing:
        raise ValidationError(missing)


def _detail(name: str, kind: FieldType) -> ResourceField:
    if kind is FieldType.NUMBER:
        return ResourceField(name, kind, f"(r.details ->> '{name}')::numeric")
    if kind is FieldType.STRING:
        return ResourceField(name, kind, f"r.details ->> '{name}'")
    return ResourceField(name, kind, f"r.details -> '{name}'")


_ITEMS = f"""(
    SELECT coalesce(json_agg({json_object_sql(ITEM_FIELDS, "item")} ORDER BY item.created_at, item.id), '[]')
    FROM transaction_items AS item
    WHERE item.community_id = r.community_id AND item.transaction_id = r.id
)"""

_PLACE_FIELDS = ("id", "name", "external_id", "external_code", "type", "timezone")
_EMBEDDED_PLACES = Resource(
    "transaction location",
    "locations AS r",
    tuple(each for each in EMBEDDED_LOCATIONS.fields if each.name in _PLACE_FIELDS),
)


def embedded_location_sql(community_id: str, location_id: str) -> str:
    """SQL of the object that a transaction shows of its location. Both parameters are SQL expressions."""
    return f"""(
    SELECT json_build_object({", ".join(f"'{name}', l.{name}" for name in _PLACE_FIELDS)})
    FROM locations AS l
    WHERE l.community_id = {community_id} AND l.id = {location_id}
)"""


_PLACE = embedded_location_sql("r.community_id", "r.location_id")


def _place_field(name: str, kind: FieldType) -> ResourceField:
    sql = f"(SELECT l.{name} FROM locations AS l WHERE l.community_id = r.community_id AND l.id = r.location_id)"
    return ResourceField(f"location.{name}", kind, sql, is_visible=False)


TRANSACTIONS = Resource(
    "transaction",
    "transactions AS r",
    (
        ResourceField("id", FieldType.INTEGER),
        ResourceField("external_id", FieldType.STRING),
        ResourceField("profile_id", FieldType.UUID),
        ResourceField("location_id", FieldType.INTEGER),
        ResourceField("location", FieldType.OBJECT, _PLACE, embeds=_EMBEDDED_PLACES),
        ResourceField("transacted_at", FieldType.TIMESTAMP),
        ResourceField("timezone", FieldType.STRING),
        ResourceField("total", FieldType.NUMBER),
        _detail("total_original", FieldType.NUMBER),
        ResourceField("currency", FieldType.STRING),
        ResourceField("currency_rate", FieldType.NUMBER),
        _detail("rounding", FieldType.NUMBER),
        _detail("margin", FieldType.NUMBER),
        _detail("type", FieldType.STRING),
        _detail("status", FieldType.STRING),
        _detail("order_number", FieldType.STRING),
        ResourceField("receipt_ref", FieldType.STRING),
        _detail("linked_receipt_ref", FieldType.STRING),
        ResourceField("systems", FieldType.LIST),
        ResourceField("is_void", FieldType.BOOLEAN),
        ResourceField("tags", FieldType.LIST, "coalesce(r.details -> 'tags', '[]')"),
        _detail("meta", FieldType.OBJECT),
        ResourceField("payments", FieldType.OBJECT, "coalesce(r.details -> 'payments', '[]')"),
        ResourceField("items", FieldType.LIST, _ITEMS, embeds=ITEMS),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
        _place_field("name", FieldType.STRING),
        _place_field("external_id", FieldType.STRING),
        _place_field("external_code", FieldType.STRING),
        ResourceField(
            "tags.handle",
            FieldType.STRING,
            "SELECT coalesce(tag ->> 'handle', tag #>> '{}') FROM jsonb_array_elements(r.details -> 'tags') AS tag",
            is_visible=False,
            is_multivalued=True,
        ),
    ),
)


def to_input(shown: Mapping[str, Any]) -> TransactionIn:
    """Converts a transaction of a response into the request that would create it."""
    return msgspec.json.decode(_number_encoder.encode(dict(shown)), type=TransactionIn, strict=False)
