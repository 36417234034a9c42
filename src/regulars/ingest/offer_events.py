"""Puts events of offers: by columns, one statement a batch."""

from collections.abc import Sequence

from regulars.facts import expected, locations, offers
from regulars.facts.offer_events import OfferEventRow
from regulars.facts.refusals import Refused
from regulars.facts.writing import Writing
from regulars.ingest import happenings
from regulars.ingest.happenings import Who
from regulars.reports import usages
from regulars.reports.usages import Events


async def put_many(writing: Writing, rows: Sequence[OfferEventRow]) -> list[str | Refused]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    return await happenings.put(writing, rows, _tell)


async def _tell(writing: Writing, rows: Sequence[OfferEventRow], who: Who) -> set[int]:
    stores = {row.location for row in rows if row.location is not None}
    location_ids = await locations.resolve(writing, stores, create=True)
    offer_ids = await expected.ids(writing, offers.TABLE.name, {row.offer for row in rows})
    return await usages.tell(
        writing,
        Events(
            offer_ids=[offer_ids[row.offer] for row in rows],
            keys=[row.key for row in rows],
            codes=[row.code for row in rows],
            at=[row.at for row in rows],
            profile_ids=[who[row.profile] for row in rows],
            location_ids=[usages.NOWHERE if row.location is None else location_ids[row.location] for row in rows],
            transactions=[row.transaction for row in rows],
        ),
    )
