"""Reports for people who are limited to stores: a condition on the store is added to every query of theirs."""

from dataclasses import replace

from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.query.parser.request import FieldValuesQuery
from regulars.query.query import Comparison, FilterNode, LogicalNode, ReportQuery
from regulars.reports.report import Report, ReportField

STORE_FIELD = "location"
"""The field of reports with the id of the store."""


def store_field(report: Report) -> ReportField | None:
    """The field by which a report is limited to stores; None for a report that can't be limited."""
    return next((each for each in report.fields if each.name == STORE_FIELD and each.filterable), None)


def limit_query(query: ReportQuery, principal: Principal) -> ReportQuery:
    """The query limited to the stores of the caller, if there is a limit. Raises AccessDenied, 403, if it can't be."""
    return replace(query, filter=_limited(query.report, query.filter, principal))


def limit_field_values(query: FieldValuesQuery, principal: Principal) -> FieldValuesQuery:
    """The request for values limited to the stores of the caller. Raises AccessDenied, 403, if it can't be."""
    return replace(query, filter=_limited(query.report, query.filter, principal))


def _limited(report: Report, node: FilterNode | None, principal: Principal) -> FilterNode | None:
    if principal.location_ids is None:
        return node
    field = store_field(report)
    if field is None:
        raise AccessDenied(403, f"Your role is limited to stores, and {report.name} can't be limited to a store.")
    limit = Comparison("in", field, None, tuple(principal.location_ids))
    return limit if node is None else LogicalNode("and", (limit, node))
