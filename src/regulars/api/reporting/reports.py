"""Reports over HTTP: queries, and what can be asked."""

from regulars.auth import permits
from regulars.auth.authorization import Caller
from regulars.query import costs, execute
from regulars.query.field_metadata import field_metadata
from regulars.query.metadata import reports_metadata
from regulars.query.parser import request
from regulars.reports.registry import REPORTS
from regulars.web import report_schemas
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery

_TAG = "reporting"


def _query(call: ReportRequest) -> PricedQuery:
    query = request.parse_query(call.body, call.app.reports)
    call.require_permit(query.report.permit)
    return PricedQuery(
        costs.query_cost(query),
        lambda: execute.execute(query, call.tenants, call.app.backends, call.app.database.clock()),
        is_large=query.limit > request.DEFAULT_LIMIT,
    )


def _metadata(call: ReportRequest) -> PricedQuery:
    report = request.parse_metadata_request(call.body, call.app.reports)
    if report is not None:
        call.require_permit(report.permit)

    async def told() -> object:
        allowed = (
            each for each in call.app.reports.values() if permits.has_permit(call.principal.permits, each.permit)
        )
        return reports_metadata(report, allowed)

    return PricedQuery(costs.METADATA_COST, told)


def _field_metadata(call: ReportRequest) -> PricedQuery:
    asked = request.parse_field_metadata_request(call.body, call.app.reports)
    call.require_permit(asked.report.permit)
    return PricedQuery(
        costs.METADATA_COST,
        lambda: field_metadata(asked, call.tenants, call.app.backends, call.app.database.clock()),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/reporting/query",
        "Ask for a report: records, a timeseries or statistics, whichever it is",
        report_handler=_query,
        permit=permits.QUERY,
        schema=report_schemas.query_schema(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/metadata",
        "Read what a report is, or which reports there are",
        report_handler=_metadata,
        permit=permits.QUERY,
        schema=report_schemas.metadata_schema(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/field_metadata",
        "List the values that a field has, with counts",
        report_handler=_field_metadata,
        permit=permits.QUERY,
        schema=report_schemas.field_metadata_schema(REPORTS),
        caller=Caller.REPORTING,
        tag=_TAG,
    ),
)
