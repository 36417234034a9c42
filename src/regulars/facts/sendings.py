"""Sendings: messages that go to many, one dispatch a recipient."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation
from regulars.core.errors import ValidationError
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

SendingOutcome = Literal["loaded", "unchanged"] | ValidationError

CHANNELS = ("sms", "email", "push")


class SendingIn(msgspec.Struct, frozen=True, kw_only=True):
    """A sending as it comes in. `external_id` is what its events name it by."""

    external_id: validation.Code = UNSET
    reporting_id: validation.Id = UNSET
    language: validation.Text = UNSET
    channel: validation.Text = UNSET
    service_type: validation.Text = UNSET
    source_id: validation.Code = UNSET
    source_app: validation.Text = UNSET
    source_type: validation.Text = UNSET
    audience_id: validation.Id = UNSET
    campaign_id: validation.Id = UNSET
    created_at: validation.Text = UNSET


@dataclass(frozen=True, slots=True)
class SendingRow:
    """A sending that was checked."""

    external_id: str
    channel: str
    reporting_id: int | None = None
    language: str | None = None
    service_type: str | None = None
    source_id: str | None = None
    source_app: str | None = None
    source_type: str | None = None
    audience_id: int | None = None
    campaign_id: int | None = None
    created_at: datetime | None = None


def validate(sending: SendingIn) -> SendingRow:
    """A sending held to its rules. Raises Refused by path."""
    reading = validation.FieldReader()
    reading.read("external_id", sending.external_id, validation.check_code)
    reading.read("channel", sending.channel, _channel)
    reading.read("source_id", sending.source_id, validation.check_code)
    reading.read("created_at", sending.created_at, timestamps.parse_timestamp)
    for name in ("language", "service_type", "source_app", "source_type"):
        reading.read(name, getattr(sending, name), validation.check_text)
    for name in ("reporting_id", "audience_id", "campaign_id"):
        reading.read(name, getattr(sending, name), int)
    reading.require("external_id", "channel")
    return SendingRow(**reading.result())


def _channel(text: str) -> str:
    if text not in CHANNELS:
        raise ValueError(f"must be one of {', '.join(CHANNELS)}")
    return text


_COLUMNS = {
    "external_id": "text",
    "reporting_id": "bigint",
    "language": "text",
    "channel": "text",
    "service_type": "text",
    "source_id": "text",
    "source_app": "text",
    "source_type": "text",
    "audience_id": "bigint",
    "campaign_id": "bigint",
    "created_at": "timestamptz",
}
_NAMES = [name for name in _COLUMNS if name not in ("external_id", "created_at")]

# A row that says nothing new is not written; what it does not say stays.
_PUT = f"""
INSERT INTO sendings AS kept (community_id, is_known, {", ".join(_COLUMNS)})
SELECT $1, TRUE, {", ".join(name for name in _COLUMNS if name != "created_at")}, coalesce(created_at, $2)
FROM unnest({", ".join(f"${n}::text::{kind}[]" for n, kind in enumerate(_COLUMNS.values(), 3))})
    AS given ({", ".join(_COLUMNS)})
ORDER BY external_id
ON CONFLICT (community_id, external_id) WHERE external_id IS NOT NULL DO UPDATE
SET is_known = TRUE,
    {", ".join(f"{name} = coalesce(excluded.{name}, kept.{name})" for name in _NAMES)},
    created_at = CASE
        WHEN kept.is_known AND excluded.created_at = $2 THEN kept.created_at ELSE excluded.created_at
    END
WHERE NOT kept.is_known
   OR ({", ".join(f"kept.{name}" for name in _NAMES)})
      IS DISTINCT FROM ({", ".join(f"coalesce(excluded.{name}, kept.{name})" for name in _NAMES)})
   OR excluded.created_at NOT IN (kept.created_at, $2)
RETURNING external_id
"""


async def upsert_many(uow: UnitOfWork, rows: Sequence[SendingRow]) -> list[SendingOutcome]:
    """Writes sendings by external id, of each what is given; gives an outcome a row, of one id's the last one's.

    Events of it that are there already are its own from then on.
    """
    latest: dict[str, SendingRow] = {}
    last = {row.external_id: place for place, row in enumerate(rows)}
    for row in rows:
        latest[row.external_id] = _over(row, latest.get(row.external_id))
    columns = [array_literal([getattr(row, name) for row in latest.values()]) for name in _COLUMNS]
    found = await uow.fetch(_PUT, uow.community_id, uow.now, *columns)
    written = {row["external_id"] for row in found}
    return [
        "loaded" if last[row.external_id] == place and row.external_id in written else "unchanged"
        for place, row in enumerate(rows)
    ]


def _over(row: SendingRow, before: SendingRow | None) -> SendingRow:
    if before is None:
        return row
    given = {name: value for name in _COLUMNS if (value := getattr(row, name)) is not None}
    return replace(before, **given)
