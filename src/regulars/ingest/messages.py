"""Puts events of sendings: by columns, one statement a batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from regulars.facts import profile_lookup, sendings
from regulars.facts.refusals import Refused, refuse
from regulars.facts.sending_events import SendingEventRow
from regulars.facts.writing import Writing
from regulars.reports import messages
from regulars.reports.messages import NOBODY, Events

AHEAD = timedelta(days=1)
"""So far the clocks of others may be ahead of ours."""


async def put_many(writing: Writing, rows: Sequence[SendingEventRow]) -> list[str | Refused]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    await messages.sharing_recipients(writing)
    recipients = await _recipients(writing, {row.profile for row in rows})
    latest = writing.now + AHEAD
    taken = [row for row in rows if row.at <= latest and row.profile in recipients]
    outcomes: list[str | Refused] = []
    written = iter(await _put(writing, taken, recipients))
    for row in rows:
        refused = _refusal(row, recipients, latest)
        outcomes.append(refused or next(written))
    return outcomes


async def _recipients(writing: Writing, names: set[str | None]) -> Mapping[str | None, UUID]:
    refs = {(profile_lookup.EITHER, name) for name in names if name is not None}
    found = await profile_lookup.resolve(writing, refs) if refs else {}
    return {None: NOBODY} | {name: profile_id for (_, name), profile_id in found.items()}


def _refusal(row: SendingEventRow, recipients: Mapping[str | None, UUID], latest: datetime) -> Refused | None:
    if row.profile not in recipients:
        return refuse("profile", f"There is no profile {row.profile}")
    if row.at > latest:
        return refuse("at", "lies more than a day ahead: set the clock that it comes from")
    return None


async def _put(
    writing: Writing, rows: Sequence[SendingEventRow], recipients: Mapping[str | None, UUID]
) -> list[str | Refused]:
    if not rows:
        return []
    sending_ids = await sendings.expected(writing, {row.sending for row in rows})
    fresh = await messages.tell(
        writing,
        Events(
            sending_ids=[sending_ids[row.sending] for row in rows],
            dispatches=[row.dispatch for row in rows],
            keys=[row.key for row in rows],
            codes=[row.code for row in rows],
            at=[row.at for row in rows],
            profile_ids=[recipients[row.profile] for row in rows],
        ),
    )
    return ["loaded" if place in fresh else "unchanged" for place in range(len(rows))]
