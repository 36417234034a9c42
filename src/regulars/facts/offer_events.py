"""What happens to offers: each event with an id of its own that makes repeats harmless."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.facts import given, instants

EVENTS = ("seen", "clicked", "granted", "used")
"""What can happen to an offer, in its order."""

CODES = {name: code for code, name in enumerate(EVENTS, 1)}
"""What events are kept as."""


class OfferEventIn(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it comes in.

    `offer` is the external id of one, that may come later; `profile` an external id or a profile's id, who it was;
    `location` a store's id or external id, where it was; `transaction` the external id of that in which it was used.
    """

    external_id: given.Code = UNSET
    offer: given.Code = UNSET
    event: given.Text = UNSET
    at: given.Text = UNSET
    profile: given.Code = UNSET
    transaction: given.Code = UNSET
    location: given.Code = UNSET


@dataclass(frozen=True, slots=True)
class OfferEventRow:
    """An event that was checked. `key` is a digest of its own id."""

    key: UUID
    offer: str
    code: int
    at: datetime
    profile: str | None
    transaction: str | None
    location: str | None


def checked(event: OfferEventIn, zone: str) -> OfferEventRow:
    """An event held to its rules; a time without an offset is of a zone. Raises Refused by path."""
    reading = given.Reading()
    for name in ("external_id", "offer", "profile", "transaction", "location"):
        reading.read(name, getattr(event, name), given.code)
    reading.read("event", event.event, partial(given.one_of, codes=CODES))
    reading.read("at", event.at, partial(instants.in_zone, zone=zone))
    reading.require("external_id", "offer", "event", "at")
    columns = reading.columns
    if columns.get("transaction") is not None and columns.get("event") not in (None, CODES["used"]):
        reading.errors["transaction"] = "goes with the event used"
    reading.done()
    return OfferEventRow(
        given.digest(columns["external_id"]),
        columns["offer"],
        columns["event"],
        columns["at"],
        columns.get("profile"),
        columns.get("transaction"),
        columns.get("location"),
    )
