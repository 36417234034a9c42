"""The answer to a query, whatever its format."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regulars.access.customers import Customer
from regulars.query.execution import Stores
from regulars.query.query import Query
from regulars.query.records import records
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports.report import Format

_OF_FORMAT = {Format.RECORDS: records, Format.TIMESERIES: timeseries, Format.STATISTICS: statistics}


async def answer(query: Query, customers: Sequence[Customer], stores: Stores, now: datetime) -> dict[str, Any]:
    """What goes out, from one snapshot at `now`.

    Raises InvalidParametersError, before anything runs, for what only the customers tell wrong.
    """
    return await _OF_FORMAT[query.report.format](query, customers, stores, now)
