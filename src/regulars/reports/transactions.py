"""What is bought, over time and in all."""

from regulars.reports.report import Report

REPORTS: tuple[Report, ...] = ()
