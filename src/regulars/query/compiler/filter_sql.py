"""Compiles filters to SQL: the shape of a filter, its condition, and the values that are bound to it.

The shape is the tree without its values: filters of one shape have one text, whose placeholders are $v1, $v2 and so
on, in the order of their values. What a comparison binds follows from its form: whether its value is null or not, and,
within objects, of which types it is.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any

from regulars.core.field_type import FieldType
from regulars.core.money import EXACT_CONTEXT
from regulars.query.compiler.conditions import Condition, combine, not_true
from regulars.query.dialects.engines import ENGINES, QueryEngine, operand, render_sql
from regulars.query.parser.filter_values import EQUALITY_OPERATIONS, LIST_TYPES
from regulars.query.query import Comparison, FilterNode
from regulars.reports.report import Backend, ReportField

FilterShape = tuple[object, ...]
"""A filter without its values, in prefix order: a comparison as (type, field, form), and ("and", 3)
before three nodes.
"""

_SIGNS = {"greater_than": ">", "greater_or_equal_to": ">=", "less_than": "<", "less_or_equal_to": "<="}

SCALED_TYPES = frozenset((FieldType.MONEY, FieldType.PERCENT))


# Shapes and values --------------------------------------------------------------------------------------------


def filter_shape(node: FilterNode | None) -> FilterShape:
    """The shape of a filter: filters of one shape have the same SQL."""
    found: list[object] = []
    if node is not None:
        _shape(node, found)
    return tuple(found)


def field_names(node: FilterNode | None) -> set[str]:
    """The names of the fields that a filter uses."""
    if node is None:
        return set()
    if isinstance(node, Comparison):
        return {node.field.name}
    return {name for each in node.nodes for name in field_names(each)}


def _shape(node: FilterNode, found: list[object]) -> None:
    if isinstance(node, Comparison):
        found += (node.type, node.field.name, _form(node))
    else:
        found += (node.type, len(node.nodes))
        for each in node.nodes:
            _shape(each, found)


def _form(operation: Comparison) -> str:
    """Which placeholders a comparison has: v a value or a list of them, n null; within objects t, f and n for what is
    true, false and null, or s, d, b and n for texts, numbers, booleans and nothing.
    """
    value = operation.value
    if operation.object_key is None:
        if not isinstance(value, tuple):
            return "n" if value is None else "v"
        if None not in value:
            return "v" if value else ""
        return "n" if all(each is None for each in value) else "vn"
    letter = _flag_letter if operation.field.type is FieldType.FLAGS else _type_letter
    if isinstance(value, tuple):
        return "".join(sorted({letter(each) for each in value}))
    return letter(value)


def _flag_letter(value: Any) -> str:
    return "n" if value is None else "t" if value else "f"


def _type_letter(value: Any) -> str:
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "b"
    return "s" if isinstance(value, str) else "d"


def bound_values(node: FilterNode | None, backend: Backend, minor_digits: int) -> list[Any]:
    """The values of a filter in the order of its placeholders.

    `minor_digits` are the decimals of the tenant's money.
    """
    found: list[Any] = []
    if node is not None:
        _values(node, ENGINES[backend], minor_digits, found)
    return found


def _values(node: FilterNode, engine: QueryEngine, minor_digits: int, found: list[Any]) -> None:
    if not isinstance(node, Comparison):
        for each in node.nodes:
            _values(each, engine, minor_digits, found)
        return
    value = node.value
    if node.object_key is not None:
        if value == ():
            return
        if node.field.type is FieldType.FLAGS:
            found.append(node.object_key)
            return
        found.append(engine.dialect.key_parameter(node.object_key))
        if isinstance(value, tuple) and node.type != "between":
            found += (
                [each for each in value if _type_letter(each) == letter] for letter in "bds" if letter in _form(node)
            )
            return
    elif node.field.type in SCALED_TYPES:
        value = _scaled(node.type, value, minor_digits if node.field.type is FieldType.MONEY else 2)
    if node.type == "between":
        found += value
    elif isinstance(value, tuple):
        if some := [each for each in value if each is not None]:
            found.append(some)
        elif any(each is not None for each in node.value):
            found.append([])
    elif node.value is not None:
        found.append(value)


def _scaled(operation: str, value: Any, digits: int) -> Any:
    """Converts decimals to the stored integers, rounded so that the comparison has the same result."""
    if value is None:
        return None
    if operation == "between":
        least, greatest = value
        return _whole(least, digits, ROUND_CEILING), _whole(greatest, digits, ROUND_FLOOR)
    if isinstance(value, tuple):
        return tuple(None if each is None else _exact(each, digits) for each in value)
    if operation in ("greater_than", "less_or_equal_to"):
        return _whole(value, digits, ROUND_FLOOR)
    if operation in ("greater_or_equal_to", "less_than"):
        return _whole(value, digits, ROUND_CEILING)
    return _exact(value, digits)


def _whole(value: Decimal, digits: int, rounding: str) -> int:
    return int(EXACT_CONTEXT.scaleb(value, digits).quantize(Decimal(1), rounding, EXACT_CONTEXT))


def _exact(value: Decimal, digits: int) -> int | None:
    """The value in minor units; None, which equals nothing, where it has more decimals than they do."""
    found = _whole(value, digits, ROUND_FLOOR)
    return found if EXACT_CONTEXT.scaleb(Decimal(found), -digits) == value else None


# Conditions ---------------------------------------------------------------------------------------------------


def condition(node: FilterNode, backend: Backend) -> Condition:
    """The condition of a filter over `r`. It may be null where a compared field is null, which counts as false."""
    writer = _FilterWriter(backend)
    sql = writer.node_sql(node, "\n")
    return Condition(sql % tuple(writer.numbers), _is_compound(node, backend))


def _is_compound(node: FilterNode, backend: Backend) -> bool:
    if isinstance(node, Comparison):
        return _comparison(node.type, node.field, _form(node), backend).is_compound
    return node.type != "not" and (len(node.nodes) > 1 or _is_compound(node.nodes[0], backend))


class _FilterWriter:
    """Writes the SQL of one filter, with %d in place of parameter numbers, which are collected in `numbers`.

    `line` is the line break and indentation of a node.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._values = 0
        self.numbers: list[int] = []

    def node_sql(self, node: FilterNode, line: str, *, is_operand: bool = False) -> str:
        """The SQL of a node; `is_operand` is set where it is an operand of AND or OR."""
        if isinstance(node, Comparison):
            comparison = _comparison(node.type, node.field, _form(node), self._backend)
            self.numbers += [self._values + each for each in comparison.value_numbers]
            self._values += comparison.values
            sql = comparison.as_operand if is_operand else comparison.alone
            return sql.replace("\n", line) if "\n" in sql else sql
        if node.type == "not":
            return f"{self._parenthesized(node.nodes[0], line)} IS NOT TRUE"
        if len(node.nodes) == 1:
            return self.node_sql(node.nodes[0], line, is_operand=is_operand)
        if is_operand:
            return self._parenthesized(node, line)
        return f"{line}{node.type.upper()} ".join([self.node_sql(each, line, is_operand=True) for each in node.nodes])

    def _parenthesized(self, node: FilterNode, line: str) -> str:
        deeper = f"{line}    "
        sql = self.node_sql(node, deeper)
        return f"({deeper}{sql}{line})" if "\n" in sql else f"({sql})"


@dataclass(frozen=True, slots=True)
class _ComparisonSql:
    """The SQL of a comparison, alone and as an operand of AND and OR, with %d in place of parameter numbers.

    `value_numbers` are those of its values in that order, from 1, and `values` is how many values it has.
    """

    alone: str
    as_operand: str
    is_compound: bool
    value_numbers: tuple[int, ...]
    values: int


_value = re.compile(r"\$v(\d+)")


@lru_cache(maxsize=4096)
def _comparison(operation: str, field: ReportField, form: str, backend: Backend) -> _ComparisonSql:
    """The SQL of a comparison of one form, compiled once and numbered wherever it is used."""
    found = _ComparisonCompiler(operation, field, form, backend).condition()
    alone, as_operand = (_value.sub("$v%d", sql.replace("%", "%%")) for sql in (found.sql, found.parenthesized))
    value_numbers = tuple(map(int, _value.findall(found.sql)))
    return _ComparisonSql(alone, as_operand, found.is_compound, value_numbers, max(value_numbers, default=0))


class _ComparisonCompiler:
    """Compiles one comparison, its values named $v1, $v2, ..."""

    def __init__(self, operation: str, field: ReportField, form: str, backend: Backend) -> None:
        self._operation = operation
        self._field = field
        self._form = form
        self._backend = backend
        self._engine = ENGINES[backend]
        self._count = 0

    def condition(self) -> Condition:
        if not self._form:
            return self._any_of([])
        if self._field.type is FieldType.FLAGS:
            return self._flags()
        if self._field.type is FieldType.OBJECT:
            return self._object_value()
        if self._field.type in LIST_TYPES:
            return self._list()
        return self._scalar(operand(self._field, self._backend), self._field.type)

    def _placeholder(self, type_: str) -> str:
        self._count += 1
        return f"CAST($v{self._count} AS {type_})"

    def _scalar(self, x: str, field_type: FieldType) -> Condition:
        operation, type_ = self._operation, self._engine.parameter_types[field_type]
        if operation in _SIGNS:
            return Condition(f"{x} {_SIGNS[operation]} {self._placeholder(type_)}")
        if operation == "between":
            return Condition(f"{x} BETWEEN {self._placeholder(type_)} AND {self._placeholder(type_)}")
        if operation == "starts_with":
            return Condition(f"starts_with({x}, {self._placeholder(type_)})")
        if operation == "contains":
            return Condition(f"strpos({x}, {self._placeholder(type_)}) > 0")
        if operation in ("in", "not_in"):
            any_of = (
                [Condition(self._engine.dialect.equals_any(x, self._placeholder(f"{type_}[]")))]
                if "v" in self._form
                else []
            )
            return self._any_of([*any_of, *([Condition(f"{x} IS NULL")] if "n" in self._form else [])])
        is_not = operation == "not_equal"
        if self._form == "n":
            return Condition(f"{x} IS NOT NULL" if is_not else f"{x} IS NULL")
        if is_not and field_type in SCALED_TYPES:
            return not_true(Condition(f"{x} = {self._placeholder(type_)}"))
        return Condition(f"{x} {'IS DISTINCT FROM' if is_not else '='} {self._placeholder(type_)}")

    def _list(self) -> Condition:
        dialect, x = self._engine.dialect, operand(self._field, self._backend)
        type_ = self._engine.parameter_types[self._field.type]
        if self._operation == "contains":
            return Condition(dialect.contains(x, self._placeholder(type_)))
        any_of = [Condition(dialect.overlaps(x, self._placeholder(f"{type_}[]")))] if "v" in self._form else []
        return self._any_of([*any_of, *([Condition(dialect.is_empty(x))] if "n" in self._form else [])])

    def _flags(self) -> Condition:
        dialect, name = self._engine.dialect, self._placeholder("TEXT")
        trues, falses = (render_sql(each, self._backend) for each in self._field.flag_columns or ())
        is_true, is_false = Condition(dialect.contains(trues, name)), Condition(dialect.contains(falses, name))
        found = {"t": is_true, "f": is_false, "n": not_true(combine("OR", [is_true, is_false], separator=" "))}
        return self._any_of([found[letter] for letter in self._form])

    def _object_value(self) -> Condition:
        dialect, x, name = self._engine.dialect, operand(self._field, self._backend), self._placeholder("TEXT")
        extractors: dict[str, tuple[Callable[[str, str], str], FieldType]] = {
            "b": (dialect.boolean_value, FieldType.BOOLEAN),
            "d": (dialect.number_value, FieldType.NUMBER),
            "s": (dialect.string_value, FieldType.STRING),
        }
        if self._operation in EQUALITY_OPERATIONS:
            return self._any_of(list(self._equalities(x, name, extractors)))
        extract, field_type = extractors[self._form]
        return self._scalar(f"({extract(x, name)})", field_type)

    def _equalities(
        self, x: str, name: str, extractors: Mapping[str, tuple[Callable[[str, str], str], FieldType]]
    ) -> Iterator[Condition]:
        for letter, (extract, field_type) in extractors.items():
            if letter in self._form:
                value, type_ = f"({extract(x, name)})", self._engine.parameter_types[field_type]
                if self._operation in ("in", "not_in"):
                    yield Condition(self._engine.dialect.equals_any(value, self._placeholder(f"{type_}[]")))
                else:
                    yield Condition(f"{value} = {self._placeholder(type_)}")
        if "n" in self._form:
            yield Condition(self._engine.dialect.object_value_is_null(x, name))

    def _any_of(self, conditions: Sequence[Condition]) -> Condition:
        """Any of the conditions, or none of them where the comparison is negated."""
        any_condition = combine("OR", conditions or [Condition("FALSE")], separator=" ")
        return not_true(any_condition) if self._operation in ("not_equal", "not_in") else any_condition
