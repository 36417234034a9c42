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

from regulars.facts import instants, money, profile_lookup, transaction_items
from regulars.facts.community import Community
from regulars.facts.given import Id
from regulars.facts.refusals import Refused
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.transaction_items import (
    ITEM_FIELDS,
    ItemIn,
    ItemRow,
    Name,
    Sold,
    decimal,
    json_of,
    present,
    text,
)

LARGEST_RATE = Decimal(10) ** 7
_RATE_DECIMALS = 12
POS, WEB = 1, 2
_CHANNELS = {"pos": POS, "web": WEB}

System = Annotated[str, Meta(max_length=64)]

EITHER = profile_lookup.EITHER
"""The handle of a file's `profile`."""


class TransactionIn(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as it comes in: over the API, in a batch, or as a line of a file.

    A file names the profile by `profile` (external id or UUID) and the location by `location`.
    """

    id: Id = UNSET
    external_id: Name | UnsetType | None = UNSET
    profile_id: Name | UnsetType | None = UNSET
    profile_id_handle: Name | UnsetType | None = UNSET
    profile: msgspec.Raw | UnsetType = UNSET
    transacted_at: str | UnsetType = UNSET
    timezone: str | UnsetType | None = UNSET
    total: Decimal | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    currency_rate: Decimal | UnsetType | None = UNSET
    location_id: Name | UnsetType | None = UNSET
    location: msgspec.Raw | UnsetType = UNSET
    systems: tuple[System, ...] | UnsetType | None = UNSET
    is_void: bool | UnsetType | None = UNSET
    receipt_ref: Name | UnsetType | None = UNSET
    linked_receipt_ref: Name | UnsetType | None = UNSET
    total_original: Decimal | UnsetType | None = UNSET
    rounding: Decimal | UnsetType | None = UNSET
    margin: Decimal | UnsetType | None = UNSET
    type: Name | UnsetType | None = UNSET
    status: Name | UnsetType | None = UNSET
    order_number: Name | UnsetType | None = UNSET
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
    def shop_date(self) -> Any:
        """Its date in its own zone; None where its location's or the community's zone decides."""
        if self.timezone is None or self.transacted_at is None:
            return None
        return self.transacted_at.astimezone(instants.zone(self.timezone)).date()

    @property
    def sold(self) -> Sold:
        """What its sold items come to."""
        return transaction_items.sold(self.items, self.currency_rate)


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
        if (value := text(getattr(given, name), name, errors)) is not None:
            found[name] = value
    for name in _DETAIL_SUMS:
        if (amount := decimal(getattr(given, name), name, errors)) is not None:
            found[name] = amount
    for name, shape in _DETAIL_JSON.items():
        if (raw := transaction_items.json(getattr(given, name), name, errors, shape)) is not None:
            found[name] = raw
    return found or None


def _money(
    given: TransactionIn, community: Community, errors: dict[str, str]
) -> tuple[Decimal, str | None, Decimal | None, int]:
    total = decimal(given.total, "total", errors)
    if total is None:
        errors.setdefault("total", "is required")
        return Decimal(0), None, None, 0
    code: str | None = present(given.currency)
    if code is not None:
        try:
            code = money.currency(code)
        except ValueError as error:
            errors["currency"] = str(error)
            return total, None, None, 0
    rate: Decimal | None = present(given.currency_rate)
    if code is None or code == community.currency:
        # The community's own currency has no rate, whatever a till sends.
        return total, code, None, money.minor_units(total, None, community.minor_digits)
    if rate is None or not rate.is_finite() or not 0 < rate < LARGEST_RATE:
        errors["currency_rate"] = f"must be above 0: {code} is not the community's {community.currency}"
        return total, None, None, 0
    try:
        money.exact(rate, LARGEST_RATE, _RATE_DECIMALS)
        amount = money.minor_units(total, rate, community.minor_digits)
        money.exact(money.from_minor_units(amount, community.minor_digits))
    except ValueError as error:
        errors["currency_rate"] = str(error)
        return total, None, None, 0
    return total, code, rate, amount


def _profile(given: TransactionIn, errors: dict[str, str]) -> tuple[str, str] | None:
    by_file = _named(given.profile, "profile", errors)
    if by_file is not None:
        return EITHER, by_file
    ref = text(given.profile_id, "profile_id", errors)
    if ref is None:
        return None
    handle = text(given.profile_id_handle, "profile_id_handle", errors)
    if handle is None and not profile_lookup.is_written_id(ref):
        try:
            ref = str(UUID(ref))
        except ValueError:
            errors["profile_id"] = "must be a UUID; name another identity by profile_id_handle"
    return handle or "id", ref


def _place(given: TransactionIn, errors: dict[str, str]) -> str | None:
    ref = text(given.location_id, "location_id", errors)
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
    return text(value, path, errors) if isinstance(value, str | int) else None


def _when(
    given: TransactionIn, *, local: bool, errors: dict[str, str]
) -> tuple[datetime | None, datetime | None, str | None]:
    zone: str | None = present(given.timezone) or None
    if zone is not None:
        try:
            instants.zone(zone)
        except ValueError as error:
            errors["timezone"] = str(error)
    if given.transacted_at is UNSET:
        errors["transacted_at"] = "is required"
        return None, None, zone
    try:
        at = instants.instant(given.transacted_at)
        if local:
            naive = datetime.fromisoformat(given.transacted_at)
            if naive.tzinfo is None:
                return None, naive, zone
        return at, None, zone
    except ValueError as error:
        errors["transacted_at"] = str(error)
        return None, None, zone


def checked(given: TransactionIn, community: Community, *, local: bool = False) -> TransactionRow:
    """A transaction as it will be kept. `local` reads times without an offset in the transaction's zone.

    Raises Refused by path for everything that is wrong with it.
    """
    errors: dict[str, str] = {}
    at, naive, zone = _when(given, local=local, errors=errors)
    total, currency, rate, amount = _money(given, community, errors)
    items = present(given.items) or ()
    if len(items) > transaction_items.MOST_ITEMS:
        errors["items"] = f"must be at most {transaction_items.MOST_ITEMS}"
        items = ()
    systems: tuple[str, ...] = present(given.systems) or ()
    if len(systems) > 20 or any("\0" in each or "," in each for each in systems):
        errors["systems"] = "must be at most 20 names without commas"
    row = TransactionRow(
        external_id=text(given.external_id, "external_id", errors),
        profile=_profile(given, errors),
        place=_place(given, errors),
        transacted_at=at,
        local=naive,
        timezone=zone,
        total=total,
        currency=currency,
        currency_rate=rate,
        systems=systems,
        is_void=bool(present(given.is_void)),
        receipt_ref=text(given.receipt_ref, "receipt_ref", errors),
        details=_details(given, errors),
        items=[transaction_items.checked(item, f"items.{place}", errors) for place, item in enumerate(items)],
        amount=amount,
        unit=community.currency,
        fingerprint=None,
    )
    if errors:
        raise Refused(errors)
    return row


_encoder = msgspec.json.Encoder(decimal_format="string")
_number_encoder = msgspec.json.Encoder(decimal_format="number")


def fingerprint(given: TransactionIn) -> bytes:
    """What tells a row of a file from a changed one: the same row again has the same."""
    return hashlib.blake2b(_encoder.encode(given), digest_size=16).digest()


_REQUIRED = ("items", "timezone", "total", "transacted_at")
_required = attrgetter(*_REQUIRED)


def require(given: TransactionIn) -> None:
    """Raises Refused for what the API asks of a new transaction and that is missing."""
    missing = {
        name: "is required"
        for name, value in zip(_REQUIRED, _required(given), strict=True)
        if value is UNSET or value is None
    }
    for place, item in enumerate(present(given.items) or ()):
        try:
            transaction_items.require(item, f"items.{place}")
        except Refused as refused:
            missing.update(refused.errors)
    if missing:
        raise Refused(missing)


def _detail(name: str, kind: Kind) -> Field:
    if kind is Kind.DECIMAL:
        return Field(name, kind, f"(r.details ->> '{name}')::numeric")
    if kind is Kind.STRING:
        return Field(name, kind, f"r.details ->> '{name}'")
    return Field(name, kind, f"r.details -> '{name}'")


_ITEMS = f"""(
    SELECT coalesce(json_agg({json_of(ITEM_FIELDS, "item")} ORDER BY item.created_at, item.id), '[]')
    FROM transaction_items AS item
    WHERE item.community_id = r.community_id AND item.transaction_id = r.id
)"""

_PLACE_FIELDS = ("id", "name", "external_id", "external_code", "type", "timezone")
_PLACE = f"""(
    SELECT json_build_object({", ".join(f"'{name}', l.{name}" for name in _PLACE_FIELDS)})
    FROM locations AS l
    WHERE l.community_id = r.community_id AND l.id = r.location_id
)"""


def _place_field(name: str, kind: Kind) -> Field:
    sql = f"(SELECT l.{name} FROM locations AS l WHERE l.community_id = r.community_id AND l.id = r.location_id)"
    return Field(f"location.{name}", kind, sql, shown=False)


TRANSACTIONS = Resource(
    "transaction",
    "transactions AS r",
    (
        Field("id", Kind.INTEGER),
        Field("external_id", Kind.STRING),
        Field("profile_id", Kind.UUID),
        Field("location_id", Kind.INTEGER),
        Field("location", Kind.OBJECT, _PLACE),
        Field("transacted_at", Kind.TIME),
        Field("timezone", Kind.STRING),
        Field("total", Kind.DECIMAL),
        _detail("total_original", Kind.DECIMAL),
        Field("currency", Kind.STRING),
        Field("currency_rate", Kind.DECIMAL),
        _detail("rounding", Kind.DECIMAL),
        _detail("margin", Kind.DECIMAL),
        _detail("type", Kind.STRING),
        _detail("status", Kind.STRING),
        _detail("order_number", Kind.STRING),
        Field("receipt_ref", Kind.STRING),
        _detail("linked_receipt_ref", Kind.STRING),
        Field("systems", Kind.LIST),
        Field("is_void", Kind.BOOLEAN),
        Field("tags", Kind.LIST, "coalesce(r.details -> 'tags', '[]')"),
        _detail("meta", Kind.OBJECT),
        Field("payments", Kind.OBJECT, "coalesce(r.details -> 'payments', '[]')"),
        Field("items", Kind.LIST, _ITEMS),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
        _place_field("name", Kind.STRING),
        _place_field("external_id", Kind.STRING),
        _place_field("external_code", Kind.STRING),
        Field(
            "tags.handle",
            Kind.STRING,
            "SELECT coalesce(tag ->> 'handle', tag #>> '{}') FROM jsonb_array_elements(r.details -> 'tags') AS tag",
            shown=False,
            several=True,
        ),
    ),
)


def as_given(shown: Mapping[str, Any]) -> TransactionIn:
    """A transaction that was read, as it could be sent back."""
    return msgspec.json.decode(_number_encoder.encode(dict(shown)), type=TransactionIn, strict=False)
