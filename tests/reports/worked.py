"""Pages of worked examples: what they load and ask, and the answers that they print."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ingest.loading import counts
from query.lines import RENEW, renewing
from reports.messaging import Post

_ROWS = re.compile(r"```ndjson (\w+)\n(.*?)```", re.DOTALL)
_ASKED = re.compile(r"```json ask\n(.*?)```\n\n```json answer\n(.*?)```", re.DOTALL)


async def answered(post: Post, page: str) -> str:
    """A page with the answers that it gets, after what it loads is loaded."""
    for entity, rows in _ROWS.findall(page):
        content = rows.encode().splitlines()
        assert counts(await post.load(entity, content)) == (len(content), 0, 0)
    written = []
    for asked, _ in _ASKED.findall(page):
        body = json.loads(asked)
        found = json.dumps(await post.ask(body.pop("report"), **body), indent=2)
        # Ids are given in their order, and differ from run to run.
        found = re.sub(r'"(id|loyalty_club_id)": \d+', r'"\1": 1', found)
        written.append(f"```json ask\n{asked}```\n\n```json answer\n{found}\n```")
    assert written
    texts = iter(written)
    return _ASKED.sub(lambda match: next(texts), page)


def held(path: Path, page: str) -> None:
    """Holds that a page says so already, or has it say so from now on."""
    if renewing():
        path.write_text(page)
    assert path.read_text() == page, f"The page says otherwise: {RENEW.replace('query', 'reports')}"
