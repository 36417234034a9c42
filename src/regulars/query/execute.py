"""Executes a query in the format of its report."""

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

_EXECUTORS = {ReportFormat.RECORDS: records, ReportFormat.TIMESERIES: timeseries, ReportFormat.STATISTICS: statistics}


async def execute(query: ReportQuery, tenants: Sequence[Tenant], backends: Backends, now: datetime) -> dict[str, Any]:
    """Executes a query on one snapshot at `now`, and returns the result as it is serialized.

    Raises InvalidParametersError, before anything runs, for parameters that are invalid for these tenants.
    """
    return await _EXECUTORS[query.report.format](query, tenants, backends, now)
