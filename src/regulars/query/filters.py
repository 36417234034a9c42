"""The filter of a request: a tree of operations, checked against the report's fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from regulars.query.filter_values import (
    BY_DOT,
    EQUALITY,
    LISTS,
    MOST_VALUES,
    OPERATIONS,
    ORDER,
    TEXT,
    Check,
    MisfitError,
    check,
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
_SPELLINGS = {**{name: name for name in COMPARISONS}, "greated_than": "greater_than"}

_OF_LISTS = frozenset(("in", "not_in", "between"))

_Path = tuple[str | int, ...]
_Link = tuple[Any, _Path]
"""Where a node stands: the link of the node above it, or None, and the steps from there."""


class _TooManyError(Exception):
    """The tree has more nodes than are allowed."""


class _WrongError(Exception):
    """A node can't be read: what is wrong, and where below it."""

    def __init__(self, problem: Problem, *below: str | int) -> None:
        self.problem = problem
        self.below = below
        super().__init__(problem.message)


def parsed(tree: object, report: Report, problems: Problems) -> Node | None:
    """The filter that a tree of JSON means, None for null. What is wrong with it is added to `problems`, in the tree's
    own shape; what is given then is of no use.
    """
    if tree is None:
        return None
    root: _Path = ("filter",)
    try:
        return _Reading(report, problems).node(tree, (None, root), 1)
    except _TooManyError:
        message = f"A filter has at most {MOST_NODES} nodes."
        problems.replaced(root, Problem("too_many_nodes", message, {"max": MOST_NODES}))
        return None


# Fields ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Comparable:
    """A field that may be filtered by, and how its values are checked, by operation."""

    field: Field
    checks: Mapping[str, Check]
    is_list: bool
    is_dotted: bool


@lru_cache(maxsize=1024)
def _comparables(report: Report) -> Mapping[str, _Comparable]:
    return {
        each.name: _Comparable(
            each,
            {operation: check(operation, each) for operation in OPERATIONS[each.kind]},
            each.kind in LISTS,
            each.kind in BY_DOT,
        )
        for each in report.fields
        if each.filterable and not each.by_header
    }


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


def _unfit(name: object, report: Report) -> Problem:
    """Why a filter can't name a field."""
    field = field_of(name, report) if isinstance(name, str) else None
    if field is None:
        names = (f"{each.field.name}{'.<name>' * each.is_dotted}" for each in _comparables(report).values())
        return not_among(names, "The field")
    if field.by_header:
        return Problem("not_filterable", f"{field.name} is chosen by the header X-Customer.")
    if not field.filterable:
        return Problem("not_filterable", f"{field.name} can't be filtered by.")
    return Problem("not_filterable", f"{name} is an object: name a part of it, as {name}.<name>.")


# Nodes ----------------------------------------------------------------------------------------------------------


def _path(link: _Link) -> _Path:
    above, steps = link
    return steps if above is None else (*_path(above), *steps)


class _Reading:
    """One tree as it is read. Where a node stands is put together only when something is wrong with it."""

    def __init__(self, report: Report, problems: Problems) -> None:
        self._report = report
        self._comparables = _comparables(report)
        self._problems = problems
        self._nodes = 0
        self._values = 0

    def node(self, tree: object, link: _Link, level: int) -> Node | None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _TooManyError
        try:
            return self._read(tree, link, level)
        except _WrongError as error:
            self._problems.add((*_path(link), *error.below), error.problem)
            return None

    def _read(self, tree: object, link: _Link, level: int) -> Node | None:
        if not isinstance(tree, dict):
            raise _WrongError(Problem("must_be_an_object", "A node of a filter must be an object."))
        if level > DEEPEST:
            message = f"A filter has at most {DEEPEST} levels."
            raise _WrongError(Problem("too_deep", message, {"max": DEEPEST}))
        kind = tree.get("type")
        if isinstance(kind, str) and (comparison := _SPELLINGS.get(kind)):
            return self._operation(comparison, tree, link)
        if kind == "and" or kind == "or":
            return self._several(kind, tree, link, level)
        if kind == "not":
            return self._negated(tree, link, level)
        if kind is None:
            raise _WrongError(missing("The type of the node"), "type")
        raise _WrongError(not_among((*LOGICAL, *COMPARISONS), "The type"), "type")

    def _keys(self, tree: Mapping[str, Any], link: _Link, known: Sequence[str]) -> None:
        for name in tree:
            if name not in known:
                self._problems.add((*_path(link), name), unknown(name, known))

    def _several(self, kind: str, tree: Mapping[str, Any], link: _Link, level: int) -> Node:
        self._keys(tree, link, ("type", "operations"))
        operations = tree.get("operations")
        if operations is None or operations == []:
            raise _WrongError(missing("What to combine, at least one operation,"), "operations")
        if not isinstance(operations, list):
            raise _WrongError(Problem("must_be_an_array", "The operations must be an array."), "operations")
        nodes = [self.node(each, (link, ("operations", place)), level + 1) for place, each in enumerate(operations)]
        return Logical(kind, tuple(each for each in nodes if each is not None))

    def _negated(self, tree: Mapping[str, Any], link: _Link, level: int) -> Node | None:
        self._keys(tree, link, ("type", "operation"))
        if tree.get("operation") is None:
            raise _WrongError(missing("The operation that must not hold"), "operation")
        node = self.node(tree["operation"], (link, ("operation",)), level + 1)
        return None if node is None else Logical("not", (node,))

    def _operation(self, kind: str, tree: Mapping[str, Any], link: _Link) -> Node | None:
        if len(tree) != 3 or "value" not in tree:
            self._keys(tree, link, ("type", "field", "value"))
            if "value" not in tree:
                self._problems.add((*_path(link), "value"), missing("The value to compare with (null is one)"))
        comparable, within = self._compared_field(tree.get("field"))
        checked = comparable.checks.get(kind)
        if checked is None:
            raise _WrongError(not_among(comparable.checks, f"The type, for {comparable.field.name},"), "type")
        if "value" not in tree:
            return None
        value = tree["value"]
        if kind in _OF_LISTS:
            return Operation(kind, comparable.field, within, self._list(kind, checked, value, link))
        if value is None:
            if kind not in ("equal", "not_equal"):
                raise _WrongError(missing("A value that is not null"), "value")
            return Operation(kind, comparable.field, within, None)
        if comparable.is_list and kind != "contains":
            message = "An array is equal to null alone, which means that it is empty: use in or contains."
            raise _WrongError(Problem("inclusion", message, {"in": [None]}), "value")
        try:
            return Operation(kind, comparable.field, within, checked(value))
        except MisfitError as error:
            raise _WrongError(error.problem, "value") from None

    def _compared_field(self, name: object) -> tuple[_Comparable, str | None]:
        """The field of a name, and the name within it where it is an object."""
        if name is None:
            raise _WrongError(missing("The field to compare"), "field")
        if isinstance(name, str):
            found = self._comparables.get(name)
            if found is not None and not found.is_dotted:
                return found, None
            above, dot, within = name.partition(".")
            found = self._comparables.get(above)
            if dot and found is not None and found.is_dotted:
                try:
                    return found, text(within)
                except MisfitError as error:
                    raise _WrongError(error.problem, "field") from None
        raise _WrongError(_unfit(name, self._report), "field")

    def _list(self, kind: str, checked: Check, value: object, link: _Link) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _WrongError(Problem("must_be_an_array", "The value must be an array."), "value")
        if kind == "between" and len(value) != 2:
            message = "Must be two values, the least and the greatest."
            raise _WrongError(Problem("wrong_length", message, {"is": 2}), "value")
        self._values += len(value)
        if self._values > MOST_VALUES:
            message = f"The lists of a filter must have at most {MOST_VALUES} values in all."
            raise _WrongError(Problem("too_long", message, {"maximum": MOST_VALUES}), "value")
        has_nulls = kind != "between"
        try:
            return tuple([None if each is None and has_nulls else checked(each) for each in value])
        except MisfitError:
            # All that do not fit are told, which only who sends some has to wait for.
            self._misfits(checked, value, has_nulls, link)
            return ()

    def _misfits(self, checked: Check, value: list[Any], has_nulls: bool, link: _Link) -> None:
        for place, each in enumerate(value):
            try:
                if each is not None or not has_nulls:
                    checked(each)
            except MisfitError as error:
                self._problems.add((*_path(link), "value", place), error.problem)


def written(node: Node | None) -> Any:
    """A filter as plain values, the same for the same filter, to be told apart from others."""
    if node is None:
        return None
    if isinstance(node, Logical):
        return [node.type, *(written(each) for each in node.nodes)]
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    name = node.field.name if node.part is None else f"{node.field.name}.{node.part}"
    return [node.type, name, [[type(each).__name__, str(each)] for each in values]]
