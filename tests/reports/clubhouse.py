"""A club as its systems see it: what happens is loaded into it, and reports are asked as a client asks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from clubs import Club
from regulars.access.customers import Customer
from regulars.ingest import bulk, ndjson_rows
from regulars.ingest.batches import Options, Summary
from regulars.ingest.lines import lines
from regulars.query.execution import Stores
from regulars.query.records import records
from regulars.query.request import parse
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Format

Row = Mapping[str, Any]

_ANSWERS: Mapping[Format, Any] = {
    Format.RECORDS: records,
    Format.TIMESERIES: timeseries,
    Format.STATISTICS: statistics,
}
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass
class Clubhouse:
    """A club, what is loaded into it and what is asked of it."""

    club: Club

    @property
    def customer(self) -> Customer:
        """The club as who is asked for."""
        own = self.club.community
        return Customer(own.id, own.id, own.id, 1, own.slug, own.name, own.timezone, own.currency, own.minor_digits, {})

    async def load(self, entity: str, rows: Iterable[Row | bytes], batch_rows: int = 5_000) -> Summary:
        """Loads rows as NDJSON."""
        content = b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in rows)
        return await bulk.load_one(
            self.club.database,
            self.club.server.committers,
            self.club.community.id,
            entity,
            lambda: ndjson_rows.rows(lines([content])),
            Options(batch_rows=batch_rows),
        )

    async def ask(self, report: str, **body: Any) -> Any:
        """An answer as a client reads it."""
        query = parse(_encoder.encode({"report": report, **body}), BY_NAME)
        answer = _ANSWERS[query.report.format]
        found = await answer(query, [self.customer], Stores(self.club.database), self.club.clock())
        return json.loads(_encoder.encode(found))

    async def series(self, report: str, **body: Any) -> dict[tuple[Any, ...], dict[str, int]]:
        """The values of a timeseries by label and bucket."""
        answer = await self.ask(report, **body)
        return {
            tuple(each["label"].values()): {
                bucket: value
                for bucket, value in zip(answer["time_buckets"], each["values"], strict=True)
                if value is not None
            }
            for each in answer["series"]
        }

    async def ids(self, table: str) -> dict[str, int]:
        """The ids of a table's rows by external id."""
        async with self.club.database.reading(self.club.community.id) as scope:
            rows = await scope.fetch(
                f"SELECT external_id, id FROM {table} WHERE community_id = $1", self.club.community.id
            )
        return {row["external_id"]: row["id"] for row in rows}
