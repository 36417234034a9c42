"""Batches that are answered at once: the good rows are kept, a bad one is reported with its reason."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import msgspec
import uuid_utils.compat

from regulars.core.errors import ValidationError, field_error
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.bodies import decode_body
from regulars.web.envelopes import data_envelope
from regulars.web.errors import MAX_ERRORS, ApiError, validation_message

MAX_BATCH_ROWS = 10_000

MAX_BATCH_ERRORS = 20_000
"""The most errors that the answer to a batch lists: of later rejected rows it lists the first one."""

_FEW_REJECTIONS = 10
"""So many rejected rows are described in the event loop, more of them in a thread."""

CHUNK_ROWS = 5_000
"""Rows that are written in one call, which takes less than a tenth of a second of Python's time."""

BatchWriter = Callable[[UnitOfWork, Sequence[Any]], Awaitable[list[str]]]

_KEEP = """
INSERT INTO import_batches (community_id, batch_id, entity, loaded, unchanged, rejected, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


def chunks(rows: Mapping[int, Any], size: int = CHUNK_ROWS) -> Iterator[dict[int, Any]]:
    """Splits rows, by their index in the batch, into chunks of at most `size`."""
    indexes = list(rows)
    for start in range(0, len(indexes), size):
        yield {index: rows[index] for index in indexes[start : start + size]}


class RowBatch:
    """One batch in the making: what each of its rows came to."""

    def __init__(self, entity: str, rows: Sequence[msgspec.Raw]) -> None:
        if len(rows) > MAX_BATCH_ROWS:
            raise field_error(
                entity, f"must be at most {MAX_BATCH_ROWS} at once: send the rest in another batch, or by /v1/import"
            )
        self.entity = entity
        self.rows = rows
        self.outcomes: dict[int, str | ValidationError] = {}

    def validate(self, shape: Any, check: Callable[[Any], Any]) -> dict[int, Any]:
        """The rows that stand the check, by their place."""
        found = {}
        for index, row in enumerate(self.rows):
            try:
                found[index] = check(decode_body(bytes(row), shape))
            except ValidationError as refused:
                self.outcomes[index] = refused
            except ApiError as error:
                # Text that is not valid UTF-8 is found when its row is decoded, so it is the error of that row alone.
                self.outcomes[index] = field_error("", error.message)
        return found

    async def write(self, uow: UnitOfWork, rows: dict[int, Any], put: BatchWriter) -> None:
        """Writes rows in chunks; a chunk with an invalid row is halved until only the invalid rows are left out."""
        for chunk in chunks(rows):
            await self._put(uow, chunk, put)

    async def _put(self, uow: UnitOfWork, rows: dict[int, Any], put: BatchWriter) -> None:
        places = list(rows)
        try:
            async with uow.tracked_savepoint():
                outcomes = await put(uow, list(rows.values()))
        except Exception as error:
            refused = as_validation_error(error)
            if refused is None:
                raise
            if len(rows) == 1:
                log_database_error(error)
                self.outcomes[places[0]] = refused
                return
            half = len(places) // 2
            for some in (places[:half], places[half:]):
                await self._put(uow, {place: rows[place] for place in some}, put)
        else:
            self.outcomes |= dict(zip(places, outcomes, strict=True))

    async def store_result(self, uow: UnitOfWork) -> dict[str, object]:
        """The answer: how many were loaded, unchanged and rejected, and why; kept for whoever asks again."""
        batch_id = uuid_utils.compat.uuid7()
        loaded, unchanged = (
            sum(outcome == word for outcome in self.outcomes.values()) for word in ("loaded", "unchanged")
        )
        rejected = len(self.outcomes) - loaded - unchanged
        uow.response_quotes_rows |= rejected > 0
        is_short = rejected <= _FEW_REJECTIONS
        answered, stored = self._rejections() if is_short else await asyncio.to_thread(self._rejections)
        await uow.execute(_KEEP, uow.community_id, batch_id, self.entity, loaded, unchanged, stored, uow.now)
        return data_envelope(
            {
                "message": f"{loaded} loaded, {unchanged} unchanged, {rejected} rejected.",
                "batch_id": batch_id,
                "loaded": loaded,
                "unchanged": unchanged,
                "rejected": answered,
            }
        )

    def _rejections(self) -> tuple[msgspec.Raw, msgspec.Raw]:
        """The rejected rows with their reasons as JSON: as they are answered, and as they are stored.

        It takes seconds for thousands of rows of many values each.
        """
        answered: list[dict[str, Any]] = []
        left = MAX_BATCH_ERRORS
        for index, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, ValidationError):
                shown = {path: [text] for path, text in islice(outcome.errors.items(), max(1, min(MAX_ERRORS, left)))}
                left -= len(shown)
                answered.append({"index": index, "message": validation_message(outcome.errors), "errors": shown})
        stored = [_without_values(each, self.rows[each["index"]]) for each in answered]
        return msgspec.Raw(msgspec.json.encode(answered)), msgspec.Raw(msgspec.json.encode(stored))


REDACTED = "[removed]"
"""Replaces each value of the row in a stored reason."""

_MIN_MASKED_LENGTH = 3
"""Shorter values identify nobody, and are part of many words."""

_MAX_MASKED_VALUES = 1_000
"""For a row of more values, the whole text of a reason is removed."""


def _without_values(rejection: dict[str, Any], row: msgspec.Raw) -> dict[str, Any]:
    """Returns a rejection as it is stored: without the values of the row that its reasons quote, which may be of a
    person who is erased later or has no profile.
    """
    try:
        values = set(islice(_texts(msgspec.json.decode(row)), _MAX_MASKED_VALUES + 1))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = set()
    longest_first = sorted((each for each in values if len(each) >= _MIN_MASKED_LENGTH), key=len, reverse=True)

    @cache
    def masked(text: str) -> str:
        if len(values) > _MAX_MASKED_VALUES:
            return REDACTED
        for value in longest_first:
            text = text.replace(value, REDACTED)
        return text

    errors = {path: [masked(text) for text in texts] for path, texts in rejection["errors"].items()}
    return {**rejection, "message": masked(rejection["message"]), "errors": errors}


def _texts(value: object) -> Iterator[str]:
    """Yields each text and number in a JSON value, as reasons may quote it."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield from (value, value.strip())
    elif value is not None and not isinstance(value, bool):
        yield str(value)
