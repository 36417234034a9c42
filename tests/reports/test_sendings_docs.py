"""docs/sendings.md is true: what it loads comes to what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from clubs import Club
from ingest.loading import counts
from query.lines import RENEW, renewing
from regulars.facts.sending_events import EVENTS
from reports.messaging import Post

PAGE = Path(__file__).parent.parent.parent / "docs" / "sendings.md"
_ROWS = re.compile(r"```ndjson (\w+)\n(.*?)```", re.DOTALL)
_ASKED = re.compile(r"```json ask\n(.*?)```\n\n```json answer\n(.*?)```", re.DOTALL)


async def test_the_page_answers_what_it_says(club: Club) -> None:
    post, page = Post(club), PAGE.read_text()
    years = {"C1": 1990, "C2": 1961, "C3": 2004}
    await post.load(
        "profiles", [{"external_id": name, "birth_year": year, "gender": "female"} for name, year in years.items()]
    )
    for entity, rows in _ROWS.findall(page):
        content = rows.encode().splitlines()
        assert counts(await post.load(entity, content)) == (len(content), 0, 0)
    written = []
    for asked, answer in _ASKED.findall(page):
        body = json.loads(asked)
        found = json.dumps(await post.ask(body.pop("report"), **body), indent=2)
        # Ids are given in their order, and differ from run to run.
        found = re.sub(r'"(id|loyalty_club_id)": \d+', r'"\1": 1', found)
        written.append(f"```json ask\n{asked}```\n\n```json answer\n{found}\n```")
        if not renewing():
            assert found + "\n" == answer, f"The page says otherwise: {RENEW.replace('query', 'reports')}"
    assert len(written) == 5
    if renewing():
        texts = iter(written)
        PAGE.write_text(_ASKED.sub(lambda match: next(texts), page))


def test_the_page_names_every_event() -> None:
    assert ", ".join(f"`{each}`" for each in EVENTS) in " ".join(PAGE.read_text().split())
