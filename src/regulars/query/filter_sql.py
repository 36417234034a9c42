"""A filter as SQL: its shape, its text, and the values that are bound to it.

The shape is the tree without its values: filters of one shape have one text, whose placeholders are $v1, $v2 and so
on, in the order of their values. What a comparison binds follows from its form: whether its value is null or not, and,
within objects, of which types it is.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from regulars.facts.money import EXACT
from regulars.query.conditions import Condition, denied, joined
from regulars.query.engines import OF_STORE, Engine, operand, spelled
from regulars.query.filter_values import LISTS
from regulars.query.query import Logical, Node, Operation
from regulars.reports.report import Kind, Store

Shape = tuple[object, ...]
"""The tree without its values, written from the root on: an operation as (type, field, form), and ("and", 3) before
the three nodes below it."""

_SIGNS = {"greater_than": ">", "greater_or_equal_to": ">=", "less_than": "<", "less_or_equal_to": "<="}
_NEGATED = {"not_equal": "equal", "not_in": "in"}

SCALED = frozenset((Kind.MONEY, Kind.PERCENT))


# Shape and values -----------------------------------------------------------------------------------------------


def shape(node: Node | None) -> Shape:
    """The shape of a filter."""
    found: list[object] = []
    if node is not None:
        _shape(node, found)
    return tuple(found)


def fields(node: Node | None) -> set[str]:
    """The names of the fields that a filter compares."""
    if node is None:
        return set()
    if isinstance(node, Operation):
        return {node.field.name}
    return {name for each in node.nodes for name in fields(each)}


def _shape(node: Node, found: list[object]) -> None:
    if isinstance(node, Operation):
        found += (node.type, node.field.name, _form(node))
    else:
        found += (node.type, len(node.nodes))
        for each in node.nodes:
            _shape(each, found)


def _form(operation: Operation) -> str:
    """Which placeholders a comparison has: v a value or a list of them, n null; within objects t, f and n for what is
    true, false and never asked, or s, d, b and n for texts, numbers, booleans and nothing.
    """
    value = operation.value
    if operation.part is None:
        if not isinstance(value, tuple):
            return "n" if value is None else "v"
        if None not in value:
            return "v" if value else ""
        return "n" if all(each is None for each in value) else "vn"
    letter = _flag_letter if operation.field.kind is Kind.FLAGS else _type_letter
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


def values(node: Node | None, store: Store, minor_digits: int) -> list[Any]:
    """The values of a filter in the order of its placeholders, for a customer whose money has so many digits."""
    found: list[Any] = []
    if node is not None:
        _values(node, OF_STORE[store], minor_digits, found)
    return found


def _values(node: Node, engine: Engine, minor_digits: int, found: list[Any]) -> None:
    if isinstance(node, Logical):
        for each in node.nodes:
            _values(each, engine, minor_digits, found)
        return
    value = node.value
    if node.part is not None:
        if value == ():
            return
        if node.field.kind is Kind.FLAGS:
            found.append(node.part)
            return
        found.append(engine.says.part_value(node.part))
        if isinstance(value, tuple) and node.type != "between":
            found += (
                [each for each in value if _type_letter(each) == letter] for letter in "bds" if letter in _form(node)
            )
            return
    elif node.field.kind in SCALED:
        value = _scaled(node.type, value, minor_digits if node.field.kind is Kind.MONEY else 2)
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
    """Decimals as the whole numbers that are kept, such that the comparison means the same."""
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
    return int(EXACT.scaleb(value, digits).quantize(Decimal(1), rounding, EXACT))


def _exact(value: Decimal, digits: int) -> int | None:
    """The same in minor units; None, which nothing is equal to, where it is finer than they are."""
    found = _whole(value, digits, ROUND_FLOOR)
    return found if EXACT.scaleb(Decimal(found), -digits) == value else None


# Text -----------------------------------------------------------------------------------------------------------


def condition(node: Node, store: Store) -> Condition:
    """A filter as a condition over `r`. Comparisons with null may give null; what is above them takes it as false."""
    return _Writing(store).node(node)


class _Writing:
    """One filter as it is written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._engine = OF_STORE[store]
        self._count = 0

    def node(self, node: Node) -> Condition:
        if isinstance(node, Operation):
            return self._operation(node)
        if node.type == "not":
            return denied(self.node(node.nodes[0]))
        return joined(node.type.upper(), [self.node(each) for each in node.nodes])

    def _place(self, type_: str) -> str:
        self._count += 1
        return f"CAST($v{self._count} AS {type_})"

    def _operation(self, operation: Operation) -> Condition:
        field = operation.field
        if operation.value == ():
            return _either(operation.type, [])
        if field.kind is Kind.FLAGS:
            return self._flag(operation)
        if field.kind is Kind.OBJECT:
            return self._part(operation)
        if field.kind in LISTS:
            return self._list(operation)
        return self._scalar(operation)

    def _scalar(self, operation: Operation) -> Condition:
        field, form = operation.field, _form(operation)
        expression = operand(field, self._store)
        return self._compared(operation.type, expression, self._engine.types[field.kind], form, field.kind in SCALED)

    def _compared(self, kind: str, x: str, type_: str, form: str, may_be_none: bool = False) -> Condition:
        if kind in _SIGNS:
            return Condition(f"{x} {_SIGNS[kind]} {self._place(type_)}")
        if kind == "between":
            return Condition(f"{x} BETWEEN {self._place(type_)} AND {self._place(type_)}")
        if kind == "starts_with":
            return Condition(f"starts_with({x}, {self._place(type_)})")
        if kind == "contains":
            return Condition(f"strpos({x}, {self._place(type_)}) > 0")
        if kind in ("in", "not_in"):
            any_of = [Condition(self._engine.says.is_any(x, self._place(f"{type_}[]")))] if "v" in form else []
            return _either(kind, [*any_of, *([Condition(f"{x} IS NULL")] if "n" in form else [])])
        is_not = kind == "not_equal"
        if form == "n":
            return Condition(f"{x} IS NOT NULL" if is_not else f"{x} IS NULL")
        if is_not and may_be_none:
            return denied(Condition(f"{x} = {self._place(type_)}"))
        return Condition(f"{x} {'IS DISTINCT FROM' if is_not else '='} {self._place(type_)}")

    def _list(self, operation: Operation) -> Condition:
        says, form, x = self._engine.says, _form(operation), operand(operation.field, self._store)
        type_ = self._engine.types[operation.field.kind]
        if operation.type == "contains":
            return Condition(says.has(x, self._place(type_)))
        any_of = [Condition(says.has_any(x, self._place(f"{type_}[]")))] if "v" in form else []
        return _either(operation.type, [*any_of, *([Condition(says.is_empty(x))] if "n" in form else [])])

    def _flag(self, operation: Operation) -> Condition:
        says, form = self._engine.says, _form(operation)
        name = self._place("TEXT")
        trues, falses = (spelled(each, self._store) for each in operation.field.flags or ())
        is_true, is_false = Condition(says.has(trues, name)), Condition(says.has(falses, name))
        found = {"t": is_true, "f": is_false, "n": denied(joined("OR", [is_true, is_false], between=" "))}
        return _either(operation.type, [found[letter] for letter in form])

    def _part(self, operation: Operation) -> Condition:
        says, form = self._engine.says, _form(operation)
        x, name = operand(operation.field, self._store), self._place("TEXT")
        of_type: dict[str, tuple[Callable[[str, str], str], str]] = {
            "b": (says.boolean, self._engine.types[Kind.BOOLEAN]),
            "d": (says.number, self._engine.types[Kind.NUMBER]),
            "s": (says.string, self._engine.types[Kind.STRING]),
        }
        if operation.type in ("equal", "not_equal", "in", "not_in"):
            conditions = list(self._typed(operation, form, x, name, of_type))
            return _either(operation.type, conditions)
        taken, type_ = of_type["d" if operation.type == "between" else form]
        return self._compared(operation.type, f"({taken(x, name)})", type_, "v")

    def _typed(
        self,
        operation: Operation,
        form: str,
        x: str,
        name: str,
        of_type: dict[str, tuple[Callable[[str, str], str], str]],
    ) -> Iterator[Condition]:
        several = isinstance(operation.value, tuple)
        for letter, (taken, type_) in of_type.items():
            if letter in form:
                value = f"({taken(x, name)})"
                if several:
                    yield Condition(self._engine.says.is_any(value, self._place(f"{type_}[]")))
                else:
                    yield Condition(f"{value} = {self._place(type_)}")
        if "n" in form:
            yield Condition(self._engine.says.is_null(x, name))


def _either(kind: str, conditions: Sequence[Condition]) -> Condition:
    """One of the conditions, or none of them where the operation denies."""
    some = joined("OR", conditions or [Condition("FALSE")], between=" ")
    return denied(some) if kind in _NEGATED else some
