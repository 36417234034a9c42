"""Reports: queries, and the metadata of reports and fields."""

from regulars.api.reporting.store_limits import limit_field_values, limit_query, store_field
from regulars.auth import audit_rules, permits
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


def _query(context: ReportRequest) -> PricedQuery:
    query = request.parse_query(context.body, context.app.reports, context.segments)
    context.require_permit(query.report.permit)
    context.audit.subject_ids = [query.report.name]
    if not (query.report.has_members and query.report.key and query.aggregate_by is None):
        context.audit.rule = audit_rules.NOTHING
    limited = limit_query(query, context.principal)
    return PricedQuery(
        costs.query_cost(query),
        lambda: execute.execute(limited, context.tenants, context.app.backends, context.app.database.clock()),
        is_large=query.limit > request.DEFAULT_LIMIT,
    )


def _metadata(context: ReportRequest) -> PricedQuery:
    report = request.parse_metadata_request(context.body, context.app.reports)
    if report is not None:
        context.require_permit(report.permit)

    async def execute_metadata() -> object:
        principal = context.principal
        allowed = (
            each
            for each in context.app.reports.values()
            if permits.has_permit(principal.permits, each.permit)
            and (principal.location_ids is None or store_field(each) is not None)
        )
        return reports_metadata(report, allowed)

    return PricedQuery(costs.METADATA_COST, execute_metadata)


def _field_metadata(context: ReportRequest) -> PricedQuery:
    field_request = request.parse_field_metadata_request(context.body, context.app.reports, context.segments)
    context.require_permit(field_request.report.permit)
    limited = limit_field_values(field_request, context.principal)
    return PricedQuery(
        costs.METADATA_COST,
        lambda: field_metadata(limited, context.tenants, context.app.backends, context.app.database.clock()),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/reporting/query",
        "Query a report; the result is records, a timeseries or statistics, depending on the report",
        report_handler=_query,
        permit=permits.QUERY,
        audit=audit_rules.READ_REPORT,
        schema=report_schemas.query_schema(REPORTS),
        caller=Caller.REPORTING,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/metadata",
        "Get the metadata of a report, or the list of reports",
        report_handler=_metadata,
        permit=permits.QUERY,
        audit=audit_rules.NOTHING,
        schema=report_schemas.metadata_schema(REPORTS),
        caller=Caller.REPORTING,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/field_metadata",
        "List the values of a field with their counts",
        report_handler=_field_metadata,
        permit=permits.QUERY,
        audit=audit_rules.NOTHING,
        schema=report_schemas.field_metadata_schema(REPORTS),
        caller=Caller.REPORTING,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
)
