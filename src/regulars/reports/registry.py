"""Every report there is. Metadata, validation, permits, costs and documents follow from this list."""

from collections.abc import Mapping

from regulars.reports import (
    links,
    member_balance,
    member_counts,
    member_snapshots,
    members,
    offers,
    sendings,
    transactions,
)
from regulars.reports.report import Report

REPORTS: tuple[Report, ...] = (
    *members.REPORTS,
    *member_counts.REPORTS,
    *member_balance.REPORTS,
    *member_snapshots.REPORTS,
    *sendings.REPORTS,
    *links.REPORTS,
    *offers.REPORTS,
    *transactions.REPORTS,
)

REPORTS_BY_NAME: Mapping[str, Report] = {each.name: each for each in REPORTS}
