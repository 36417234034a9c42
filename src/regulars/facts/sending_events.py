"""What happens to the dispatches of sendings: events, each with an id of its own that makes repeats harmless."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.facts import given, instants

EVENTS = (
    "scheduled", "transmitted", "delivered", "failed", "opened", "clicked", "bounced", "unsubscribed", "complained",
)  # fmt: skip
"""What can happen to a dispatch, in its order."""

CODES = {name: code for code, name in enumerate(EVENTS, 1)}
"""What events are kept as."""


class SendingEventIn(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it comes in.

    `sending` is the external id of one, that may come later; `profile` an external id or a profile's id, the
    recipient. Without `dispatch` the recipient has one dispatch in the sending.
    """

    external_id: given.Code = UNSET
    sending: given.Code = UNSET
    dispatch: given.Code = UNSET
    profile: given.Code = UNSET
    event: given.Text = UNSET
    at: given.Text = UNSET


@dataclass(frozen=True, slots=True)
class SendingEventRow:
    """An event that was checked. `key` and `dispatch` are digests of the ids that it came with."""

    key: UUID
    sending: str
    dispatch: UUID
    profile: str | None
    code: int
    at: datetime


def checked(event: SendingEventIn, zone: str) -> SendingEventRow:
    """An event held to its rules; a time without an offset is of a zone. Raises Refused by path."""
    reading = given.Reading()
    for name in ("external_id", "sending", "dispatch", "profile"):
        reading.read(name, getattr(event, name), given.code)
    reading.read("event", event.event, partial(given.one_of, codes=CODES))
    reading.read("at", event.at, partial(instants.in_zone, zone=zone))
    reading.require("external_id", "sending", "event", "at")
    columns = reading.columns
    dispatch, profile = columns.get("dispatch"), columns.get("profile")
    if dispatch is None and profile is None and not reading.errors:
        reading.errors["dispatch"] = "is required, or else a profile"
    reading.done()
    return SendingEventRow(
        given.digest(columns["external_id"]),
        columns["sending"],
        given.digest(f"dispatch {dispatch}" if dispatch is not None else f"profile {profile}"),
        profile,
        columns["event"],
        columns["at"],
    )
