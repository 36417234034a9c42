"""docs/links.md is true: what it loads comes to what it says."""

from __future__ import annotations

from pathlib import Path

from clubs import Club
from regulars.facts import given, urls
from reports.messaging import Post
from reports.pages import answered, held

PAGE = Path(__file__).parent.parent.parent / "docs" / "links.md"


async def test_the_page_answers_what_it_says(club: Club) -> None:
    post = Post(club)
    await post.load("profiles", [{"external_id": name} for name in ("C1", "C2", "C3")])
    held(PAGE, await answered(post, PAGE.read_text(), {}))


def test_the_page_names_every_limit() -> None:
    text = PAGE.read_text()
    for limit in (urls.LONGEST_URL, urls.LONGEST_PATH, urls.LONGEST_HOST, given.LONGEST):
        assert f"{limit:,}" in text
