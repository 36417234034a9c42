"""Batches that are answered at once: the good rows are kept, a bad one is reported with its reason."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import uuid_utils.compat

from regulars.api.endpoint import data, decoded
from regulars.api.errors import MOST_ERRORS, ApiError, refusal_message
from regulars.facts.refusals import Refused, refuse
from regulars.facts.writing import Writing
from regulars.ingest.row_errors import log_refusal, refusal_of

MOST = 10_000

AT_ONCE = 5_000
"""Rows that are written at once: Python is busy with them for less than a tenth of a second."""

Put = Callable[[Writing, Sequence[Any]], Awaitable[list[str]]]

_KEEP = """
INSERT INTO import_batches (community_id, batch_id, entity, loaded, unchanged, rejected, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


def parts(rows: Mapping[int, Any], at_once: int = AT_ONCE) -> Iterator[dict[int, Any]]:
    """Rows by their place, so many at a time."""
    places = list(rows)
    for start in range(0, len(places), at_once):
        yield {place: rows[place] for place in places[start : start + at_once]}


class Batch:
    """One batch in the making: what each of its rows came to."""

    def __init__(self, entity: str, rows: Sequence[msgspec.Raw]) -> None:
        if len(rows) > MOST:
            raise refuse(entity, f"must be at most {MOST} at once: send the rest in another batch, or by /v1/import")
        self.entity = entity
        self.rows = rows
        self.outcomes: dict[int, str | Refused] = {}

    def checked(self, shape: Any, check: Callable[[Any], Any]) -> dict[int, Any]:
        """The rows that stand the check, by their place."""
        found = {}
        for index, row in enumerate(self.rows):
            try:
                found[index] = check(decoded(bytes(row), shape))
            except Refused as refused:
                self.outcomes[index] = refused
            except ApiError as error:
                # A text that is no UTF-8 is found when its row is read: it is this row's error alone.
                self.outcomes[index] = refuse("", error.message)
        return found

    async def put(self, writing: Writing, rows: dict[int, Any], put: Put) -> None:
        """Writes rows, AT_ONCE at a time; where one of them is bad, halves them until the bad ones stand alone."""
        for some in parts(rows):
            await self._put(writing, some, put)

    async def _put(self, writing: Writing, rows: dict[int, Any], put: Put) -> None:
        places = list(rows)
        try:
            async with writing.part():
                outcomes = await put(writing, list(rows.values()))
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                raise
            if len(rows) == 1:
                log_refusal(error)
                self.outcomes[places[0]] = refused
                return
            half = len(places) // 2
            for some in (places[:half], places[half:]):
                await self._put(writing, {place: rows[place] for place in some}, put)
        else:
            self.outcomes |= dict(zip(places, outcomes, strict=True))

    async def kept(self, writing: Writing) -> dict[str, object]:
        """The answer: how many were loaded, unchanged and rejected, and why; kept for whoever asks again."""
        batch_id = uuid_utils.compat.uuid7()
        loaded, unchanged = (
            sum(outcome == word for outcome in self.outcomes.values()) for word in ("loaded", "unchanged")
        )
        rejected: list[dict[str, Any]] = [
            {
                "index": index,
                "message": refusal_message(outcome.errors),
                "errors": {path: [text] for path, text in islice(outcome.errors.items(), MOST_ERRORS)},
            }
            for index, outcome in sorted(self.outcomes.items())
            if isinstance(outcome, Refused)
        ]
        writing.quotes_rows |= bool(rejected)
        stored = [_without_values(each, self.rows[each["index"]]) for each in rejected]
        await writing.execute(
            _KEEP, writing.community_id, batch_id, self.entity, loaded, unchanged, stored, writing.now
        )
        return data(
            {
                "message": f"{loaded} loaded, {unchanged} unchanged, {len(rejected)} rejected.",
                "batch_id": batch_id,
                "loaded": loaded,
                "unchanged": unchanged,
                "rejected": rejected,
            }
        )


REMOVED = "[removed]"
"""What stands in a stored reason for a value of the row."""

_SHORTEST = 3
"""Shorter values tell nobody's name, and are part of many a word."""

_MOST_VALUES = 1_000
"""Reasons for a row of more values are stored without their text."""


def _without_values(rejection: dict[str, Any], row: msgspec.Raw) -> dict[str, Any]:
    """A rejection as it is stored: without what its reasons quote of the row, for that may be of a person who is erased
    later, or has no profile at all.
    """
    try:
        values = set(islice(_texts(msgspec.json.decode(row)), _MOST_VALUES + 1))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = set()
    longest_first = sorted((each for each in values if len(each) >= _SHORTEST), key=len, reverse=True)

    def masked(text: str) -> str:
        if len(values) > _MOST_VALUES:
            return REMOVED
        for value in longest_first:
            text = text.replace(value, REMOVED)
        return text

    errors = {path: [masked(text) for text in texts] for path, texts in rejection["errors"].items()}
    return {**rejection, "message": masked(rejection["message"]), "errors": errors}


def _texts(value: object) -> Iterator[str]:
    """Every text and number in a JSON value, as reasons may quote it."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield from (value, value.strip())
    elif value is not None and not isinstance(value, bool):
        yield str(value)
