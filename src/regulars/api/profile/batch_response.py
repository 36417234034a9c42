"""Batches of rows in one request: valid rows are written, invalid ones are reported with the reason."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import uuid_utils.compat

from regulars.core.errors import ValidationError, field_error, unquoted
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
        is_short = rejected <= _MAX_INLINE_REJECTIONS
        listed = self._rejections() if is_short else await asyncio.to_thread(self._rejections)
        await uow.execute(_INSERT_RESULT, uow.community_id, batch_id, self.entity, accepted, unchanged, listed, uow.now)
        return data_envelope(
            {
                "message": f"{accepted} accepted, {unchanged} unchanged, {rejected} rejected.",
                "batch_id": batch_id,
                "accepted": accepted,
                "unchanged": unchanged,
                "rejected": listed,
            }
        )

    def _rejections(self) -> msgspec.Raw:
        """The rejected rows with their reasons as JSON: without values of the rows, because they are stored.

        The values may belong to a person who is erased later or has no profile.
        """
        rejected: list[dict[str, Any]] = []
        remaining = MAX_BATCH_ERRORS
        for index, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, ValidationError):
                errors = {path: unquoted(text) for path, text in outcome.errors.items()}
                listed = {path: [text] for path, text in islice(errors.items(), max(1, min(MAX_ERRORS, remaining)))}
                remaining -= len(listed)
                rejected.append({"index": index, "message": validation_message(errors), "errors": listed})
        return msgspec.Raw(msgspec.json.encode(rejected))
