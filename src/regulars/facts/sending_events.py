"""What happens to the dispatches of sendings: events, each with an id of its own that makes repeats harmless."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation

EVENT_TYPES = (
    "scheduled", "transmitted", "delivered", "failed", "opened", "clicked", "bounced", "unsubscribed", "complained",
)  # fmt: skip
"""What can happen to a dispatch, in its order."""

EVENT_TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES, 1)}
"""What events are kept as."""


class SendingEventIn(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it comes in.

    `sending` is the external id of one, that may come later; `profile` an external id or a profile's id, the
    recipient. Without `dispatch` the recipient has one dispatch in the sending.
    """

    external_id: validation.Code = UNSET
    sending: validation.Code = UNSET
    dispatch: validation.Code = UNSET
    profile: validation.Code = UNSET
    event: validation.Text = UNSET
    at: validation.Text = UNSET


@dataclass(frozen=True, slots=True)
class SendingEventRow:
    """An event that was checked. `key` and `dispatch` are digests of the ids that it came with."""

    event_key: UUID
    sending: str
    dispatch_key: UUID
    profile: str | None
    event_type: int
    occurred_at: datetime


def validate(event: SendingEventIn, zone: str) -> SendingEventRow:
    """An event held to its rules; a time without an offset is of a zone. Raises Refused by path."""
    reading = validation.FieldReader()
    for name in ("external_id", "sending", "dispatch", "profile"):
        reading.read(name, getattr(event, name), validation.check_code)
    reading.read("event", event.event, partial(validation.code_of, codes=EVENT_TYPE_CODES))
    reading.read("at", event.at, partial(timestamps.parse_in_timezone, zone=zone))
    reading.require("external_id", "sending", "event", "at")
    columns = reading.columns
    dispatch, profile = columns.get("dispatch"), columns.get("profile")
    if dispatch is None and profile is None and not reading.errors:
        reading.errors["dispatch"] = "is required, or else a profile"
    reading.result()
    return SendingEventRow(
        validation.hash_key(columns["external_id"]),
        columns["sending"],
        validation.hash_key(f"dispatch {dispatch}" if dispatch is not None else f"profile {profile}"),
        profile,
        columns["event"],
        columns["at"],
    )
