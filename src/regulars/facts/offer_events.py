"""What happens to offers: each event with an id of its own that makes repeats harmless."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation

EVENT_TYPES = ("seen", "clicked", "granted", "used")
"""What can happen to an offer, in its order."""

EVENT_TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES, 1)}
"""What events are kept as."""


class OfferEventIn(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it comes in.

    `offer` is the external id of one, that may come later; `profile` an external id or a profile's id, who it was;
    `location` a store's id or external id, where it was; `transaction` the external id of that in which it was used.
    """

    external_id: validation.Code = UNSET
    offer: validation.Code = UNSET
    event: validation.Text = UNSET
    at: validation.Text = UNSET
    profile: validation.Code = UNSET
    transaction: validation.Code = UNSET
    location: validation.Code = UNSET


@dataclass(frozen=True, slots=True)
class OfferEventRow:
    """An event that was checked. `key` is a digest of its own id."""

    event_key: UUID
    offer: str
    event_type: int
    occurred_at: datetime
    profile: str | None
    transaction: str | None
    location: str | None


def validate(event: OfferEventIn, zone: str) -> OfferEventRow:
    """An event held to its rules; a time without an offset is of a zone. Raises Refused by path."""
    reading = validation.FieldReader()
    for name in ("external_id", "offer", "profile", "transaction", "location"):
        reading.read(name, getattr(event, name), validation.check_code)
    reading.read("event", event.event, partial(validation.code_of, codes=EVENT_TYPE_CODES))
    reading.read("at", event.at, partial(timestamps.parse_in_timezone, zone=zone))
    reading.require("external_id", "offer", "event", "at")
    columns = reading.columns
    if columns.get("transaction") is not None and columns.get("event") not in (None, EVENT_TYPE_CODES["used"]):
        reading.errors["transaction"] = "goes with the event used"
    reading.result()
    return OfferEventRow(
        validation.hash_key(columns["external_id"]),
        columns["offer"],
        columns["event"],
        columns["at"],
        columns.get("profile"),
        columns.get("transaction"),
        columns.get("location"),
    )
