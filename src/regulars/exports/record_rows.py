"""Rows of records: copied from the database in the order of the report's key, converted a chunk at a time."""

from collections.abc import Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from regulars.auth.tenants import Tenant
from regulars.exports.batches import BatchSink
from regulars.exports.columns import MASKED, Columns, field_column, most_minor_digits
from regulars.exports.copied_values import CopiedRows
from regulars.exports.source import Customer, ExportRequest
from regulars.query import suppression
from regulars.query.backends import ReadSnapshot
from regulars.query.compiler.records import hidden_key_fields, plan_records, shown_fields

CHUNK_BYTES = 2_000_000
"""Text of rows that are converted together; with more, the caches of the processor are too small."""


class RecordRows:
    """The rows of a report with a key, one community after the other."""

    is_masked = False

    def __init__(self, request: ExportRequest) -> None:
        self._request = request
        self._report = request.query.report
        digits = most_minor_digits(request.tenants)
        shown = [field_column(each, digits) for each in shown_fields(self._report)]
        hidden = [field_column(each, digits) for each in hidden_key_fields(self._report)]
        self._shown = len(shown)
        self._copied = CopiedRows((*shown, *hidden))
        count = self._report.count_measure
        self._count = next((index for index, each in enumerate(shown) if each.name == count), None)
        has_mark = self._count is not None and suppression.min_cell_size(request.tenants) > 0
        self.columns: Columns = (*request.customer_columns, *shown, *((MASKED,) if has_mark else ()))
        self._has_mark = has_mark

    async def write(self, snapshot: ReadSnapshot, sink: BatchSink) -> None:
        """Copies the rows of one community after the other."""
        for customer, tenants in self._request.results():
            for tenant in tenants:
                chunks = _Chunks(sink, partial(self._convert, tenant, customer))
                plan = plan_records(self._request.query.for_community(tenant.community_id), None)
                values = plan.bind(tenant, self._request.now, {"limit": None})
                await snapshot.copy(tenant, plan.statement.sql, values, chunks.add)
                await chunks.flush()

    def _convert(self, tenant: Tenant, customer: Customer | None, chunks: Sequence[bytes]) -> pa.RecordBatch:
        values = self._copied.parse(b"".join(chunks), tenant)[: self._shown]
        length = len(values[0])
        if self._has_mark and self._count is not None:
            is_masked = values[self._count].is_null() if tenant.min_cell_size else pa.repeat(False, length)
            values.append(is_masked)
            self.is_masked = self.is_masked or pc.any(is_masked).as_py()
        if customer is not None:
            values = [pa.repeat(customer.id, length), pa.repeat(customer.name, length), *values]
        return pa.RecordBatch.from_arrays(values, names=[each.name for each in self.columns])


class _Chunks:
    """Collects what is copied until it is worth converting."""

    def __init__(self, sink: BatchSink, convert: partial[pa.RecordBatch]) -> None:
        self._sink = sink
        self._convert = convert
        self._pending: list[bytes] = []
        self._size = 0

    async def add(self, chunk: bytes) -> None:
        self._pending.append(chunk)
        self._size += len(chunk)
        if self._size >= CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if self._pending:
            pending, self._pending, self._size = self._pending, [], 0
            await self._sink.put(partial(self._convert, pending))
