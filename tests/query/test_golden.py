"""The SQL of reports, reviewed by a person: the rows of each report once, and each shape of statement once.

A statement is compiled around the rows of a report, so two statements of one shape differ in names only. Whether they
give the right rows is tested against an oracle, on every engine; the files here are for reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import asyncpg
import pytest

from clubs import Club
from postgres_servers import on_both_servers
from query.case_files import HERE, RENEW_COMMAND, is_renewing
from query.sample_reports import REGISTRY as SAMPLE_REPORTS
from query.sample_rows import tenant_of
from regulars.core.field_type import FieldType
from regulars.query.compiler.groups import group_fields, plan_groups
from regulars.query.compiler.records import key_fields, plan_records
from regulars.query.compiler.statements import CompiledStatement, QueryPlan, number_parameters
from regulars.query.dialects.engines import ENGINES, render_sql
from regulars.query.query import ReportQuery
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Backend, Report, ReportField, ReportFormat, RowSource

GOLDEN = HERE / "golden"
REPORTS = {**SAMPLE_REPORTS, **REPORTS_BY_NAME}


def plans(report: Report) -> Iterator[tuple[str, QueryPlan]]:
    """Every statement of a report without a filter, and the name of its shape."""
    query = ReportQuery(report)
    if report.format is ReportFormat.RECORDS and report.key:
        keys = key_fields(report)
        order = "_".join(_key_class(each) for each in keys)
        yield f"records_by_{order}", plan_records(query, None)
        yield f"records_by_{order}_after_cursor", plan_records(query, ["x"] * len(keys))
        yield f"records_by_{order}_after_cursor_of_nulls", plan_records(query, [None] * len(keys))
    else:
        yield _group_shape(query), plan_groups(query)
    if report.measures:
        for each in report.groupings_by_name.values():
            grouped = replace(query, aggregate_by=each)
            yield _group_shape(grouped), plan_groups(grouped)


def _key_class(field: ReportField) -> str:
    return "enum" if field.values else "text" if field.type is FieldType.STRING else "value"


_FIELD_CLASSES = {FieldType.FLAGS: "flags", FieldType.INTEGER_LIST: "list", FieldType.STRING_LIST: "list"}


def _group_shape(query: ReportQuery) -> str:
    fields = group_fields(query)
    classes = sorted({"tenant" if each.is_tenant_field else _FIELD_CLASSES.get(each.type, "value") for each in fields})
    measures = query.all_measures
    if any(each.is_id_list for each in measures):
        classes.append("counting_ids")
    elif any(each.distinct_partition for each in measures):
        classes.append("counting_bits")
    elif any(each.largest_of for each in measures):
        classes.append("taking_the_largest")
    if query.report.series_order and {each.name for each in fields} >= set(query.report.default_group_by):
        classes.append("limited")
    return "_".join((query.report.format.value, "by", *(classes or ["nothing"])))


def engine_name(report: Report) -> str:
    """The name of the engine that a report's rows are in."""
    return ENGINES[report.source.backend].macro_engine.name


@cache
def golden_files() -> dict[str, str]:
    """The content of every golden file, by its path."""
    files: dict[str, str] = {}
    row_files: dict[str, str] = {}
    for report in REPORTS.values():
        for fields, source in [((), report.source), *((each.fields, each.source) for each in report.pre_aggregations)]:
            statement = number_parameters(render_sql(source.sql, source.backend))
            # Pre-aggregations by one field each are one statement but for the name of the field.
            outline = re.sub("|".join(rf"\b{each}\b" for each in fields) or "$^", "FIELD", statement.sql)
            if outline not in row_files:
                row_files[outline] = path = f"rows/{report.name}.{engine_name(report)}.sql"
                files[path] = files.get(path, "") + _described(
                    f"Rows of {report.name}{', added up by ' * bool(fields)}{', '.join(fields)}", statement
                )
        # The compiled statement does not depend on the rows.
        over_a_table = replace(report, source=RowSource(report.source.backend, "TABLE rows"), pre_aggregations=())
        for shape, plan in plans(over_a_table):
            content = _described(f"{shape.replace('_', ' ')}, as in {report.name}", plan.statement)
            files.setdefault(f"statements/{shape}.{engine_name(report)}.sql", content)
    return files


def _described(title: str, statement: CompiledStatement) -> str:
    return f"-- {title}\n-- Parameters: {', '.join(statement.parameters) or 'none'}\n{statement.sql.strip()};\n\n"


def test_the_sql_of_every_shape_is_the_reviewed_one() -> None:
    if is_renewing():
        for path in GOLDEN.glob("*/*.sql"):
            path.unlink()
        for name, content in golden_files().items():
            (GOLDEN / name).parent.mkdir(exist_ok=True)
            (GOLDEN / name).write_text(content)
    reviewed = {path.relative_to(GOLDEN).as_posix(): path.read_text() for path in GOLDEN.glob("*/*.sql")}
    assert golden_files() == reviewed, (
        f"The SQL of reports has changed. If that is intended, review the diff after: {RENEW_COMMAND}/test_golden.py"
    )


def test_the_reviewed_sql_is_short_enough_to_be_read() -> None:
    assert sum(content.count("\n") for content in golden_files().values()) < 3_500


@on_both_servers
async def test_postgresql_accepts_every_statement_of_every_report(club: Club) -> None:
    tenant = tenant_of(club)
    async with club.database.read_transaction(club.community.id) as scope:
        for report in REPORTS.values():
            if report.source.backend is Backend.POSTGRES:
                for shape, plan in plans(report):
                    try:
                        await scope.connection.prepare(plan.statement.sql)
                    except asyncpg.PostgresError as error:
                        pytest.fail(f"{report.name}, {shape}: {error}", pytrace=False)
                    bound = dict.fromkeys(plan.statement.parameters)
                    assert len(plan.bind(tenant, club.clock(), bound)) == len(plan.statement.parameters)
