"""docs/offers.md is true: what it loads comes to what it says."""

from __future__ import annotations

from pathlib import Path

from clubs import Club
from regulars.facts.offer_events import EVENT_TYPES
from reports.doc_examples import assert_page_is_current, with_current_answers
from reports.offer_recount import OfferClub

PAGE = Path(__file__).parent.parent.parent / "docs" / "offers.md"
TABLES = {
    "offers": "offers",
    "offers_collections": "offer_collections",
    "offer_id": "offers",
    "collection_ids": "offer_collections",
    "collection_id": "offer_collections",
    "store_id": "locations",
}


async def test_the_examples_of_the_page_have_the_answers_that_it_shows(club: Club) -> None:
    shop = OfferClub(club)
    await shop.load("profiles", [{"external_id": name} for name in ("C1", "C2", "C3")])
    assert_page_is_current(PAGE, await with_current_answers(shop, PAGE.read_text(), TABLES))


def test_the_page_names_every_event() -> None:
    assert ", ".join(f"`{each}`" for each in EVENT_TYPES) in " ".join(PAGE.read_text().split())
