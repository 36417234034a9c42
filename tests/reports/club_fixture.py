"""A club as its systems use it: loads facts, and queries reports as a client does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from clubs import Club
from regulars.auth.tenants import Tenant
from regulars.loading import catalog, loader
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.readers.text import read_ndjson, split_lines
from regulars.query.backends import Backends
from regulars.query.field_metadata import field_metadata
from regulars.query.formats.records import records
from regulars.query.formats.statistics import statistics
from regulars.query.formats.timeseries import timeseries
from regulars.query.parser.request import parse_field_metadata_request, parse_query
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import ReportFormat

Row = Mapping[str, Any]

_ANSWERS: Mapping[ReportFormat, Any] = {
    ReportFormat.RECORDS: records,
    ReportFormat.TIMESERIES: timeseries,
    ReportFormat.STATISTICS: statistics,
}
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass
class ClubFixture:
    """A club: loads facts into it and queries its reports."""

    club: Club
    min_cell_size: int | None = None

    @property
    def tenant(self) -> Tenant:
        """The club as the tenant of a query."""
        own = self.club.community
        return Tenant(
            own.id, own.id, own.id, 1, own.slug, own.name, own.timezone, own.currency, own.minor_digits, {},
            self.min_cell_size,
        )  # fmt: skip

    async def load(self, entity: str, rows: Iterable[Row | bytes], batch_rows: int = 5_000) -> LoadSummary:
        """Loads rows as NDJSON."""
        content = b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in rows)
        return await loader.load_and_finish(
            self.club.database,
            self.club.server.group_committer,
            self.club.community.id,
            entity,
            lambda: read_ndjson(split_lines([content]), catalog.columns_of(entity)),
            LoadOptions(batch_rows=batch_rows),
        )

    async def query(self, report: str, **body: Any) -> Any:
        """An answer as a client reads it."""
        query = parse_query(_encoder.encode({"report": report, **body}), REPORTS_BY_NAME)
        answer = _ANSWERS[query.report.format]
        found = await answer(query, [self.tenant], Backends(self.club.database), self.club.clock())
        return json.loads(_encoder.encode(found))

    async def field_values(self, report: str, field: str, **body: Any) -> dict[Any, int | None]:
        """The values of a field with their counts."""
        content = _encoder.encode({"report": report, "field": field, **body})
        query = parse_field_metadata_request(content, REPORTS_BY_NAME)
        found = await field_metadata(query, [self.tenant], Backends(self.club.database), self.club.clock())
        return {each["value"]: each["count"] for each in found["values"]}

    async def query_timeseries(self, report: str, **body: Any) -> dict[tuple[Any, ...], dict[str, int]]:
        """The values of a timeseries by label and bucket."""
        answer = await self.query(report, **body)
        return {
            tuple(each["label"].values()): {
                bucket: value
                for bucket, value in zip(answer["time_buckets"], each["values"], strict=True)
                if value is not None
            }
            for each in answer["series"]
        }

    async def ids_by_external_id(self, table: str) -> dict[str, int]:
        """The ids of a table's rows by external id."""
        async with self.club.database.read_transaction(self.club.community.id) as scope:
            rows = await scope.fetch(
                f"SELECT external_id, id FROM {table} WHERE community_id = $1", self.club.community.id
            )
        return {row["external_id"]: row["id"] for row in rows}
