"""Sendings: messages to many recipients, one dispatch per recipient."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from msgspec import UNSET

from regulars.core import timestamps, validation
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowOutcome, RowSchema, local_to_utc_text
from regulars.model.community import Community
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

CHANNELS = ("sms", "email", "push")
"""What a sending may be sent through."""


class SendingIn(msgspec.Struct, frozen=True, kw_only=True):
    """A sending as input. Events refer to it by its `external_id`."""

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
    """A validated sending."""

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
    """Validates a sending. Raises ValidationError by path."""
    reader = validation.FieldReader()
    reader.read("external_id", sending.external_id, validation.check_code)
    reader.read("channel", sending.channel, _channel)
    reader.read("source_id", sending.source_id, validation.check_code)
    reader.read("created_at", sending.created_at, timestamps.parse_timestamp)
    for name in ("language", "service_type", "source_app", "source_type"):
        reader.read(name, getattr(sending, name), validation.check_text)
    for name in ("reporting_id", "audience_id", "campaign_id"):
        reader.read(name, getattr(sending, name), int)
    reader.require("external_id", "channel")
    return SendingRow(**reader.result())


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
_OPTIONAL = [name for name in _COLUMNS if name not in ("external_id", "created_at")]

# Absent fields keep their values, and an unchanged row is not written.
_UPSERT = f"""
INSERT INTO sendings AS stored (community_id, is_placeholder, {", ".join(_COLUMNS)})
SELECT $1, FALSE, {", ".join(name for name in _COLUMNS if name != "created_at")}, coalesce(created_at, $2)
FROM unnest({", ".join(f"${n}::text::{type_}[]" for n, type_ in enumerate(_COLUMNS.values(), 3))})
    AS input ({", ".join(_COLUMNS)})
ORDER BY external_id
ON CONFLICT (community_id, external_id) WHERE external_id IS NOT NULL DO UPDATE
SET is_placeholder = FALSE,
    {", ".join(f"{name} = coalesce(excluded.{name}, stored.{name})" for name in _OPTIONAL)},
    created_at = CASE
        WHEN NOT stored.is_placeholder AND excluded.created_at = $2 THEN stored.created_at ELSE excluded.created_at
    END
WHERE stored.is_placeholder
   OR ({", ".join(f"stored.{name}" for name in _OPTIONAL)})
      IS DISTINCT FROM ({", ".join(f"coalesce(excluded.{name}, stored.{name})" for name in _OPTIONAL)})
   OR excluded.created_at NOT IN (stored.created_at, $2)
RETURNING external_id
"""


async def upsert_many(uow: UnitOfWork, rows: Sequence[SendingRow]) -> list[RowOutcome]:
    """Creates or updates sendings by external id, and returns an outcome per row.

    Of several rows with one external id the last one has the outcome of all. Events that arrived before their sending
    belong to it.
    """
    merged: dict[str, SendingRow] = {}
    last_index = {row.external_id: index for index, row in enumerate(rows)}
    for row in rows:
        merged[row.external_id] = _merge(row, merged.get(row.external_id))
    columns = [array_literal([getattr(row, name) for row in merged.values()]) for name in _COLUMNS]
    changed = {row["external_id"] for row in await uow.fetch(_UPSERT, uow.community_id, uow.now, *columns)}
    return [
        "accepted" if last_index[row.external_id] == index and row.external_id in changed else "unchanged"
        for index, row in enumerate(rows)
    ]


def _merge(row: SendingRow, earlier: SendingRow | None) -> SendingRow:
    if earlier is None:
        return row
    present = {name: value for name in _COLUMNS if (value := getattr(row, name)) is not None}
    return replace(earlier, **present)


def _validate_row(sending: SendingIn, community: Community) -> SendingRow:
    return validate(msgspec.structs.replace(sending, created_at=local_to_utc_text(sending.created_at, community)))


SENDINGS = FactType(
    name="sendings",
    description="Messages to many recipients.",
    schema=RowSchema(Columns(SendingIn, (("external_id",), ("channel",)), {}, times=("created_at",)), _validate_row),
    write=upsert_many,
)
