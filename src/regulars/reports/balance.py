"""Who joins and who leaves."""

from regulars.reports.report import Report

REPORTS: tuple[Report, ...] = ()
