"""Reports over HTTP: queries, and what can be asked."""

from regulars.access import permits
from regulars.api import report_schemas
from regulars.api.endpoint import Asked, Caller, Endpoint, ReportCall
from regulars.query import answers, costs, request
from regulars.query.field_metadata import field_metadata
from regulars.query.metadata import metadata
from regulars.reports.registry import REPORTS

_TAG = "reporting"


def _query(call: ReportCall) -> Asked:
    query = request.parse(call.body, call.server.reports)
    call.require(query.report.permit)
    return Asked(
        costs.cost(query),
        lambda: answers.answer(query, call.customers, call.server.stores, call.server.database.clock()),
        is_large=query.limit > request.DEFAULT_RECORDS,
    )


def _metadata(call: ReportCall) -> Asked:
    report = request.parse_metadata(call.body, call.server.reports)
    if report is not None:
        call.require(report.permit)

    async def told() -> object:
        allowed = (each for each in call.server.reports.values() if permits.holds(call.principal.permits, each.permit))
        return metadata(report, allowed)

    return Asked(costs.METADATA, told)


def _field_metadata(call: ReportCall) -> Asked:
    asked = request.parse_field_metadata(call.body, call.server.reports)
    call.require(asked.report.permit)
    return Asked(
        costs.METADATA,
        lambda: field_metadata(asked, call.customers, call.server.stores, call.server.database.clock()),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/reporting/query",
        "Ask for a report: records, a timeseries or statistics, whichever it is",
        asks=_query,
        permit=permits.QUERY,
        described=report_schemas.query(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/metadata",
        "Read what a report is, or which reports there are",
        asks=_metadata,
        permit=permits.QUERY,
        described=report_schemas.metadata(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/field_metadata",
        "List the values that a field has, with counts",
        asks=_field_metadata,
        permit=permits.QUERY,
        described=report_schemas.field_metadata(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
)
