"""docs/links.md is true: what it loads comes to what it says."""

from __future__ import annotations

from pathlib import Path

from clubs import Club
from regulars.core import urls, validation
from reports.doc_examples import assert_page_is_current, with_current_answers
from reports.sending_recount import SendingClub

PAGE = Path(__file__).parent.parent.parent / "docs" / "links.md"


async def test_the_examples_of_the_page_have_the_answers_that_it_shows(club: Club) -> None:
    post = SendingClub(club)
    await post.load("profiles", [{"external_id": name} for name in ("C1", "C2", "C3")])
    assert_page_is_current(PAGE, await with_current_answers(post, PAGE.read_text(), {}))


def test_the_page_names_every_limit() -> None:
    text = PAGE.read_text()
    for limit in (urls.MAX_URL_LENGTH, urls.MAX_PATH_LENGTH, urls.MAX_HOST_LENGTH, validation.MAX_TEXT_LENGTH):
        assert f"{limit:,}" in text
