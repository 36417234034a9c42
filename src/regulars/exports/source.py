"""What sources of rows have in common: what they export, and the columns of customers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, Protocol

import pyarrow as pa

from regulars.auth.tenants import Tenant
from regulars.exports.batches import BatchSink
from regulars.exports.columns import CUSTOMER_COLUMNS, Columns, arrow_schema
from regulars.query.backends import ReadSnapshot
from regulars.query.query import ReportQuery

BATCH_ROWS = 20_000
"""Rows of a batch whose values are converted one by one."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and its communities, ordered by community."""

    id: int
    name: str
    tenants: tuple[Tenant, ...]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is exported: a query, its tenants ordered by community, and the instant.

    `with_customer_columns` exports each customer for itself, with columns of its id and name.
    """

    query: ReportQuery
    tenants: tuple[Tenant, ...]
    now: datetime
    with_customer_columns: bool = False

    def customers(self) -> tuple[Customer, ...]:
        """The customers, ordered by id, each with the name of its first community."""
        in_order = sorted(self.tenants, key=lambda each: (each.customer_id, each.community_id))
        found = ((key, tuple(tenants)) for key, tenants in groupby(in_order, lambda each: each.customer_id))
        return tuple(Customer(key, tenants[0].name, tenants) for key, tenants in found)

    def results(self) -> tuple[tuple[Customer | None, tuple[Tenant, ...]], ...]:
        """The tenants whose groups are added up, and the customer that they belong to where it is shown."""
        if not self.with_customer_columns:
            return ((None, self.tenants),)
        return tuple((each, each.tenants) for each in self.customers())

    @property
    def customer_columns(self) -> Columns:
        """The columns of the customer, where it is shown."""
        return CUSTOMER_COLUMNS if self.with_customer_columns else ()


class RowStream(Protocol):
    """The rows of an export.

    `is_masked` is set, once all rows are written, where values are suppressed. Constructing it raises
    InvalidParametersError for parameters that are invalid for the tenants.
    """

    columns: Columns
    is_masked: bool

    def __init__(self, request: ExportRequest) -> None: ...

    async def write(self, snapshot: ReadSnapshot, sink: BatchSink) -> None:
        """Reads all rows in a snapshot and hands them to the sink."""


def conversions(columns: Columns, rows: Sequence[Sequence[Any]]) -> Iterator[Callable[[], pa.RecordBatch]]:
    """Functions that convert rows of values to batches."""
    schema = arrow_schema(columns)
    for start in range(0, len(rows), BATCH_ROWS):
        yield partial(_batch, schema, rows[start : start + BATCH_ROWS])


def _batch(schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    values = zip(*rows, strict=True)
    arrays = [pa.array(found, field.type) for found, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
