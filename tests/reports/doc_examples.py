"""Pages of the manual whose examples are run: the rows that they load, their queries and the answers that they show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loading.file_loader import outcome_counts
from query.case_files import RENEW_COMMAND, is_renewing
from reports.club_fixture import ClubFixture

_ROWS = re.compile(r"```ndjson (\w+)\n(.*?)```", re.DOTALL)
_QUERIES = re.compile(r"```json ask\n(.*?)```\n\n```json answer\n.*?```", re.DOTALL)


def assert_page_is_current(path: Path, now: str) -> None:
    """Holds that a page says what it is now answered, or has it say so."""
    if is_renewing():
        path.write_text(now)
    assert path.read_text() == now, f"The page says otherwise: {RENEW_COMMAND.replace('query', 'reports')}"


async def with_current_answers(house: ClubFixture, page: str, tables: Mapping[str, str]) -> str:
    """Loads what a page loads; returns the page with the answers to its queries.

    `tables` name, by field, or by report for its `id`, what that is an id of.
    """
    for entity, rows in _ROWS.findall(page):
        content = rows.encode().splitlines()
        assert outcome_counts(await house.load(entity, content)) == (len(content), 0, 0)
    known = {name: _places((await house.ids_by_external_id(table)).values()) for name, table in tables.items()}
    known["loyalty_club_id"] = {house.club.community.id: 1}
    answers = []
    for query in _QUERIES.findall(page):
        body = json.loads(query)
        report = body.pop("report")
        found = _numbered(await house.query(report, **body), {**known, "id": known.get(report, {})})
        answers.append(f"```json ask\n{query}```\n\n```json answer\n{json.dumps(found, indent=2)}\n```")
    assert answers
    texts = iter(answers)
    return _QUERIES.sub(lambda match: next(texts), page)


def _places(ids: Iterable[int]) -> dict[int, int]:
    """The place of each id among those of its kind: they are given in their order, and differ from run to run."""
    return {each: place for place, each in enumerate(sorted(ids), 1)}


def _numbered(value: Any, places: Mapping[str, Mapping[int, int]], name: str = "") -> Any:
    """An answer with places for ids."""
    if isinstance(value, dict):
        return {key: _numbered(each, places, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each, places, name) for each in value]
    return places[name][value] if name in places and value is not None else value
