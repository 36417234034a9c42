"""A claim: what a member says of a purchase that is theirs and nobody's yet."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from regulars.facts import instants, money
from regulars.facts.given import Reading, code
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.transaction_items import Name

CLAIMS = Resource(
    "claim",
    "transaction_claims AS r",
    (
        Field("id", Kind.INTEGER),
        Field("profile_id", Kind.UUID),
        Field("transaction_id", Kind.INTEGER, meaning="The transaction that it got; null while it waits."),
        Field("transaction_receipt_ref", Kind.STRING, "r.receipt_ref"),
        Field("transaction_transacted_at", Kind.TIME, "r.transacted_at"),
        Field("transaction_timezone", Kind.STRING, "r.timezone"),
        Field("transaction_total", Kind.DECIMAL, "r.total"),
        Field("transaction_location_external_code", Kind.STRING, "r.location_external_code"),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
    ),
)


class ClaimIn(msgspec.Struct, frozen=True, kw_only=True):
    """A claim as it comes in; all five are required."""

    transaction_receipt_ref: Name
    transaction_transacted_at: str
    transaction_timezone: str
    transaction_total: Decimal
    transaction_location_external_code: Name


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim, checked."""

    receipt_ref: str
    transacted_at: datetime
    timezone: str
    total: Decimal
    location_external_code: str


def _required(value: str | int) -> str:
    found = code(value)
    if found is None:
        raise ValueError("is required")
    return found


def _zone(name: str) -> str:
    instants.zone(name)
    return name


def checked(claim: ClaimIn) -> ClaimRow:
    """A claim held to its rules. Raises Refused by path."""
    reading = Reading()
    reading.read("transaction_receipt_ref", claim.transaction_receipt_ref, _required)
    reading.read("transaction_transacted_at", claim.transaction_transacted_at, instants.instant)
    reading.read("transaction_timezone", claim.transaction_timezone, _zone)
    reading.read("transaction_total", claim.transaction_total, money.exact)
    reading.read("transaction_location_external_code", claim.transaction_location_external_code, _required)
    return ClaimRow(**{name.removeprefix("transaction_"): value for name, value in reading.done().items()})
