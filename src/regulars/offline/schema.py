"""Specification of the input tables: columns, types, and which columns are required."""

from dataclasses import dataclass

from regulars.core.field_type import FieldType


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """Specification of a column; a required one may be missing if one of its `alternatives` is there."""

    name: str
    type: FieldType
    required: bool = False
    alternatives: tuple[str, ...] = ()
    is_id: bool = False
    """Whether blanks around its texts are ignored."""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Specification of a table. `key` identifies its rows in messages."""

    name: str
    columns: tuple[ColumnSpec, ...]
    key: str


TRANSACTIONS = TableSpec(
    "transactions",
    (
        ColumnSpec("external_id", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("profile", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("transacted_at", FieldType.TIMESTAMP, required=True),
        ColumnSpec("total", FieldType.MONEY, required=True, alternatives=("price_sell", "items")),
        ColumnSpec("timezone", FieldType.STRING),
        ColumnSpec("currency", FieldType.STRING),
        ColumnSpec("currency_rate", FieldType.RATE),
        ColumnSpec("location", FieldType.STRING, is_id=True),
        ColumnSpec("systems", FieldType.STRING_LIST),
        ColumnSpec("is_void", FieldType.BOOLEAN),
        ColumnSpec("status", FieldType.STRING, is_id=True),
        ColumnSpec("items", FieldType.LINE_ITEMS),
        ColumnSpec("sku", FieldType.STRING, is_id=True),
        ColumnSpec("name", FieldType.STRING),
        ColumnSpec("brand", FieldType.STRING),
        ColumnSpec("quantity", FieldType.QUANTITY),
        ColumnSpec("price_sell", FieldType.MONEY),
        ColumnSpec("price_current", FieldType.MONEY),
        ColumnSpec("discount", FieldType.MONEY),
    ),
    key="external_id",
)
"""Purchases and returns; with item columns, rows with the same external id are the lines of one transaction."""

PROFILES = TableSpec(
    "profiles",
    (
        ColumnSpec("external_id", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("joined_at", FieldType.TIMESTAMP),
        ColumnSpec("joined_location_external_id", FieldType.STRING, is_id=True),
        ColumnSpec("preferred_location_external_id", FieldType.STRING, is_id=True),
        ColumnSpec("addresses", FieldType.OBJECT_LIST),
    ),
    key="external_id",
)

REPORT_PROFILES = TableSpec(
    "profiles",
    (
        *PROFILES.columns,
        ColumnSpec("member_id", FieldType.INTEGER),
        ColumnSpec("profile_type", FieldType.STRING),
        ColumnSpec("created_at", FieldType.TIMESTAMP),
        ColumnSpec("updated_at", FieldType.TIMESTAMP),
        ColumnSpec("optin_channel", FieldType.STRING),
        ColumnSpec("optin_subchannel", FieldType.STRING),
        ColumnSpec("gender", FieldType.STRING),
        ColumnSpec("birth_day", FieldType.INTEGER),
        ColumnSpec("birth_month", FieldType.INTEGER),
        ColumnSpec("birth_year", FieldType.INTEGER),
        ColumnSpec("mobile_phone", FieldType.STRING, is_id=True),
        ColumnSpec("email", FieldType.STRING),
        ColumnSpec("attributes", FieldType.OBJECT),
        ColumnSpec("consents", FieldType.OBJECT),
        ColumnSpec("sms_status", FieldType.STRING),
        ColumnSpec("email_status", FieldType.STRING),
        ColumnSpec("push_status", FieldType.STRING),
        ColumnSpec("subunit_ids", FieldType.INTEGER_LIST),
        ColumnSpec("group_ids", FieldType.INTEGER_LIST),
        ColumnSpec("favorite_stores", FieldType.INTEGER_LIST),
        ColumnSpec("properties", FieldType.OBJECT),
    ),
    key="external_id",
)
"""Profiles with the additional columns that reports need."""

MEMBERSHIPS = TableSpec(
    "memberships",
    (
        ColumnSpec("profile", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("type", FieldType.STRING, required=True),
        ColumnSpec("at", FieldType.TIMESTAMP, required=True),
        ColumnSpec("external_id", FieldType.STRING, is_id=True),
        ColumnSpec("optin_channel", FieldType.STRING),
        ColumnSpec("optin_subchannel", FieldType.STRING),
        ColumnSpec("consents", FieldType.OBJECT),
    ),
    key="profile",
)
"""Joins and leaves in addition to the implicit first join of each profile."""

LOCATIONS = TableSpec(
    "locations",
    (
        ColumnSpec("external_id", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("type", FieldType.STRING),
        ColumnSpec("timezone", FieldType.STRING),
        ColumnSpec("country_iso_3", FieldType.STRING),
        ColumnSpec("address", FieldType.OBJECT),
    ),
    key="external_id",
)

PRODUCTS = TableSpec(
    "products",
    (
        ColumnSpec("external_id", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("brand", FieldType.STRING),
        ColumnSpec("sku", FieldType.STRING, is_id=True),
        ColumnSpec("variants", FieldType.OBJECT_LIST),
    ),
    key="external_id",
)

ENTITIES = TableSpec(
    "as_of",
    (
        ColumnSpec("profile", FieldType.STRING, required=True, is_id=True),
        ColumnSpec("as_of", FieldType.TIMESTAMP, required=True),
    ),
    key="profile",
)
"""The entity table: instants to compute profiles at, one row of values each."""

TABLES = (TRANSACTIONS, PROFILES, MEMBERSHIPS, LOCATIONS, PRODUCTS, ENTITIES)
