"""Puts events of offers: by columns, one statement a batch."""

from collections.abc import Sequence

from regulars.core.errors import ValidationError
from regulars.facts import offers, timed_events
from regulars.facts.offer_events import OfferEventRow
from regulars.facts.timed_events import ProfileIds
from regulars.model import locations, placeholders
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import offer_events
from regulars.rollups.offer_events import OfferEventBatch


async def write_many(uow: UnitOfWork, rows: Sequence[OfferEventRow]) -> list[str | ValidationError]:
    """Writes events; gives an outcome a row. One that is there already changes nothing."""
    return await timed_events.write_events(uow, rows, _tell)


async def _tell(uow: UnitOfWork, rows: Sequence[OfferEventRow], who: ProfileIds) -> set[int]:
    stores = {row.location for row in rows if row.location is not None}
    location_ids = await locations.resolve_ids(uow, stores, create_missing=True)
    offer_ids = await placeholders.get_or_create_ids(uow, offers.TABLE.name, {row.offer for row in rows})
    return await offer_events.record(
        uow,
        OfferEventBatch(
            offer_ids=[offer_ids[row.offer] for row in rows],
            event_keys=[row.event_key for row in rows],
            event_types=[row.event_type for row in rows],
            occurred_at=[row.occurred_at for row in rows],
            profile_ids=[who[row.profile] for row in rows],
            location_ids=[
                offer_events.NO_LOCATION if row.location is None else location_ids[row.location] for row in rows
            ],
            transaction_external_ids=[row.transaction for row in rows],
        ),
    )
