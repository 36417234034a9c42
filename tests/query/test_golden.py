"""The SQL of every report, looked at: its rows, the rows behind a cursor, every way to group it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest

from clubs import Club
from query.declared import REGISTRY as OURS
from query.lines import HERE, RENEW, renewing
from query.things import customer
from regulars.query.compiling import Plan, grouped, key_fields, listed
from regulars.query.engines import OF_STORE
from regulars.query.query import Query
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Format, Report, Store
from servers import on_both_servers

GOLDEN = HERE / "golden"
REPORTS = {**BY_NAME, **OURS}

EACH = pytest.mark.parametrize("report", REPORTS.values(), ids=lambda report: report.name)


def plans(report: Report) -> Iterator[tuple[str, Plan]]:
    """Every statement of a report without a filter, and what it is for."""
    query = Query(report)
    if report.format is Format.RECORDS and report.key:
        keys = key_fields(report)
        yield "records", listed(query, None)
        yield "records behind a cursor", listed(query, ["x"] * len(keys))
        yield "records behind a cursor of nulls", listed(query, [None] * len(keys))
    else:
        yield "not grouped otherwise", grouped(query)
    if report.measures:
        for each in report.by_aggregation.values():
            yield each.name, grouped(replace(query, aggregate_by=each))


def path_of(report: Report) -> str:
    """The file that a report's SQL is in, by its engine."""
    return f"{report.name}.{OF_STORE[report.source.store].declared.name}.sql"


def golden(report: Report) -> str:
    """Every statement of a report."""
    parts = [f"-- Written by a test: {RENEW}/test_golden.py\n"]
    parts += [
        f"-- {name}: {', '.join(plan.statement.parameters)}\n{plan.statement.sql};\n" for name, plan in plans(report)
    ]
    return "\n".join(parts)


@EACH
def test_the_sql_of_every_report_is_what_was_looked_at(report: Report) -> None:
    now, looked_at = golden(report), GOLDEN / path_of(report)
    if renewing():
        GOLDEN.mkdir(exist_ok=True)
        looked_at.write_text(now)
    assert looked_at.exists(), f"Nobody has looked at the SQL of {report.name} yet: {RENEW}/test_golden.py"
    assert now == looked_at.read_text(), (
        f"The SQL has changed. If that was meant, look at the difference after: {RENEW}/test_golden.py"
    )


def test_no_sql_is_kept_of_reports_that_there_are_no_more() -> None:
    assert {path.name for path in GOLDEN.iterdir()} <= {path_of(each) for each in REPORTS.values()}


@on_both_servers
async def test_postgresql_understands_every_statement(club: Club) -> None:
    of = customer(club)
    async with club.database.reading(club.community.id) as scope:
        for report in REPORTS.values():
            if report.source.store is Store.TABLES:
                for name, plan in plans(report):
                    try:
                        await scope.connection.prepare(plan.statement.sql)
                    except asyncpg.PostgresError as error:
                        pytest.fail(f"{report.name}, {name}: {error}", pytrace=False)
                    given = dict.fromkeys(plan.statement.parameters)
                    assert len(plan.values(of, club.clock(), given)) == len(plan.statement.parameters)
