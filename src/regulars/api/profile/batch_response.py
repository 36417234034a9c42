"""Batches of rows in one request: valid rows are written, invalid ones are reported with the reason."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from typing import Any

import msgspec
import uuid_utils.compat

from regulars.core.errors import ValidationError, field_error
from regulars.ingest.batch_write import write_valid_rows
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.bodies import decode_body
from regulars.web.envelopes import data_envelope
from regulars.web.errors import MAX_ERRORS, ApiError, validation_message

MAX_BATCH_ROWS = 10_000
"""Most rows in one batch."""

MAX_BATCH_ERRORS = 20_000
"""Most errors that the response to a batch lists; further rejected rows are listed with their first error."""

_MAX_INLINE_REJECTIONS = 10
"""Up to this number, rejected rows are encoded in the event loop; more of them in a thread."""

CHUNK_ROWS = 5_000
"""Rows that are written in one call, which occupies the interpreter for less than 0.1 s."""

BatchWriter = Callable[[UnitOfWork, Sequence[Any]], Awaitable[list[str]]]

_INSERT_RESULT = """
INSERT INTO import_batches (community_id, batch_id, entity, accepted, unchanged, rejected, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


def chunks(rows: Mapping[int, Any], size: int = CHUNK_ROWS) -> Iterator[dict[int, Any]]:
    """Splits rows, by their index in the batch, into chunks of at most `size`."""
    indexes = list(rows)
    for start in range(0, len(indexes), size):
        yield {index: rows[index] for index in indexes[start : start + size]}


class RowBatch:
    """The rows of a batch and the outcome of each, by their index."""

    def __init__(self, entity: str, rows: Sequence[msgspec.Raw]) -> None:
        if len(rows) > MAX_BATCH_ROWS:
            raise field_error(
                entity,
                f"has {len(rows)} rows; at most {MAX_BATCH_ROWS} are allowed. Send several batches, or use /v1/import",
            )
        self.entity = entity
        self.rows = rows
        self.outcomes: dict[int, str | ValidationError] = {}

    def validate(self, model: Any, check: Callable[[Any], Any]) -> dict[int, Any]:
        """Decodes and checks each row; returns the valid ones and records the errors of the others."""
        valid = {}
        for index, row in enumerate(self.rows):
            try:
                valid[index] = check(decode_body(bytes(row), model))
            except ValidationError as error:
                self.outcomes[index] = error
            except ApiError as error:
                # Invalid UTF-8 is found when its row is decoded, so it is an error of this row only.
                self.outcomes[index] = field_error("", error.message)
        return valid

    async def write(self, uow: UnitOfWork, rows: dict[int, Any], write_rows: BatchWriter) -> None:
        """Writes rows in chunks. Rows that the database rejects are found by bisection, and all others are written."""
        for chunk in chunks(rows):
            outcomes = await write_valid_rows(uow, list(chunk.values()), partial(write_rows, uow))
            self.outcomes |= dict(zip(chunk, outcomes, strict=True))

    async def store_result(self, uow: UnitOfWork) -> dict[str, object]:
        """Stores the result of the batch, and returns the response: counts by outcome, and the rejected rows."""
        batch_id = uuid_utils.compat.uuid7()
        accepted, unchanged = (
            sum(outcome == name for outcome in self.outcomes.values()) for name in ("accepted", "unchanged")
        )
        rejected = len(self.outcomes) - accepted - unchanged
        uow.response_quotes_rows |= rejected > 0
        is_short = rejected <= _MAX_INLINE_REJECTIONS
        reported, stored = self._rejections() if is_short else await asyncio.to_thread(self._rejections)
        await uow.execute(_INSERT_RESULT, uow.community_id, batch_id, self.entity, accepted, unchanged, stored, uow.now)
        return data_envelope(
            {
                "message": f"{accepted} accepted, {unchanged} unchanged, {rejected} rejected.",
                "batch_id": batch_id,
                "accepted": accepted,
                "unchanged": unchanged,
                "rejected": reported,
            }
        )

    def _rejections(self) -> tuple[msgspec.Raw, msgspec.Raw]:
        """The rejected rows with their reasons as JSON: as they are reported, and as they are stored.

        This takes seconds for thousands of rows of many values each.
        """
        reported: list[dict[str, Any]] = []
        remaining = MAX_BATCH_ERRORS
        for index, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, ValidationError):
                listed = {
                    path: [text] for path, text in islice(outcome.errors.items(), max(1, min(MAX_ERRORS, remaining)))
                }
                remaining -= len(listed)
                reported.append({"index": index, "message": validation_message(outcome.errors), "errors": listed})
        stored = [_without_values(each, self.rows[each["index"]]) for each in reported]
        return msgspec.Raw(msgspec.json.encode(reported)), msgspec.Raw(msgspec.json.encode(stored))


REDACTED = "[removed]"
"""Replaces the values of a row that a stored reason quotes."""

_MIN_MASKED_LENGTH = 3
"""Shorter values identify no member and are part of many words."""

_MAX_MASKED_VALUES = 1_000
"""If a row has more values, the whole text of its reasons is removed."""


def _without_values(rejection: dict[str, Any], row: msgspec.Raw) -> dict[str, Any]:
    """A rejection as it is stored: without the values of the row that its reasons quote.

    The values may belong to a person who is erased later or has no profile.
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
    """The texts and numbers in a JSON value, as reasons may quote them."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield from (value, value.strip())
    elif value is not None and not isinstance(value, bool):
        yield str(value)
