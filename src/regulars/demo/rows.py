"""The rows that a demo club yields: one type per entity, with the field names of the API."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, TypedDict

Consents = dict[str, bool]
"""What a member answered, by the name of the consent; one that was never requested is missing."""


class CommunityRecord(TypedDict):
    """A loyalty club, in the words of `regulars community create`."""

    slug: str
    name: str
    country: str
    timezone: str
    currency: str
    attributes: dict[str, str]


class AddressRecord(TypedDict):
    """A postal address: `iso` is ISO 3166-1 alpha-2, `iso_state` ISO 3166-2, both also by name."""

    address_line_1: str
    city: str
    postcode: str
    state: str
    iso_state: str
    country: str
    iso: str


class MemberAddressRecord(AddressRecord):
    """An address of a member, who has one default and sometimes another."""

    is_default: bool


class OpeningDayRecord(TypedDict):
    """When a store is open on one day of an ordinary week, on its own clock (`10:00`)."""

    day: str
    open: str
    close: str


class LocationRecord(TypedDict):
    """A store, or a country's online shop."""

    external_id: str
    external_code: str
    name: str
    description: str
    type: Literal["store", "online"]
    timezone: str
    phone: str
    email: str
    address: AddressRecord
    normal_hours: list[OpeningDayRecord]
    tags: list[str]
    is_published: bool
    is_permanently_closed: bool


class VariantRecord(TypedDict):
    """What is on the shelf: one size or colour of a product, its price in the community's currency."""

    sku: str
    name: str
    price: Decimal


class ProductRecord(TypedDict):
    """A product and its variants, of which there is at least one."""

    external_id: str
    name: str
    brand: str
    tags: list[str]
    variants: list[VariantRecord]


class ProfileRecord(TypedDict):
    """A member, as known at the end of the history."""

    external_id: str
    first_name: str
    last_name: str
    email: str | None
    mobile_phone: str | None
    gender: str | None
    birth_day: int | None
    birth_month: int | None
    birth_year: int | None
    currency: str
    joined_at: datetime
    joined_location_external_id: str
    preferred_location_external_id: str | None
    addresses: list[MemberAddressRecord]
    optin_channel: str
    optin_subchannel: str
    consents: Consents
    sms_status: str | None
    email_status: str | None
    push_status: str
    subunit_ids: list[int]
    group_ids: list[int]
    favorite_stores: list[str]
    properties: dict[str, str]


class MembershipRecord(TypedDict):
    """A member coming in or going out, with the consents of that moment."""

    external_id: str
    profile: str
    type: Literal["in", "out"]
    at: datetime
    optin_channel: str
    optin_subchannel: str
    consents: Consents


class DiscountRecord(TypedDict):
    """What was taken off a whole line, and why."""

    name: str
    amount: Decimal


class ItemRecord(TypedDict):
    """A line of a receipt: prices are of a piece, discounts of the line; a returned quantity is negative."""

    sku: str
    name: str
    brand: str
    quantity: int
    price_sell: Decimal
    price_current: Decimal
    discounts: list[DiscountRecord]


class TransactionRecord(TypedDict):
    """A receipt: `total` is exactly the sum of price_sell * quantity, in `currency`."""

    external_id: str
    profile: str | None
    transacted_at: datetime
    timezone: str
    total: Decimal
    currency: str
    currency_rate: Decimal
    location: str
    systems: list[str]
    type: Literal["sale", "return"]
    is_void: bool
    receipt_ref: str
    linked_receipt_ref: str | None
    tags: list[str]
    items: list[ItemRecord]


class SendingRecord(TypedDict):
    """A message to many, in one language and by one channel; `campaign_id` is what its languages have in common."""

    external_id: str
    reporting_id: int | None
    language: str
    channel: Literal["email", "sms", "push"]
    service_type: Literal["campaigns", "triggered", "rewards_notifications"]
    source_id: str
    source_app: str
    source_type: str
    audience_id: int
    campaign_id: int | None
    created_at: datetime


class SendingEventRecord(TypedDict):
    """What happens to the dispatch of a sending to a member; `dispatch` distinguishes several to one member."""

    external_id: str
    sending: str
    dispatch: str
    profile: str
    event: str
    at: datetime


class LinkVisitRecord(TypedDict):
    """A visit of a page of the club: from a sending, by an offer or by anything else."""

    external_id: str
    at: datetime
    url: str
    sending: str | None
    offer: str | None
    profile: str | None
    visitor: str


class OfferCollectionRecord(TypedDict):
    """What offers are shown under."""

    external_id: str
    name: str


class OfferRecord(TypedDict):
    """What a shop gives to members for some days; `stock` is how many there are, None for any number."""

    external_id: str
    name: str
    type: Literal["discount", "multibuy", "gift"]
    status: Literal["planned", "active", "sold_out", "ended"]
    collections: list[str]
    location: str
    campaign_id: int | None
    usable_since: datetime
    usable_until: datetime
    stock: int | None
    created_at: datetime


class OfferEventRecord(TypedDict):
    """A view, click, grant or use of an offer; `transaction` is the receipt on which it was used."""

    external_id: str
    offer: str
    event: Literal["seen", "clicked", "granted", "used"]
    at: datetime
    profile: str | None
    transaction: str | None
    location: str | None
