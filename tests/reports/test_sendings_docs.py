"""docs/sendings.md is true: what it loads comes to what it says."""

from __future__ import annotations

from pathlib import Path

from clubs import Club
from regulars.facts.sending_events import EVENT_TYPES
from reports.doc_examples import assert_page_is_current, with_current_answers
from reports.sending_recount import SendingClub

PAGE = Path(__file__).parent.parent.parent / "docs" / "sendings.md"


async def test_the_examples_of_the_page_have_the_answers_that_it_shows(club: Club) -> None:
    post = SendingClub(club)
    years = {"C1": 1990, "C2": 1961, "C3": 2004}
    await post.load(
        "profiles", [{"external_id": name, "birth_year": year, "gender": "female"} for name, year in years.items()]
    )
    assert_page_is_current(PAGE, await with_current_answers(post, PAGE.read_text(), {"sendings": "sendings"}))


def test_the_page_names_every_event() -> None:
    assert ", ".join(f"`{each}`" for each in EVENT_TYPES) in " ".join(PAGE.read_text().split())
