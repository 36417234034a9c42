"""The filter of a request: a tree of operations, checked against the report's fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from regulars.query.errors import ErrorCollector, ParameterError, missing, not_in, unknown_parameter
from regulars.query.parser.filter_values import (
    EQUALITY_OPERATIONS,
    LIST_TYPES,
    MAX_LIST_VALUES,
    OBJECT_TYPES,
    OPERATIONS,
    ORDER_OPERATIONS,
    TEXT_OPERATIONS,
    InvalidValueError,
    Validator,
    check_text,
    validator_for,
)
from regulars.query.query import Comparison, FilterNode, LogicalNode
from regulars.reports.report import Report, ReportField

MAX_DEPTH = 10
MAX_NODES = 100

LOGICAL_TYPES = ("and", "or", "not")
COMPARISON_TYPES = (*EQUALITY_OPERATIONS, *ORDER_OPERATIONS, *TEXT_OPERATIONS)
# Older clients know one operation by a name with a slip in it.
_SPELLINGS = {**{name: name for name in COMPARISON_TYPES}, "greated_than": "greater_than"}

_OF_LISTS = frozenset(("in", "not_in", "between"))

_Path = tuple[str | int, ...]
_Link = tuple[Any, _Path]
"""Where a node stands: the link of the node above it, or None, and the steps from there."""


class _TooManyError(Exception):
    """The tree has more nodes than are allowed."""


class _WrongError(Exception):
    """A node can't be read: what is wrong, and where below it."""

    def __init__(self, problem: ParameterError, *below: str | int) -> None:
        self.problem = problem
        self.below = below
        super().__init__(problem.message)


def parse(tree: object, report: Report, problems: ErrorCollector) -> FilterNode | None:
    """The filter that a tree of JSON means, None for null. What is wrong with it is added to `problems`, in the tree's
    own shape; what is given then is of no use.
    """
    if tree is None:
        return None
    root: _Path = ("filter",)
    try:
        return _Reading(report, problems).node(tree, (None, root), 1)
    except _TooManyError:
        message = f"A filter has at most {MAX_NODES} nodes."
        problems.replace(root, ParameterError("too_many_nodes", message, {"max": MAX_NODES}))
        return None


# Fields ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Comparable:
    """A field that may be filtered by, and how its values are checked, by operation."""

    field: ReportField
    checks: Mapping[str, Validator]
    is_list: bool
    is_dotted: bool


@lru_cache(maxsize=1024)
def _comparables(report: Report) -> Mapping[str, _Comparable]:
    return {
        each.name: _Comparable(
            each,
            {operation: validator_for(operation, each) for operation in OPERATIONS[each.type]},
            each.type in LIST_TYPES,
            each.type in OBJECT_TYPES,
        )
        for each in report.fields
        if each.filterable and not each.is_tenant_field
    }


def object_key_of(field: ReportField, name: str) -> str | None:
    """The name within an object that a dotted name speaks of."""
    return name[len(field.name) + 1 :] if name != field.name else None


def find_field(name: str, report: Report) -> ReportField | None:
    """The field of a name: its own, or of an object's part."""
    found = report.fields_by_name.get(name)
    if found is None and "." in name:
        above = report.fields_by_name.get(name.split(".", 1)[0])
        return above if above is not None and above.type in OBJECT_TYPES else None
    return found


def _unfit(name: object, report: Report) -> ParameterError:
    """Why a filter can't name a field."""
    field = find_field(name, report) if isinstance(name, str) else None
    if field is None:
        names = (f"{each.field.name}{'.<name>' * each.is_dotted}" for each in _comparables(report).values())
        return not_in(names, "The field")
    if field.is_tenant_field:
        return ParameterError("not_filterable", f"{field.name} is chosen by the header X-Customer.")
    if not field.filterable:
        return ParameterError("not_filterable", f"{field.name} can't be filtered by.")
    return ParameterError("not_filterable", f"{name} is an object: name a part of it, as {name}.<name>.")


# Nodes ----------------------------------------------------------------------------------------------------------


def _path(link: _Link) -> _Path:
    above, steps = link
    return steps if above is None else (*_path(above), *steps)


class _Reading:
    """One tree as it is read. Where a node stands is put together only when something is wrong with it."""

    def __init__(self, report: Report, problems: ErrorCollector) -> None:
        self._report = report
        self._comparables = _comparables(report)
        self._problems = problems
        self._nodes = 0
        self._values = 0

    def node(self, tree: object, link: _Link, level: int) -> FilterNode | None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooManyError
        try:
            return self._read(tree, link, level)
        except _WrongError as error:
            self._problems.add((*_path(link), *error.below), error.problem)
            return None

    def _read(self, tree: object, link: _Link, level: int) -> FilterNode | None:
        if not isinstance(tree, dict):
            raise _WrongError(ParameterError("must_be_an_object", "A node of a filter must be an object."))
        if level > MAX_DEPTH:
            message = f"A filter has at most {MAX_DEPTH} levels."
            raise _WrongError(ParameterError("too_deep", message, {"max": MAX_DEPTH}))
        kind = tree.get("type")
        if isinstance(kind, str) and (comparison := _SPELLINGS.get(kind)):
            return self._operation(comparison, tree, link)
        if kind == "and" or kind == "or":
            return self._several(kind, tree, link, level)
        if kind == "not":
            return self._negated(tree, link, level)
        if kind is None:
            raise _WrongError(missing("The type of the node"), "type")
        raise _WrongError(not_in((*LOGICAL_TYPES, *COMPARISON_TYPES), "The type"), "type")

    def _keys(self, tree: Mapping[str, Any], link: _Link, known: Sequence[str]) -> None:
        for name in tree:
            if name not in known:
                self._problems.add((*_path(link), name), unknown_parameter(name, known))

    def _several(self, kind: str, tree: Mapping[str, Any], link: _Link, level: int) -> FilterNode:
        self._keys(tree, link, ("type", "operations"))
        operations = tree.get("operations")
        if operations is None or operations == []:
            raise _WrongError(missing("What to combine, at least one operation,"), "operations")
        if not isinstance(operations, list):
            raise _WrongError(ParameterError("must_be_an_array", "The operations must be an array."), "operations")
        nodes = [self.node(each, (link, ("operations", place)), level + 1) for place, each in enumerate(operations)]
        return LogicalNode(kind, tuple(each for each in nodes if each is not None))

    def _negated(self, tree: Mapping[str, Any], link: _Link, level: int) -> FilterNode | None:
        self._keys(tree, link, ("type", "operation"))
        if tree.get("operation") is None:
            raise _WrongError(missing("The operation that must not hold"), "operation")
        node = self.node(tree["operation"], (link, ("operation",)), level + 1)
        return None if node is None else LogicalNode("not", (node,))

    def _operation(self, kind: str, tree: Mapping[str, Any], link: _Link) -> FilterNode | None:
        if len(tree) != 3 or "value" not in tree:
            self._keys(tree, link, ("type", "field", "value"))
            if "value" not in tree:
                self._problems.add((*_path(link), "value"), missing("The value to compare with (null is one)"))
        comparable, within = self._compared_field(tree.get("field"))
        checked = comparable.checks.get(kind)
        if checked is None:
            raise _WrongError(not_in(comparable.checks, f"The type, for {comparable.field.name},"), "type")
        if "value" not in tree:
            return None
        value = tree["value"]
        if kind in _OF_LISTS:
            return Comparison(kind, comparable.field, within, self._list(kind, checked, value, link))
        if value is None:
            if kind not in ("equal", "not_equal"):
                raise _WrongError(missing("A value that is not null"), "value")
            return Comparison(kind, comparable.field, within, None)
        if comparable.is_list and kind != "contains":
            message = "An array is equal to null alone, which means that it is empty: use in or contains."
            raise _WrongError(ParameterError("inclusion", message, {"in": [None]}), "value")
        try:
            return Comparison(kind, comparable.field, within, checked(value))
        except InvalidValueError as error:
            raise _WrongError(error.detail, "value") from None

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
                    return found, check_text(within)
                except InvalidValueError as error:
                    raise _WrongError(error.detail, "field") from None
        raise _WrongError(_unfit(name, self._report), "field")

    def _list(self, kind: str, checked: Validator, value: object, link: _Link) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _WrongError(ParameterError("must_be_an_array", "The value must be an array."), "value")
        if kind == "between" and len(value) != 2:
            message = "Must be two values, the least and the greatest."
            raise _WrongError(ParameterError("wrong_length", message, {"is": 2}), "value")
        self._values += len(value)
        if self._values > MAX_LIST_VALUES:
            message = f"The lists of a filter must have at most {MAX_LIST_VALUES} values in all."
            raise _WrongError(ParameterError("too_long", message, {"maximum": MAX_LIST_VALUES}), "value")
        has_nulls = kind != "between"
        try:
            return tuple([None if each is None and has_nulls else checked(each) for each in value])
        except InvalidValueError:
            # All that do not fit are told, which only who sends some has to wait for.
            self._misfits(checked, value, has_nulls, link)
            return ()

    def _misfits(self, checked: Validator, value: list[Any], has_nulls: bool, link: _Link) -> None:
        for place, each in enumerate(value):
            try:
                if each is not None or not has_nulls:
                    checked(each)
            except InvalidValueError as error:
                self._problems.add((*_path(link), "value", place), error.detail)


def canonical_form(node: FilterNode | None) -> Any:
    """A filter as plain values, the same for the same filter, to be told apart from others."""
    if node is None:
        return None
    if isinstance(node, LogicalNode):
        return [node.type, *(canonical_form(each) for each in node.nodes)]
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    name = node.field.name if node.object_key is None else f"{node.field.name}.{node.object_key}"
    return [node.type, name, [[type(each).__name__, str(each)] for each in values]]
