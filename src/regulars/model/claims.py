"""Claims: a member claims a transaction without a profile by the data of its receipt."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from regulars.core import money, timestamps
from regulars.core.field_type import FieldType
from regulars.core.validation import FieldReader, check_code
from regulars.model.resource import Resource, ResourceField
from regulars.model.transactions.line_items import TextOrInt

CLAIMS = Resource(
    "claim",
    "transaction_claims AS r",
    (
        ResourceField("id", FieldType.INTEGER),
        ResourceField("profile_id", FieldType.UUID),
        ResourceField(
            "transaction_id", FieldType.INTEGER, description="The claimed transaction; null until one matches."
        ),
        ResourceField("transaction_receipt_ref", FieldType.STRING, "r.receipt_ref"),
        ResourceField("transaction_transacted_at", FieldType.TIMESTAMP, "r.transacted_at"),
        ResourceField("transaction_timezone", FieldType.STRING, "r.timezone"),
        # Compared as a number; shown as a text, as clients of the public API expect.
        ResourceField("transaction_total", FieldType.NUMBER, "r.total", is_visible=False),
        ResourceField("transaction_total", FieldType.STRING, "r.total::text"),
        ResourceField("transaction_location_external_code", FieldType.STRING, "r.location_external_code"),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
    ),
)


class ClaimIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a claim in a request; all are required."""

    transaction_receipt_ref: TextOrInt
    transaction_transacted_at: str
    transaction_timezone: str
    transaction_total: Decimal
    transaction_location_external_code: TextOrInt


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A validated claim."""

    receipt_ref: str
    transacted_at: datetime
    timezone: str
    total: Decimal
    location_external_code: str


def _required(value: str | int) -> str:
    found = check_code(value)
    if found is None:
        raise ValueError("is required")
    return found


def _zone(name: str) -> str:
    timestamps.zone_info(name)
    return name


def validate(claim: ClaimIn) -> ClaimRow:
    """Validates a claim. Raises ValidationError."""
    reader = FieldReader()
    reader.read("transaction_receipt_ref", claim.transaction_receipt_ref, _required)
    reader.read("transaction_transacted_at", claim.transaction_transacted_at, timestamps.parse_timestamp)
    reader.read("transaction_timezone", claim.transaction_timezone, _zone)
    reader.read("transaction_total", claim.transaction_total, money.check_decimal)
    reader.read("transaction_location_external_code", claim.transaction_location_external_code, _required)
    return ClaimRow(**{name.removeprefix("transaction_"): value for name, value in reader.result().items()})
