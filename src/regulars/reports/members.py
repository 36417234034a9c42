"""What is known of single members, and how many there are."""

from regulars.reports.report import Report

REPORTS: tuple[Report, ...] = ()
