"""Reports over HTTP: queries, and what can be asked."""

from regulars.access import permits
from regulars.api import report_schemas
from regulars.api.endpoint import Asked, Caller, Endpoint, ReportCall
from regulars.query import answers, costs, request
from regulars.reports.registry import REPORTS

_TAG = "Reporting"


def _query(call: ReportCall) -> Asked:
    query = request.parse(call.body, call.server.reports)
    permits.require(call.token.permits, query.report.permit)
    return Asked(costs.cost(query), lambda: answers.answer(query, call.customers, call.server.stores, call.now))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/reporting/query",
        "A report: records, a timeseries or statistics, as the report has it.",
        asks=_query,
        permit=permits.QUERY,
        described=report_schemas.query(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
)
