"""Rewrites statements for the columnar replica: bitset tests for lists, and faster equivalents of some clauses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp

from regulars.query.replica.bitset_index import BitsetIndex
from regulars.query.replica.columns import ALL_COLUMNS, TIME_DEPENDENT_VALUES, VALUE_COLUMNS, ReplicaColumn

REPLICA_DATABASE = "community"
"""The name of the replica's database in DuckDB."""


@dataclass(frozen=True, slots=True)
class _ListTest:
    """A test whether a list has any of some bitsets; `list_sql` is the same test without a bitset."""

    column: str
    owner: str
    list_sql: str
    parameter: int | None
    literal: object = None

    def sql(self, bitsets: BitsetIndex, values: Sequence[Any]) -> str:
        if bitsets.is_overflowed:
            return self.list_sql
        searched = self.literal if self.parameter is None else values[self.parameter - 1]
        return bitsets.overlap_condition(searched if isinstance(searched, list | tuple) else [searched], self.owner)


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """A rewritten statement in fragments: SQL, and between them list tests, which are rendered as bitset tests."""

    columns: tuple[ReplicaColumn, ...]
    fragments: tuple[str | _ListTest, ...]

    @property
    def reads_values(self) -> bool:
        """Whether the statement reads profile aggregations."""
        return any(each.name in VALUE_COLUMNS for each in self.columns)

    @property
    def reads_time_dependent(self) -> bool:
        """Whether the statement reads aggregations that change by the clock."""
        return any(each.name in TIME_DEPENDENT_VALUES for each in self.columns)

    def render(self, bitsets: Mapping[str, BitsetIndex], values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
        """Renders the statement for values of $1, $2, ..., and returns it with the values still bound, by number."""
        text = "".join(
            each if isinstance(each, str) else each.sql(bitsets[each.column], values) for each in self.fragments
        )
        return text, {number: values[int(number) - 1] for number in set(re.findall(r"\$(\d+)", text))}


_TEST_PLACEHOLDER = re.compile(r'"list test (\d+)"')


@lru_cache(maxsize=1024)
def rewrite(statement: str) -> ReplicaPlan:
    """Rewrites a statement in DuckDB's dialect over the table `members`, with values $1, $2, ..."""
    tree = sqlglot.parse_one(statement, dialect="duckdb")
    names = {each.name for each in tree.find_all(exp.Column)}
    for table in list(tree.find_all(exp.Table)):
        if table.name == "members":
            table.set("db", exp.to_identifier(REPLICA_DATABASE))
            _unwrap_select_all(table)
    _use_count_if(tree)
    tests: list[_ListTest] = []

    def replace_node(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
            # The arrow operator has lower precedence than operators around it.
            name = "json_extract" if isinstance(node, exp.JSONExtract) else "json_extract_string"
            return exp.Anonymous(this=name, expressions=[node.this, node.expression])
        test = _list_test(node)
        if test is None:
            return node
        tests.append(test)
        return exp.column(exp.to_identifier(f"list test {len(tests) - 1}", quoted=True))

    parts = _TEST_PLACEHOLDER.split(tree.transform(replace_node).sql(dialect="duckdb"))
    fragments = tuple(tests[int(part)] if index % 2 else part for index, part in enumerate(parts))
    return ReplicaPlan(tuple(each for name, each in ALL_COLUMNS.items() if name in names), fragments)


def _unwrap_select_all(table: exp.Table) -> None:
    """Replaces SELECT * FROM a table by the table, which saves DuckDB from planning every column."""
    select = table.parent_select
    parent = select.parent if select is not None else None
    if isinstance(parent, exp.Subquery) and select == exp.select("*").from_(table.copy()):
        parent.replace(exp.alias_(table.copy(), parent.alias, table=True))


def _use_count_if(tree: exp.Expr) -> None:
    """Rewrites count(*) with a WHERE clause of OR to count_if.

    DuckDB materializes the selection of such a clause, which is slower. With AND, which skips comparisons, WHERE is
    faster.
    """
    where = tree.args.get("where")
    if where is None or not isinstance(where.this, exp.Or) or where.find(exp.And, exp.Select):
        return
    match list(tree.find_all(exp.AggFunc)):
        case [exp.Count(this=exp.Star()) as count] if not tree.args.get("group") and not tree.args.get("having"):
            where.pop()
            # Without any row, or where the clause is null in each, count_if is null.
            count.replace(exp.Coalesce(this=exp.CountIf(this=where.this), expressions=[exp.Literal.number(0)]))


def _list_test(node: exp.Expression) -> _ListTest | None:
    match node:
        case exp.ArrayOverlaps() | exp.ArrayContains():
            column, searched = node.this, node.expression
        case exp.EQ(expression=exp.Any(this=column)):
            searched = node.this
        case _:
            return None
    column, searched = _unwrap(column), _unwrap(searched)
    if not isinstance(column, exp.Column) or not (known := ALL_COLUMNS.get(column.name)) or not known.element_type:
        return None
    list_sql = node.sql(dialect="duckdb")
    match searched:
        case exp.Placeholder() | exp.Parameter():
            return _ListTest(column.name, column.table, list_sql, int(searched.name))
        case exp.Literal():
            return _ListTest(column.name, column.table, list_sql, None, searched.to_py())
        case _:
            return None


def _unwrap(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node
