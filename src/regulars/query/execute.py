"""The answer to a query, whatever its format."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.query.formats.records import records
from regulars.query.formats.statistics import statistics
from regulars.query.formats.timeseries import timeseries
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportFormat

_OF_FORMAT = {ReportFormat.RECORDS: records, ReportFormat.TIMESERIES: timeseries, ReportFormat.STATISTICS: statistics}


async def execute(query: ReportQuery, customers: Sequence[Tenant], stores: Backends, now: datetime) -> dict[str, Any]:
    """What goes out, from one snapshot at `now`.

    Raises InvalidParametersError, before anything runs, for what only the customers tell wrong.
    """
    return await _OF_FORMAT[query.report.format](query, customers, stores, now)
