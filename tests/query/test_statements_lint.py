"""Every statement of reports and queries names its community."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from query.sample_reports import REGISTRY as OURS
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Backend, Report

SOURCE = Path(__file__).parents[2] / "src" / "regulars"
# Files are one community's, and have no number for it.
_OF_FILES = SOURCE / "reports" / "over_files.py"
MODULES = [*sorted({*(SOURCE / "reports").rglob("*.py")} - {_OF_FILES}), *sorted((SOURCE / "query").rglob("*.py"))]
FILES = [*sorted((SOURCE / "reports").rglob("*.sql")), *sorted((SOURCE / "query").rglob("*.sql"))]

# What a statement over a table begins with; a piece of one without a table needs no community.
_READS = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+([a-z_]+)\b(?!\s*\()")
_STATEMENT = re.compile(r"^\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|WITH|MERGE)\b|[a-z_]+ AS (?:MATERIALIZED )?\()")
# What a part of a statement is named, by which other parts read it.
_NAMED_PART = re.compile(r"\b([a-z_]+) AS (?:MATERIALIZED )?\(")


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module, those put together of parts as one, and where they stand."""
    within = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in within:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (each.value if isinstance(each, ast.Constant) else "{}" for each in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def faults(source: str) -> list[str]:
    """Statements and named parts of a module that read or write a table and name no community."""
    named = set(_NAMED_PART.findall(source))
    return [
        f"line {line}: {' '.join(text.split())[:80]}"
        for line, text in texts(ast.parse(source))
        if _STATEMENT.match(text) and (tables := set(_READS.findall(text)) - named) and not _is_of_one(text, tables)
    ]


def _is_of_one(text: str, tables: set[str]) -> bool:
    # A community's own row is known by its id.
    return "community" in text or (tables == {"communities"} and bool(re.search(r"\bid = ", text)))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_statement_of_reports_and_queries_names_its_community(module: Path) -> None:
    found = faults(module.read_text())
    # A columnar copy is of one community, and is called `members` there.
    assert [each for each in found if not re.search(r"\bFROM (members|samples)\b", each)] == []


def test_every_sql_file_names_its_community() -> None:
    assert [file.name for file in FILES if "community_id" not in file.read_text()] == []


@pytest.mark.parametrize("report", [*REPORTS_BY_NAME.values(), *OURS.values()], ids=lambda report: report.name)
def test_every_row_source_in_postgresql_is_restricted_to_one_community(report: Report) -> None:
    if report.source.backend is Backend.POSTGRES:
        assert "$community" in report.source.sql
        # What is bound as an array stands where sqlglot expects a name.
        tree = sqlglot.parse_one(re.sub(r"\$(\w+)::\w+\[\]", r"\1", report.source.sql), dialect="postgres")
        named = {each.alias for each in tree.find_all(exp.CTE)}
        for select in tree.find_all(exp.Select):
            # A function that gives rows is a table without a name.
            tables = {each.name for each in select.find_all(exp.Table)} - named - {"communities", ""}
            names = {each.name for each in select.find_all(exp.Column)}
            assert not tables or "community_id" in names, select.sql()[:200]


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"SELECT 1 FROM profiles"', 1),
        ('f"SELECT 1 FROM profiles WHERE id = {x}"', 1),
        ('"""\\n    DELETE FROM profiles\\n"""', 1),
        ('"UPDATE profiles SET x = 1 WHERE community_id = $1"', 0),
        ('"SELECT zone FROM communities"', 1),
        ('"SELECT zone FROM communities WHERE id = $1"', 0),
        ('f"SELECT 1 FROM ({x}) AS r"', 0),
        ('f"SELECT now()"', 0),
        ('"Select one from those there are."', 0),
    ],
)
def test_the_lint_finds_statements_without_a_community(source: str, count: int) -> None:
    assert len(faults(source)) == count
