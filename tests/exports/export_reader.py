"""Exports to memory, and reads exported files back."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from exports.conftest import ExportClubs
from regulars.auth.tenants import Tenant
from regulars.exports.compression import FileCompression
from regulars.exports.export import ExportSummary, write_export
from regulars.exports.formats import ExportFormat
from regulars.query.errors import ErrorCollector
from regulars.query.execute import execute
from regulars.query.formats.tabular import to_table
from regulars.query.parser.request import parse_query, parse_whole_query
from regulars.reports.registry import REPORTS_BY_NAME

Rows = list[dict[str, Any]]

_encoder = msgspec.json.Encoder(decimal_format="number")


async def export(
    clubs: ExportClubs,
    tenants: Sequence[Tenant],
    body: dict[str, Any],
    file_format: ExportFormat = ExportFormat.NDJSON,
    *,
    compression: FileCompression | None = None,
    with_customer_columns: bool = False,
) -> tuple[bytes, ExportSummary]:
    """Exports to memory."""
    query = parse_whole_query(dict(body), REPORTS_BY_NAME, ErrorCollector())
    file = io.BytesIO()
    summary = await write_export(
        query,
        tenants,
        clubs.backends,
        file_format,
        file,
        compression=compression,
        with_customer_columns=with_customer_columns,
        now=clubs.oslo.clock(),
    )
    assert summary.bytes == len(file.getvalue())
    return file.getvalue(), summary


def read_ndjson(content: bytes) -> Rows:
    """The rows of NDJSON; numbers with a decimal point are Decimal."""
    return [json.loads(line, parse_float=Decimal) for line in content.decode().splitlines()]


async def exported_rows(clubs: ExportClubs, tenants: Sequence[Tenant], body: dict[str, Any], **options: Any) -> Rows:
    """The rows of an export."""
    content, summary = await export(clubs, tenants, body, **options)
    rows = read_ndjson(content)
    assert summary.rows == len(rows)
    return rows


async def queried_rows(clubs: ExportClubs, tenants: Sequence[Tenant], body: dict[str, Any], page: int = 7) -> Rows:
    """The rows of all pages of a query, of a timeseries in long form."""
    rows: Rows = []
    params = {**body, "limit": page} if REPORTS_BY_NAME[body["report"]].format.value == "records" else body
    while True:
        query = parse_query(_encoder.encode(params), REPORTS_BY_NAME)
        answer = json.loads(
            _encoder.encode(await execute(query, tenants, clubs.backends, clubs.oslo.clock())), parse_float=Decimal
        )
        assert not answer.get("truncated")
        header, found = to_table(answer)
        records = answer.get("records")
        rows += records if records is not None else [dict(zip(header, row, strict=True)) for row in found]
        cursor = answer.get("pagination", {}).get("next_page_info")
        if cursor is None:
            return rows
        params = {**params, "page_info": cursor}
