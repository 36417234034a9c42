"""Puts visits of links: by columns, one statement a batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from regulars.core.errors import ValidationError, field_error
from regulars.facts import links
from regulars.facts.link_visits import LinkVisitRow
from regulars.facts.timed_events import MAX_CLOCK_SKEW
from regulars.model import placeholders
from regulars.model.profiles import lookup
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import link_visits
from regulars.rollups.link_visits import NO_VISITOR, LinkVisitBatch


async def write_many(uow: UnitOfWork, rows: Sequence[LinkVisitRow]) -> list[str | ValidationError]:
    """Writes visits; gives an outcome a row. One that is there already changes nothing."""
    await link_visits.lock_writer(uow)
    refs = {(lookup.EXTERNAL_ID_OR_ID, row.profile) for row in rows if row.profile is not None}
    found = await lookup.resolve(uow, refs) if refs else {}
    profiles = {name: profile_id for (_, name), profile_id in found.items()}
    latest = uow.now + MAX_CLOCK_SKEW
    refusals = [_refusal(row, profiles, latest) for row in rows]
    taken = [row for row, refused in zip(rows, refusals, strict=True) if refused is None]
    written = iter(await _put(uow, taken, profiles))
    return [refused or next(written) for refused in refusals]


def _refusal(row: LinkVisitRow, profiles: Mapping[str, UUID], latest: datetime) -> ValidationError | None:
    if row.profile is not None and row.profile not in profiles:
        return field_error("profile", f"There is no profile {row.profile}")
    if row.visited_at > latest:
        return field_error("at", "lies more than a day ahead: set the clock that it comes from")
    return None


async def _put(
    uow: UnitOfWork, rows: Sequence[LinkVisitRow], profiles: Mapping[str, UUID]
) -> list[str | ValidationError]:
    if not rows:
        return []
    named = {row.link for row in rows}
    sent = {link.source for link in named if link.source_type == "sending" and link.source is not None}
    sending_ids = await placeholders.get_or_create_ids(uow, "sendings", sent) if sent else {}
    link_ids = await links.get_or_create_ids(uow, named, sending_ids)
    fresh = await link_visits.record(
        uow,
        LinkVisitBatch(
            event_keys=[row.event_key for row in rows],
            link_ids=[link_ids[row.link] for row in rows],
            visited_at=[row.visited_at for row in rows],
            visitor_keys=[
                profiles[row.profile] if row.profile is not None else row.visitor_key or NO_VISITOR for row in rows
            ],
            visitor_is_profile=[row.profile is not None for row in rows],
        ),
    )
    return ["loaded" if place in fresh else "unchanged" for place in range(len(rows))]
