"""Puts visits of links: by columns, one statement a batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from regulars.facts import expected, links, profile_lookup
from regulars.facts.link_visits import LinkVisitRow
from regulars.facts.refusals import Refused, refuse
from regulars.facts.writing import Writing
from regulars.ingest.happenings import AHEAD
from regulars.reports import visits
from regulars.reports.visits import NOBODY, Visits


async def put_many(writing: Writing, rows: Sequence[LinkVisitRow]) -> list[str | Refused]:
    """Writes visits; gives an outcome a row. One that is there already changes nothing."""
    await visits.alone(writing)
    refs = {(profile_lookup.EITHER, row.profile) for row in rows if row.profile is not None}
    found = await profile_lookup.resolve(writing, refs) if refs else {}
    profiles = {name: profile_id for (_, name), profile_id in found.items()}
    latest = writing.now + AHEAD
    refusals = [_refusal(row, profiles, latest) for row in rows]
    taken = [row for row, refused in zip(rows, refusals, strict=True) if refused is None]
    written = iter(await _put(writing, taken, profiles))
    return [refused or next(written) for refused in refusals]


def _refusal(row: LinkVisitRow, profiles: Mapping[str, UUID], latest: datetime) -> Refused | None:
    if row.profile is not None and row.profile not in profiles:
        return refuse("profile", f"There is no profile {row.profile}")
    if row.at > latest:
        return refuse("at", "lies more than a day ahead: set the clock that it comes from")
    return None


async def _put(writing: Writing, rows: Sequence[LinkVisitRow], profiles: Mapping[str, UUID]) -> list[str | Refused]:
    if not rows:
        return []
    named = {row.link for row in rows}
    sent = {link.source for link in named if link.source_type == "sending" and link.source is not None}
    sending_ids = await expected.ids(writing, "sendings", sent) if sent else {}
    link_ids = await links.expected(writing, named, sending_ids)
    fresh = await visits.tell(
        writing,
        Visits(
            keys=[row.key for row in rows],
            link_ids=[link_ids[row.link] for row in rows],
            at=[row.at for row in rows],
            visitors=[profiles[row.profile] if row.profile is not None else row.visitor or NOBODY for row in rows],
            are_profiles=[row.profile is not None for row in rows],
        ),
    )
    return ["loaded" if place in fresh else "unchanged" for place in range(len(rows))]
