"""How many members stand in each group of a community, now and over time."""

from regulars.reports.report import Report

REPORTS: tuple[Report, ...] = ()
