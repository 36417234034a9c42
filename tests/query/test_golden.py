"""The SQL of every report, looked at: its rows, the rows behind a cursor, every way to group it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest

from clubs import Club
from postgres_servers import on_both_servers
from query.case_files import HERE, RENEW_COMMAND, is_renewing
from query.sample_reports import REGISTRY as OURS
from query.sample_rows import tenant_of
from regulars.query.compiler.compiler import QueryPlan, key_fields, plan_groups, plan_records
from regulars.query.dialects.dialects import ENGINES
from regulars.query.query import ReportQuery
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Backend, Report, ReportFormat

GOLDEN = HERE / "golden"
REPORTS = {**REPORTS_BY_NAME, **OURS}

EACH = pytest.mark.parametrize("report", REPORTS.values(), ids=lambda report: report.name)


def plans(report: Report) -> Iterator[tuple[str, QueryPlan]]:
    """Every statement of a report without a filter, and what it is for."""
    query = ReportQuery(report)
    if report.format is ReportFormat.RECORDS and report.key:
        keys = key_fields(report)
        yield "records", plan_records(query, None)
        yield "records behind a cursor", plan_records(query, ["x"] * len(keys))
        yield "records behind a cursor of nulls", plan_records(query, [None] * len(keys))
    else:
        yield "not grouped otherwise", plan_groups(query)
    if report.measures:
        for each in report.groupings_by_name.values():
            yield each.name, plan_groups(replace(query, aggregate_by=each))


def path_of(report: Report) -> str:
    """The file that a report's SQL is in, by its engine."""
    return f"{report.name}.{ENGINES[report.source.backend].macro_engine.name}.sql"


def golden(report: Report) -> str:
    """Every statement of a report."""
    parts = [f"-- Written by a test: {RENEW_COMMAND}/test_golden.py\n"]
    parts += [
        f"-- {name}: {', '.join(plan.statement.parameters)}\n{plan.statement.sql};\n" for name, plan in plans(report)
    ]
    return "\n".join(parts)


@EACH
def test_the_sql_of_every_report_is_what_was_looked_at(report: Report) -> None:
    now, looked_at = golden(report), GOLDEN / path_of(report)
    if is_renewing():
        GOLDEN.mkdir(exist_ok=True)
        looked_at.write_text(now)
    assert looked_at.exists(), f"Nobody has looked at the SQL of {report.name} yet: {RENEW_COMMAND}/test_golden.py"
    assert now == looked_at.read_text(), (
        f"The SQL has changed. If that was meant, look at the difference after: {RENEW_COMMAND}/test_golden.py"
    )


def test_no_sql_is_kept_of_reports_that_there_are_no_more() -> None:
    assert {path.name for path in GOLDEN.iterdir()} <= {path_of(each) for each in REPORTS.values()}


@on_both_servers
async def test_postgresql_understands_every_statement(club: Club) -> None:
    of = tenant_of(club)
    async with club.database.read_transaction(club.community.id) as scope:
        for report in REPORTS.values():
            if report.source.backend is Backend.POSTGRES:
                for name, plan in plans(report):
                    try:
                        await scope.connection.prepare(plan.statement.sql)
                    except asyncpg.PostgresError as error:
                        pytest.fail(f"{report.name}, {name}: {error}", pytrace=False)
                    given = dict.fromkeys(plan.statement.parameters)
                    assert len(plan.bind(of, club.clock(), given)) == len(plan.statement.parameters)
