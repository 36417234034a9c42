"""What a statement over the columnar copy needs, and how it is asked there."""

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
"""What DuckDB knows the copy by."""


@dataclass(frozen=True, slots=True)
class _ListTest:
    """A condition that a list has one of some elements; `as_list` is the same, said of the list itself."""

    column: str
    owner: str
    as_list: str
    parameter: int | None
    literal: object = None

    def sql(self, elements: BitsetIndex, values: Sequence[Any]) -> str:
        if elements.is_overflowed:
            return self.as_list
        wanted = self.literal if self.parameter is None else values[self.parameter - 1]
        return elements.overlap_condition(wanted if isinstance(wanted, list | tuple) else [wanted], self.owner)


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """A statement in pieces: texts, and tests of lists between them, which become tests of bits."""

    columns: tuple[ReplicaColumn, ...]
    fragments: tuple[str | _ListTest, ...]

    @property
    def reads_values(self) -> bool:
        """Whether it asks for aggregations."""
        return any(each.name in VALUE_COLUMNS for each in self.columns)

    @property
    def reads_time_dependent(self) -> bool:
        """Whether it asks for aggregations that change by the clock."""
        return any(each.name in TIME_DEPENDENT_VALUES for each in self.columns)

    def render(self, elements: Mapping[str, BitsetIndex], values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
        """The statement for these values of $1, $2, ..., and those of them that are still bound, by their number."""
        text = "".join(
            each if isinstance(each, str) else each.sql(elements[each.column], values) for each in self.fragments
        )
        return text, {number: values[int(number) - 1] for number in set(re.findall(r"\$(\d+)", text))}


_MARK = re.compile(r'"list test (\d+)"')


@lru_cache(maxsize=1024)
def rewrite(statement: str) -> ReplicaPlan:
    """A statement in DuckDB's dialect over the table `members`, its values $1, $2, ..."""
    tree = sqlglot.parse_one(statement, dialect="duckdb")
    names = {each.name for each in tree.find_all(exp.Column)}
    for table in list(tree.find_all(exp.Table)):
        if table.name == "members":
            table.set("db", exp.to_identifier(REPLICA_DATABASE))
            _stand_for_all_of_it(table)
    _count_on_the_way(tree)
    tests: list[_ListTest] = []

    def marked(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
            # Its arrow would bind less than what stands beside it.
            name = "json_extract" if isinstance(node, exp.JSONExtract) else "json_extract_string"
            return exp.Anonymous(this=name, expressions=[node.this, node.expression])
        test = _list_test(node)
        if test is None:
            return node
        tests.append(test)
        return exp.column(exp.to_identifier(f"list test {len(tests) - 1}", quoted=True))

    parts = _MARK.split(tree.transform(marked).sql(dialect="duckdb"))
    pieces = tuple(tests[int(part)] if place % 2 else part for place, part in enumerate(parts))
    return ReplicaPlan(tuple(each for name, each in ALL_COLUMNS.items() if name in names), pieces)


def _stand_for_all_of_it(table: exp.Table) -> None:
    """Puts a table in the place of SELECT * FROM it, whose columns DuckDB would go through one by one to plan it."""
    select = table.parent_select
    within = select.parent if select is not None else None
    if isinstance(within, exp.Subquery) and select == exp.select("*").from_(table.copy()):
        within.replace(exp.alias_(table.copy(), within.alias, table=True))


def _count_on_the_way(tree: exp.Expr) -> None:
    """Makes a count of all rows for which one of several comparisons holds a count of where that is so.

    DuckDB would first set these rows apart, which costs it more. Where AND spares it comparisons it is the quicker one.
    """
    where = tree.args.get("where")
    if where is None or not isinstance(where.this, exp.Or) or where.find(exp.And, exp.Select):
        return
    match list(tree.find_all(exp.AggFunc)):
        case [exp.Count(this=exp.Star()) as count] if not tree.args.get("group") and not tree.args.get("having"):
            where.pop()
            count.replace(exp.CountIf(this=where.this))


def _list_test(node: exp.Expression) -> _ListTest | None:
    match node:
        case exp.ArrayOverlaps() | exp.ArrayContains():
            column, wanted = node.this, node.expression
        case exp.EQ(expression=exp.Any(this=column)):
            wanted = node.this
        case _:
            return None
    column, wanted = _bare(column), _bare(wanted)
    if not isinstance(column, exp.Column) or not (known := ALL_COLUMNS.get(column.name)) or not known.element_type:
        return None
    as_list = node.sql(dialect="duckdb")
    match wanted:
        case exp.Placeholder() | exp.Parameter():
            return _ListTest(column.name, column.table, as_list, int(wanted.name))
        case exp.Literal():
            return _ListTest(column.name, column.table, as_list, None, wanted.to_py())
        case _:
            return None


def _bare(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node
