"""The tables that values are computed from: their columns, what each may hold, and which there must be."""

from dataclasses import dataclass
from enum import Enum


class ColumnType(Enum):
    """What a column holds, whatever type it comes in."""

    TEXT = "a text or a whole number"
    TIMESTAMP = "a time: ISO 8601, or a column of times; without an offset it is local"
    MONEY = "a decimal with at most 6 decimals, below 10^12 in size"
    RATE = "a decimal above 0 with at most 12 decimals, below 10^7"
    QUANTITY = "a decimal with at most 6 decimals, below 10^7 in size"
    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    INTEGER_LIST = "a list of whole numbers, or its JSON"
    STRING_LIST = "a list of texts, or one text with commas, semicolons or bars between them"
    OBJECT_LIST = "a list of objects, or its JSON"
    OBJECT = "an object, or its JSON"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column by its name."""

    name: str
    type: ColumnType
    required: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table: what a row is, and its columns. `key` tells its rows apart in messages."""

    name: str
    columns: tuple[ColumnSpec, ...]
    key: str


TRANSACTIONS = TableSpec(
    "transactions",
    (
        ColumnSpec("external_id", ColumnType.TEXT, required=True),
        ColumnSpec("profile", ColumnType.TEXT, required=True),
        ColumnSpec("transacted_at", ColumnType.TIMESTAMP, required=True),
        ColumnSpec("total", ColumnType.MONEY, required=True),
        ColumnSpec("timezone", ColumnType.TEXT),
        ColumnSpec("currency", ColumnType.TEXT),
        ColumnSpec("currency_rate", ColumnType.RATE),
        ColumnSpec("location", ColumnType.TEXT),
        ColumnSpec("systems", ColumnType.STRING_LIST),
        ColumnSpec("is_void", ColumnType.BOOLEAN),
        ColumnSpec("items", ColumnType.OBJECT_LIST),
        ColumnSpec("sku", ColumnType.TEXT),
        ColumnSpec("name", ColumnType.TEXT),
        ColumnSpec("brand", ColumnType.TEXT),
        ColumnSpec("quantity", ColumnType.QUANTITY),
        ColumnSpec("price_sell", ColumnType.MONEY),
        ColumnSpec("price_current", ColumnType.MONEY),
        ColumnSpec("discount", ColumnType.MONEY),
    ),
    key="external_id",
)
"""Purchases and returns; with item columns, the lines of one external id are one transaction."""

ITEM_COLUMNS = ("sku", "name", "brand", "quantity", "price_sell", "price_current", "discount")

PROFILES = TableSpec(
    "profiles",
    (
        ColumnSpec("external_id", ColumnType.TEXT, required=True),
        ColumnSpec("joined_at", ColumnType.TIMESTAMP),
        ColumnSpec("joined_location_external_id", ColumnType.TEXT),
        ColumnSpec("preferred_location_external_id", ColumnType.TEXT),
        ColumnSpec("addresses", ColumnType.OBJECT_LIST),
    ),
    key="external_id",
)

REPORT_PROFILES = TableSpec(
    "profiles",
    (
        *PROFILES.columns,
        ColumnSpec("member_id", ColumnType.INTEGER),
        ColumnSpec("profile_type", ColumnType.TEXT),
        ColumnSpec("created_at", ColumnType.TIMESTAMP),
        ColumnSpec("updated_at", ColumnType.TIMESTAMP),
        ColumnSpec("optin_channel", ColumnType.TEXT),
        ColumnSpec("optin_subchannel", ColumnType.TEXT),
        ColumnSpec("gender", ColumnType.TEXT),
        ColumnSpec("birth_day", ColumnType.INTEGER),
        ColumnSpec("birth_month", ColumnType.INTEGER),
        ColumnSpec("birth_year", ColumnType.INTEGER),
        ColumnSpec("mobile_phone", ColumnType.TEXT),
        ColumnSpec("consents", ColumnType.OBJECT),
        ColumnSpec("sms_status", ColumnType.TEXT),
        ColumnSpec("email_status", ColumnType.TEXT),
        ColumnSpec("push_status", ColumnType.TEXT),
        ColumnSpec("subunit_ids", ColumnType.INTEGER_LIST),
        ColumnSpec("group_ids", ColumnType.INTEGER_LIST),
        ColumnSpec("favorite_stores", ColumnType.INTEGER_LIST),
        ColumnSpec("properties", ColumnType.OBJECT),
    ),
    key="external_id",
)
"""Profiles with what reports need of them; values are computed without it."""

MEMBERSHIPS = TableSpec(
    "memberships",
    (
        ColumnSpec("profile", ColumnType.TEXT, required=True),
        ColumnSpec("type", ColumnType.TEXT, required=True),
        ColumnSpec("at", ColumnType.TIMESTAMP, required=True),
        ColumnSpec("external_id", ColumnType.TEXT),
        ColumnSpec("optin_channel", ColumnType.TEXT),
        ColumnSpec("optin_subchannel", ColumnType.TEXT),
        ColumnSpec("consents", ColumnType.OBJECT),
    ),
    key="profile",
)
"""Joins and leaves, beside the first join that each profile is by itself."""

LOCATIONS = TableSpec(
    "locations",
    (
        ColumnSpec("external_id", ColumnType.TEXT, required=True),
        ColumnSpec("type", ColumnType.TEXT),
        ColumnSpec("timezone", ColumnType.TEXT),
        ColumnSpec("country_iso_3", ColumnType.TEXT),
        ColumnSpec("address", ColumnType.OBJECT),
    ),
    key="external_id",
)

PRODUCTS = TableSpec(
    "products",
    (
        ColumnSpec("external_id", ColumnType.TEXT, required=True),
        ColumnSpec("brand", ColumnType.TEXT),
        ColumnSpec("sku", ColumnType.TEXT),
        ColumnSpec("variants", ColumnType.OBJECT_LIST),
    ),
    key="external_id",
)

ENTITIES = TableSpec(
    "as_of",
    (ColumnSpec("profile", ColumnType.TEXT, required=True), ColumnSpec("as_of", ColumnType.TIMESTAMP, required=True)),
    key="profile",
)
"""Instants to compute profiles at: one row of values for each, in their order."""

TABLES = (TRANSACTIONS, PROFILES, MEMBERSHIPS, LOCATIONS, PRODUCTS, ENTITIES)
