"""The tables that values are computed from: their columns, what each may hold, and which there must be."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a column holds, whatever type it comes in."""

    TEXT = "a text or a whole number"
    TIME = "a time: ISO 8601, or a column of times; without an offset it is local"
    MONEY = "a decimal with at most 6 decimals, below 10^12 in size"
    RATE = "a decimal above 0 with at most 12 decimals, below 10^7"
    QUANTITY = "a decimal with at most 6 decimals, below 10^7 in size"
    FLAG = "true or false"
    WHOLE = "a whole number"
    IDS = "a list of whole numbers, or its JSON"
    NAMES = "a list of texts, or one text with commas, semicolons or bars between them"
    OBJECTS = "a list of objects, or its JSON"
    OBJECT = "an object, or its JSON"


@dataclass(frozen=True, slots=True)
class Column:
    """One column by its name."""

    name: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row is, and its columns. `key` tells its rows apart in messages."""

    name: str
    columns: tuple[Column, ...]
    key: str


TRANSACTIONS = Table(
    "transactions",
    (
        Column("external_id", Kind.TEXT, required=True),
        Column("profile", Kind.TEXT, required=True),
        Column("transacted_at", Kind.TIME, required=True),
        Column("total", Kind.MONEY, required=True),
        Column("timezone", Kind.TEXT),
        Column("currency", Kind.TEXT),
        Column("currency_rate", Kind.RATE),
        Column("location", Kind.TEXT),
        Column("systems", Kind.NAMES),
        Column("is_void", Kind.FLAG),
        Column("items", Kind.OBJECTS),
        Column("sku", Kind.TEXT),
        Column("name", Kind.TEXT),
        Column("brand", Kind.TEXT),
        Column("quantity", Kind.QUANTITY),
        Column("price_sell", Kind.MONEY),
        Column("price_current", Kind.MONEY),
        Column("discount", Kind.MONEY),
    ),
    key="external_id",
)
"""Purchases and returns; with item columns, the lines of one external id are one transaction."""

ITEM_COLUMNS = ("sku", "name", "brand", "quantity", "price_sell", "price_current", "discount")

PROFILES = Table(
    "profiles",
    (
        Column("external_id", Kind.TEXT, required=True),
        Column("joined_at", Kind.TIME),
        Column("joined_location_external_id", Kind.TEXT),
        Column("preferred_location_external_id", Kind.TEXT),
        Column("addresses", Kind.OBJECTS),
    ),
    key="external_id",
)

REPORTED_PROFILES = Table(
    "profiles",
    (
        *PROFILES.columns,
        Column("member_id", Kind.WHOLE),
        Column("profile_type", Kind.TEXT),
        Column("created_at", Kind.TIME),
        Column("updated_at", Kind.TIME),
        Column("optin_channel", Kind.TEXT),
        Column("optin_subchannel", Kind.TEXT),
        Column("gender", Kind.TEXT),
        Column("birth_day", Kind.WHOLE),
        Column("birth_month", Kind.WHOLE),
        Column("birth_year", Kind.WHOLE),
        Column("mobile_phone", Kind.TEXT),
        Column("consents", Kind.OBJECT),
        Column("sms_status", Kind.TEXT),
        Column("email_status", Kind.TEXT),
        Column("push_status", Kind.TEXT),
        Column("subunit_ids", Kind.IDS),
        Column("group_ids", Kind.IDS),
        Column("favorite_stores", Kind.IDS),
        Column("properties", Kind.OBJECT),
    ),
    key="external_id",
)
"""Profiles with what reports need of them; values are computed without it."""

MEMBERSHIPS = Table(
    "memberships",
    (
        Column("profile", Kind.TEXT, required=True),
        Column("type", Kind.TEXT, required=True),
        Column("at", Kind.TIME, required=True),
        Column("external_id", Kind.TEXT),
        Column("optin_channel", Kind.TEXT),
        Column("optin_subchannel", Kind.TEXT),
        Column("consents", Kind.OBJECT),
    ),
    key="profile",
)
"""Joins and leaves, beside the first join that each profile is by itself."""

LOCATIONS = Table(
    "locations",
    (
        Column("external_id", Kind.TEXT, required=True),
        Column("type", Kind.TEXT),
        Column("timezone", Kind.TEXT),
        Column("country_iso_3", Kind.TEXT),
        Column("address", Kind.OBJECT),
    ),
    key="external_id",
)

PRODUCTS = Table(
    "products",
    (
        Column("external_id", Kind.TEXT, required=True),
        Column("brand", Kind.TEXT),
        Column("sku", Kind.TEXT),
        Column("variants", Kind.OBJECTS),
    ),
    key="external_id",
)

PAIRS = Table(
    "as_of",
    (Column("profile", Kind.TEXT, required=True), Column("as_of", Kind.TIME, required=True)),
    key="profile",
)
"""Instants to compute profiles at: one row of values for each, in their order."""

TABLES = (TRANSACTIONS, PROFILES, MEMBERSHIPS, LOCATIONS, PRODUCTS, PAIRS)
