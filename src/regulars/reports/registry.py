"""Every report there is. Metadata, validation, permits, costs and documents follow from this list."""

from collections.abc import Mapping

from regulars.reports import balance, counts, links, members, offers, sendings, snapshot_count, transactions
from regulars.reports.report import Report

REPORTS: tuple[Report, ...] = (
    *members.REPORTS,
    *counts.REPORTS,
    *balance.REPORTS,
    *snapshot_count.REPORTS,
    *sendings.REPORTS,
    *links.REPORTS,
    *offers.REPORTS,
    *transactions.REPORTS,
)

BY_NAME: Mapping[str, Report] = {each.name: each for each in REPORTS}
