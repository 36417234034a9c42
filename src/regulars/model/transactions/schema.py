"""A transaction: a sale, a return or neither, of one profile or of nobody known."""

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
from regulars.model.profiles import lookup
from regulars.model.resource import Resource, ResourceField
from regulars.model.transactions import line_items
from regulars.model.transactions.line_items import (
    ITEM_FIELDS,
    ItemIn,
    ItemRow,
    SoldSummary,
    TextOrInt,
    json_object_sql,
    read_decimal,
    read_text,
    value_or_none,
)

MAX_CURRENCY_RATE = Decimal(10) ** 7
_RATE_DECIMALS = 12
POS, WEB = 1, 2
_CHANNELS = {"pos": POS, "web": WEB}

SystemName = Annotated[str, Meta(max_length=64)]

EXTERNAL_ID_OR_ID = lookup.EXTERNAL_ID_OR_ID
"""The handle of a file's `profile`."""


class TransactionIn(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as it comes in: over the API, in a batch, or as a line of a file.

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
    """A transaction, checked: what will be kept of it, its references still by name.

    `local` is the wall-clock time of a file's row without an offset; its instant follows once the zone of
    its location is known. `amount` is in minor units of `unit`, the community's currency as it was then.
    """

    external_id: str | None
    profile: tuple[str, str] | None
    place: str | None
    transacted_at: datetime | None
    local: datetime | None
    timezone: str | None
    total: Decimal
    currency: str | None
    currency_rate: Decimal | None
    systems: tuple[str, ...]
    is_void: bool
    receipt_ref: str | None
    details: dict[str, Any] | None
    items: list[ItemRow]
    amount: int
    unit: str
    fingerprint: bytes | None
    profile_id: UUID | None = None
    location_id: int | None = None
    location_zone: str | None = None

    @property
    def channels(self) -> int | None:
        """The channels that its own systems name; None where its location decides."""
        found = 0
        for system in self.systems:
            found |= _CHANNELS.get(system.lower(), 0)
        return found or None

    @property
    def transacted_on(self) -> Any:
        """Its date in its own zone; None where its location's or the community's zone decides."""
        if self.timezone is None or self.transacted_at is None:
            return None
        return self.transacted_at.astimezone(timestamps.zone_info(self.timezone)).date()

    @property
    def sold_summary(self) -> SoldSummary:
        """What its sold items come to."""
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


def _details(given: TransactionIn, errors: dict[str, str]) -> dict[str, Any] | None:
    if _detailed(given) == _NO_DETAILS:
        return None
    found: dict[str, Any] = {}
    for name in _DETAIL_TEXTS:
        if (value := read_text(getattr(given, name), name, errors)) is not None:
            found[name] = value
    for name in _DETAIL_SUMS:
        if (amount := read_decimal(getattr(given, name), name, errors)) is not None:
            found[name] = amount
    for name, shape in _DETAIL_JSON.items():
        if (raw := line_items.read_json(getattr(given, name), name, errors, shape)) is not None:
            found[name] = raw
    return found or None


def _money(
    given: TransactionIn, community: Community, errors: dict[str, str]
) -> tuple[Decimal, str | None, Decimal | None, int]:
    total = read_decimal(given.total, "total", errors)
    if total is None:
        errors.setdefault("total", "is required")
        return Decimal(0), None, None, 0
    code: str | None = value_or_none(given.currency)
    if code is not None:
        try:
            code = money.parse_currency(code)
        except ValueError as error:
            errors["currency"] = str(error)
            return total, None, None, 0
    rate: Decimal | None = value_or_none(given.currency_rate)
    if code is None or code == community.currency:
        # The community's own currency has no rate, whatever a till sends.
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


def _profile(given: TransactionIn, errors: dict[str, str]) -> tuple[str, str] | None:
    by_file = _named(given.profile, "profile", errors)
    if by_file is not None:
        return EXTERNAL_ID_OR_ID, by_file
    ref = read_text(given.profile_id, "profile_id", errors)
    if ref is None:
        return None
    handle = read_text(given.profile_id_handle, "profile_id_handle", errors)
    if handle is None and not lookup.is_canonical_uuid(ref):
        try:
            ref = str(UUID(ref))
        except ValueError:
            errors["profile_id"] = "must be a UUID; name another identity by profile_id_handle"
    return handle or "id", ref


def _place(given: TransactionIn, errors: dict[str, str]) -> str | None:
    ref = read_text(given.location_id, "location_id", errors)
    return _named(given.location, "location", errors) if ref is None else ref


def _named(raw: msgspec.Raw | UnsetType, path: str, errors: dict[str, str]) -> str | None:
    # In a file this is a name; what the API shows under it is an object, which may be sent back.
    if raw is UNSET:
        return None
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        errors[path] = "must be JSON"
        return None
    return read_text(value, path, errors) if isinstance(value, str | int) else None


def _when(
    given: TransactionIn, *, local: bool, errors: dict[str, str]
) -> tuple[datetime | None, datetime | None, str | None]:
    zone: str | None = value_or_none(given.timezone) or None
    if zone is not None:
        try:
            timestamps.zone_info(zone)
        except ValueError as error:
            errors["timezone"] = str(error)
    if given.transacted_at is UNSET:
        errors["transacted_at"] = "is required"
        return None, None, zone
    try:
        at = timestamps.parse_timestamp(given.transacted_at)
        if local:
            naive = datetime.fromisoformat(given.transacted_at)
            if naive.tzinfo is None:
                return None, naive, zone
        return at, None, zone
    except ValueError as error:
        errors["transacted_at"] = str(error)
        return None, None, zone


def validate(given: TransactionIn, community: Community, *, allow_local: bool = False) -> TransactionRow:
    """A transaction as it will be kept. `local` reads times without an offset in the transaction's zone.

    Raises Refused by path for everything that is wrong with it.
    """
    errors: dict[str, str] = {}
    at, naive, zone = _when(given, local=allow_local, errors=errors)
    total, currency, rate, amount = _money(given, community, errors)
    items = value_or_none(given.items) or ()
    if len(items) > line_items.MAX_ITEMS:
        errors["items"] = f"must be at most {line_items.MAX_ITEMS}"
        items = ()
    systems: tuple[str, ...] = value_or_none(given.systems) or ()
    if len(systems) > 20 or any("\0" in each or "," in each for each in systems):
        errors["systems"] = "must be at most 20 names without commas"
    row = TransactionRow(
        external_id=read_text(given.external_id, "external_id", errors),
        profile=_profile(given, errors),
        place=_place(given, errors),
        transacted_at=at,
        local=naive,
        timezone=zone,
        total=total,
        currency=currency,
        currency_rate=rate,
        systems=systems,
        is_void=bool(value_or_none(given.is_void)),
        receipt_ref=read_text(given.receipt_ref, "receipt_ref", errors),
        details=_details(given, errors),
        items=[line_items.validate(item, f"items.{place}", errors) for place, item in enumerate(items)],
        amount=amount,
        unit=community.currency,
        fingerprint=None,
    )
    if errors:
        raise ValidationError(errors)
    return row


_encoder = msgspec.json.Encoder(decimal_format="string")
_number_encoder = msgspec.json.Encoder(decimal_format="number")


def fingerprint(given: TransactionIn) -> bytes:
    """What tells a row of a file from a changed one: the same row again has the same."""
    return hashlib.blake2b(_encoder.encode(given), digest_size=16).digest()


_REQUIRED = ("items", "timezone", "total", "transacted_at")
_required = attrgetter(*_REQUIRED)


def require_fields(given: TransactionIn) -> None:
    """Raises Refused for what the API asks of a new transaction and that is missing."""
    missing = {
        name: "is required"
        for name, value in zip(_REQUIRED, _required(given), strict=True)
        if value is UNSET or value is None
    }
    for place, item in enumerate(value_or_none(given.items) or ()):
        try:
            line_items.require_fields(item, f"items.{place}")
        except ValidationError as refused:
            missing.update(refused.errors)
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
_PLACE = f"""(
    SELECT json_build_object({", ".join(f"'{name}', l.{name}" for name in _PLACE_FIELDS)})
    FROM locations AS l
    WHERE l.community_id = r.community_id AND l.id = r.location_id
)"""


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
        ResourceField("location", FieldType.OBJECT, _PLACE),
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
        ResourceField("items", FieldType.LIST, _ITEMS),
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
    """A transaction that was read, as it could be sent back."""
    return msgspec.json.decode(_number_encoder.encode(dict(shown)), type=TransactionIn, strict=False)
