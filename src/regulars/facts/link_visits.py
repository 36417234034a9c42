"""Visits of links, and everything that is counted of them.

Visitors are numbered, and a bucket of a link holds the numbers of its visitors, so that the distinct visitors of any
links over any buckets are counted by joining numbers. The visits of a community have a single writer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import timestamps, urls, validation
from regulars.facts import links, timed_events
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactType, RowOutcome, RowSchema, in_community_timezone
from regulars.facts.links import Link
from regulars.model import placeholders
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import event_statements, partitions, timezones, verification
from regulars.rollups.intervals import GRANULARITIES
from regulars.storage import sql_files
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Scope

# Rows -------------------------------------------------------------------------------------------------------

_Url = Annotated[str, msgspec.Meta(max_length=urls.MAX_URL_LENGTH)] | UnsetType | None


class LinkVisitIn(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as input.

    The link is a `url`, or its parts, which take precedence. `sending` or `offer` is the external id of what led to the
    link; it may be created later. `profile` is the external id or the id of a profile; `visitor` identifies visitors
    without a profile.
    """

    external_id: validation.Code = UNSET
    at: validation.Text = UNSET
    url: _Url = UNSET
    host: _Url = UNSET
    path: _Url = UNSET
    utm_source: validation.Text = UNSET
    utm_medium: validation.Text = UNSET
    utm_campaign: validation.Text = UNSET
    utm_content: validation.Text = UNSET
    utm_term: validation.Text = UNSET
    sending: validation.Code = UNSET
    offer: validation.Code = UNSET
    profile: validation.Code = UNSET
    visitor: validation.Code = UNSET


@dataclass(frozen=True, slots=True)
class LinkVisitRow:
    """A validated visit. `event_key` and `visitor_key` are hashes of the external ids."""

    event_key: UUID
    occurred_at: datetime
    link: Link
    profile: str | None
    visitor_key: UUID | None


def validate(visit: LinkVisitIn, timezone: str) -> LinkVisitRow:
    """Validates a visit; a timestamp without an offset is in `timezone`. Raises ValidationError by path."""
    reader = validation.FieldReader()
    for name in ("external_id", "sending", "offer", "profile", "visitor"):
        reader.read(name, getattr(visit, name), validation.check_code)
    reader.read("at", visit.at, partial(timestamps.parse_in_timezone, zone=timezone))
    reader.read("url", visit.url, urls.parse_url)
    reader.read("host", visit.host, urls.normalize_host)
    reader.read("path", visit.path, urls.normalize_path)
    for name in urls.UTM_PARAMETERS:
        reader.read(name, getattr(visit, name), validation.check_text)
    columns = reader.columns
    for name in ("external_id", "at"):
        if columns.get(name) is None:
            reader.errors.setdefault(name, "is required")
    if columns.get("url") is None and columns.get("host") is None and "url" not in reader.errors:
        reader.errors.setdefault("host", "is required, or else a url")
    if columns.get("sending") is not None and columns.get("offer") is not None:
        reader.errors["offer"] = "stands beside a sending: a visit comes from one of them"
    reader.result()
    visitor = columns.get("visitor")
    return LinkVisitRow(
        validation.hash_key(columns["external_id"]),
        columns["at"],
        _link(columns.get("url"), columns),
        columns.get("profile"),
        validation.hash_key(f"visitor {visitor}") if visitor else None,
    )


def _link(url: urls.ParsedUrl | None, columns: Mapping[str, Any]) -> Link:
    """The link of a visit: parts in columns of their own take precedence over the URL."""
    parsed = url or urls.ParsedUrl("", "/", (None,) * len(urls.UTM_PARAMETERS))
    sending, offer = columns.get("sending"), columns.get("offer")
    return Link(
        "sending" if sending is not None else "offer" if offer is not None else "other",
        sending or offer,
        columns.get("host") or parsed.host,
        columns.get("path") or parsed.path,
        tuple(columns.get(name) or value for name, value in zip(urls.UTM_PARAMETERS, parsed.utm, strict=True)),
    )


# Recording --------------------------------------------------------------------------------------------------

_NAME = "link_visits"

NO_VISITOR = UUID(int=0)
"""Stands for the visitor of a visit without one."""

SEGMENT_SIZE = 256
"""The number of visits of a bucket that share a row. A row is rewritten with each batch that adds to it, and a row per
visit would take many times the space."""

_PARTS = {
    "community": event_statements.COMMUNITY,
    "input": event_statements.input_rows(
        {
            "visit_key_hash": "uuid",
            "link_id": "bigint",
            "visited_at": "timestamptz",
            "visitor_hash": "uuid",
            "is_profile": "boolean",
        },
        nullable="visitor_hash",
    ),
}

_RECORD = sql_files.load(
    "regulars.facts", "link_visits_record", **_PARTS, buckets=event_statements.buckets(("numbered_visits",), 7)
)
_REASSIGN = sql_files.load("regulars.facts", "link_visits_reassign")
_REBUILD = sql_files.load(
    "regulars.facts", "link_visits_rebuild", buckets=event_statements.buckets(("visits",), 3, timezone="$2")
)
_VERIFY = verification.load("regulars.facts", "link_visits_verify")

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('regulars.visits'), $1)"

_VISITOR_NUMBERS = """
SELECT visitor_hash, visitor_no FROM link_visitors WHERE community_id = $1 AND visitor_hash = ANY ($2)
"""

_RENAME_VISITOR = "UPDATE link_visitors SET visitor_hash = $3 WHERE community_id = $1 AND visitor_hash = $2"

# The address of a link may identify its visitor.
_DELETE_UNVISITED_LINKS = """
DELETE FROM links AS l
WHERE l.community_id = $1 AND l.id = ANY ($2)
  AND NOT EXISTS (
      SELECT FROM link_rollups AS k WHERE k.community_id = $1 AND k.granularity = '1mo' AND k.link_id = l.id
  )
"""


async def write_many(uow: UnitOfWork, rows: Sequence[LinkVisitRow]) -> list[RowOutcome]:
    """Stores and counts visits, and returns an outcome per row. A visit that is stored already changes nothing."""
    await lock_writer(uow)
    return await timed_events.write_valid(uow, rows, _record)


async def lock_writer(scope: Scope) -> None:
    """Locks the visits of the community, and who their visitors are, until the end of the transaction."""
    await scope.fetchval(_LOCK, scope.community_id)


async def _record(uow: UnitOfWork, rows: Sequence[LinkVisitRow], profile_ids: timed_events.ProfileIds) -> set[int]:
    visited = {row.link for row in rows}
    sendings = {link.source for link in visited if link.source_type == "sending" and link.source is not None}
    sending_ids = await placeholders.get_or_create_ids(uow, "sendings", sendings) if sendings else {}
    link_ids = await links.get_or_create_ids(uow, visited, sending_ids)
    await timezones.ensure(uow, _NAME)
    new = await uow.fetch(
        _RECORD,
        uow.community_id,
        array_literal([row.event_key for row in rows]),
        array_literal([link_ids[row.link] for row in rows]),
        array_literal([row.occurred_at for row in rows]),
        array_literal(
            [profile_ids[row.profile] if row.profile is not None else row.visitor_key or NO_VISITOR for row in rows]
        ),
        array_literal([row.profile is not None for row in rows]),
        GRANULARITIES,
        partitions.retention_starts(uow.now),
        SEGMENT_SIZE,
    )
    return {row["row_no"] - 1 for row in new}


async def erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    """Deletes visitors and their visits, and subtracts them from everything that is counted."""
    await lock_writer(scope)
    numbers = await _visitor_numbers(scope, profile_ids)
    await _change_visitors(scope, dict.fromkeys(numbers.values(), 0))


async def reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    """Makes the visits of merged profiles those of the profiles that they were merged into."""
    await lock_writer(scope)
    for source_id, destination_id in merged.items():
        numbers = await _visitor_numbers(scope, (source_id, destination_id))
        if len(numbers) == 2:
            await _change_visitors(scope, {numbers[source_id]: numbers[destination_id]})
        elif source_id in numbers:
            await scope.execute(_RENAME_VISITOR, scope.community_id, source_id, destination_id)


async def _visitor_numbers(scope: Scope, profile_ids: Collection[UUID]) -> dict[UUID, int]:
    rows = await scope.fetch(_VISITOR_NUMBERS, scope.community_id, sorted(profile_ids))
    return {row["visitor_hash"]: row["visitor_no"] for row in rows}


async def _change_visitors(scope: Scope, numbers: Mapping[int, int]) -> None:
    """Replaces visitors by others, or deletes their visits (0)."""
    if not numbers:
        return
    rows = await scope.fetch(_REASSIGN, scope.community_id, list(numbers), list(numbers.values()), GRANULARITIES)
    await scope.execute(_DELETE_UNVISITED_LINKS, scope.community_id, [row["link_id"] for row in rows])


async def _rebuild(scope: Scope, timezone: str) -> None:
    await lock_writer(scope)
    await scope.execute("DELETE FROM link_rollups WHERE community_id = $1", scope.community_id)
    await scope.execute(
        _REBUILD, scope.community_id, timezone, GRANULARITIES, partitions.retention_starts(scope.now), SEGMENT_SIZE
    )


rebuild_if_stale = partial(timezones.rebuild_if_changed, fact_type=_NAME, rebuild=_rebuild)
"""Rebuilds all rollups if the community's time zone has changed, and returns 1 then, else 0."""


LINK_VISITS = FactType(
    name=_NAME,
    description="Visits of links that sendings, offers and other sources lead to.",
    schema=RowSchema(
        Columns(LinkVisitIn, (("external_id",), ("url", "host"), ("at",)), {}, times=("at",)),
        in_community_timezone(validate),
    ),
    write=write_many,
    erase=erase,
    reassign=reassign,
    rebuild=rebuild_if_stale,
    rollup_tables=("link_rollups",),
    verify=partial(timed_events.find_discrepancies, _VERIFY, _NAME),
)
