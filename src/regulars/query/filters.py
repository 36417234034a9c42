"""The filter of a request: a tree of operations, checked against the report's fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from regulars.query.filter_values import (
    BY_DOT,
    EQUALITY,
    LISTS,
    MOST_VALUES,
    OPERATIONS,
    ORDER,
    TEXT,
    MisfitError,
    scalar,
    text,
)
from regulars.query.problems import Problem, Problems, missing, not_among, unknown
from regulars.query.query import Logical, Node, Operation
from regulars.reports.report import Field, Report

DEEPEST = 10
MOST_NODES = 100

LOGICAL = ("and", "or", "not")
COMPARISONS = (*EQUALITY, *ORDER, *TEXT)
# Older clients know one operation by a name with a slip in it.
_OTHER_SPELLINGS = {"greated_than": "greater_than"}

_Path = tuple[str | int, ...]


class _TooManyError(Exception):
    """The tree has more nodes than are allowed."""


class _WrongError(Exception):
    """A node can't be read: what is wrong, and where."""

    def __init__(self, path: _Path, problem: Problem) -> None:
        self.path = path
        self.problem = problem
        super().__init__(problem.message)


def parsed(tree: object, report: Report, problems: Problems, path: _Path = ("filter",)) -> Node | None:
    """The filter that a tree of JSON means, None for null. What is wrong with it is added to `problems`, in the tree's
    own shape; what is given then is of no use.
    """
    if tree is None:
        return None
    try:
        return _Reading(report, problems).node(tree, path, 1)
    except _TooManyError:
        message = f"A filter has at most {MOST_NODES} nodes."
        problems.replaced(path, Problem("too_many_nodes", message, {"max": MOST_NODES}))
        return None


def part(field: Field, name: str) -> str | None:
    """The name within an object that a dotted name speaks of."""
    return name[len(field.name) + 1 :] if name != field.name else None


def field_of(name: str, report: Report) -> Field | None:
    """The field of a name: its own, or of an object's part."""
    found = report.by_field.get(name)
    if found is None and "." in name:
        above = report.by_field.get(name.split(".", 1)[0])
        return above if above is not None and above.kind in BY_DOT else None
    return found


def filterable_names(report: Report) -> list[str]:
    """The fields that a filter may name."""
    return [
        f"{each.name}.<name>" if each.kind in BY_DOT else each.name
        for each in report.fields
        if each.filterable and not each.by_header
    ]


class _Reading:
    """One tree as it is read."""

    def __init__(self, report: Report, problems: Problems) -> None:
        self._report = report
        self._problems = problems
        self._nodes = 0

    def node(self, tree: object, path: _Path, level: int) -> Node | None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _TooManyError
        try:
            return self._read(tree, path, level)
        except _WrongError as error:
            self._problems.add(error.path, error.problem)
            return None

    def _read(self, tree: object, path: _Path, level: int) -> Node | None:
        if not isinstance(tree, dict):
            raise _WrongError(path, Problem("must_be_an_object", "A node of a filter must be an object."))
        if level > DEEPEST:
            message = f"A filter has at most {DEEPEST} levels."
            raise _WrongError(path, Problem("too_deep", message, {"max": DEEPEST}))
        if "type" not in tree:
            raise _WrongError((*path, "type"), missing("The type of the node"))
        kind = tree["type"]
        if kind == "and" or kind == "or":
            return self._several(kind, tree, path, level)
        if kind == "not":
            return self._negated(tree, path, level)
        kind = _OTHER_SPELLINGS.get(kind, kind) if isinstance(kind, str) else None
        if kind not in COMPARISONS:
            raise _WrongError((*path, "type"), not_among((*LOGICAL, *COMPARISONS), "The type"))
        return self._operation(kind, tree, path)

    def _keys(self, tree: Mapping[str, Any], path: _Path, known: Sequence[str]) -> None:
        for name in tree:
            if name not in known:
                self._problems.add((*path, name), unknown(name, known))

    def _several(self, kind: str, tree: Mapping[str, Any], path: _Path, level: int) -> Node:
        self._keys(tree, path, ("type", "operations"))
        below = (*path, "operations")
        operations = tree.get("operations")
        if operations is None or operations == []:
            raise _WrongError(below, missing("What to combine, at least one operation,"))
        if not isinstance(operations, list):
            raise _WrongError(below, Problem("must_be_an_array", "The operations must be an array."))
        nodes = [self.node(each, (*below, place), level + 1) for place, each in enumerate(operations)]
        return Logical(kind, tuple(each for each in nodes if each is not None))

    def _negated(self, tree: Mapping[str, Any], path: _Path, level: int) -> Node | None:
        self._keys(tree, path, ("type", "operation"))
        below = (*path, "operation")
        if tree.get("operation") is None:
            raise _WrongError(below, missing("The operation that must not hold"))
        node = self.node(tree["operation"], below, level + 1)
        return None if node is None else Logical("not", (node,))

    def _operation(self, kind: str, tree: Mapping[str, Any], path: _Path) -> Node | None:
        if len(tree) != 3 or "value" not in tree:
            self._keys(tree, path, ("type", "field", "value"))
            if "value" not in tree:
                self._problems.add((*path, "value"), missing("The value to compare with (null is one)"))
        field = self._field(tree, path)
        allowed = OPERATIONS[field.kind]
        if kind not in allowed:
            raise _WrongError((*path, "type"), not_among(allowed, f"The type, for {field.name},"))
        if "value" not in tree:
            return None
        return self._compared(kind, field, part(field, tree["field"]), tree["value"], (*path, "value"))

    def _field(self, tree: Mapping[str, Any], path: _Path) -> Field:
        path = (*path, "field")
        name = tree.get("field")
        if name is None:
            raise _WrongError(path, missing("The field to compare"))
        field = field_of(name, self._report) if isinstance(name, str) else None
        if field is None:
            raise _WrongError(path, not_among(filterable_names(self._report), "The field"))
        if field.by_header:
            raise _WrongError(path, _not_filterable(f"{field.name} is chosen by the header X-Customer."))
        if not field.filterable:
            raise _WrongError(path, _not_filterable(f"{field.name} can't be filtered by."))
        if field.kind in BY_DOT:
            within = part(field, name)
            if within is None:
                raise _WrongError(path, _not_filterable(f"{name} is an object: name a part of it, as {name}.<name>."))
            try:
                text(within)
            except MisfitError as error:
                raise _WrongError(path, error.problem) from None
        return field

    def _compared(self, kind: str, field: Field, within: str | None, value: object, path: _Path) -> Node:
        if kind in ("in", "not_in", "between"):
            return Operation(kind, field, within, self._list(kind, field, value, path))
        if value is None:
            if kind not in ("equal", "not_equal"):
                raise _WrongError(path, missing("A value that is not null"))
            return Operation(kind, field, within, None)
        if field.kind in LISTS and kind != "contains":
            message = "An array is equal to null alone, which means that it is empty: use in or contains."
            raise _WrongError(path, Problem("inclusion", message, {"in": [None]}))
        try:
            return Operation(kind, field, within, scalar(kind, field, value))
        except MisfitError as error:
            raise _WrongError(path, error.problem) from None

    def _list(self, kind: str, field: Field, value: object, path: _Path) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _WrongError(path, Problem("must_be_an_array", "The value must be an array."))
        if kind == "between" and len(value) != 2:
            message = "Must be two values, the least and the greatest."
            raise _WrongError(path, Problem("wrong_length", message, {"is": 2}))
        if len(value) > MOST_VALUES:
            message = f"Must have at most {MOST_VALUES} values."
            raise _WrongError(path, Problem("too_long", message, {"maximum": MOST_VALUES}))
        found: list[Any] = []
        for place, each in enumerate(value):
            try:
                found.append(None if each is None and kind != "between" else scalar(kind, field, each))
            except MisfitError as error:
                self._problems.add((*path, place), error.problem)
        return tuple(found)


def _not_filterable(message: str) -> Problem:
    return Problem("not_filterable", message)


def written(node: Node | None) -> Any:
    """A filter as plain values, the same for the same filter, to be told apart from others."""
    if node is None:
        return None
    if isinstance(node, Logical):
        return [node.type, *(written(each) for each in node.nodes)]
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    name = node.field.name if node.part is None else f"{node.field.name}.{node.part}"
    return [node.type, name, [[type(each).__name__, str(each)] for each in values]]
