"""Puts events of sendings: by columns, one statement a batch."""

from collections.abc import Sequence

from regulars.facts import expected
from regulars.facts.refusals import Refused
from regulars.facts.sending_events import SendingEventRow
from regulars.facts.writing import Writing
from regulars.ingest import happenings
from regulars.ingest.happenings import Who
from regulars.reports import messages
from regulars.reports.messages import Events


async def put_many(writing: Writing, rows: Sequence[SendingEventRow]) -> list[str | Refused]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    return await happenings.put(writing, rows, _tell)


async def _tell(writing: Writing, rows: Sequence[SendingEventRow], who: Who) -> set[int]:
    sending_ids = await expected.ids(writing, "sendings", {row.sending for row in rows})
    return await messages.tell(
        writing,
        Events(
            sending_ids=[sending_ids[row.sending] for row in rows],
            dispatches=[row.dispatch for row in rows],
            keys=[row.key for row in rows],
            codes=[row.code for row in rows],
            at=[row.at for row in rows],
            profile_ids=[who[row.profile] for row in rows],
        ),
    )
