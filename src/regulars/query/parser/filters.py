"""Parses the filter of a request: a tree of operations, validated against the report's fields."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from regulars.query.errors import ErrorCollector, ParameterError, json_type, missing, not_in, unknown_parameter
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
from regulars.query.query import (
    NO_SEGMENTS,
    Comparison,
    FilterNode,
    LogicalNode,
    SegmentFilters,
    SegmentReference,
)
from regulars.reports.report import Report, ReportField

MAX_DEPTH = 10
MAX_NODES = 100
MAX_SEGMENT_NODES = 1_000
"""Nodes of all segments that a filter refers to, together."""

IN_SEGMENT = "in_segment"
LOGICAL_TYPES = ("and", "or", "not")
COMPARISON_TYPES = (*EQUALITY_OPERATIONS, *ORDER_OPERATIONS, *TEXT_OPERATIONS)
# Older clients misspell one operation.
_OPERATION_NAMES = {**{name: name for name in COMPARISON_TYPES}, "greated_than": "greater_than"}

_LIST_OPERATIONS = frozenset(("in", "not_in", "between"))

_Path = tuple[str | int, ...]
_Position = tuple[Any, _Path]
"""The position of a node: the position of its parent, or None, and the path from there."""


class _TooManyError(Exception):
    """Raised where a tree has more nodes than are allowed."""


class _InvalidNodeError(Exception):
    """Raised for a node that cannot be parsed, with the error and its path below the node."""

    def __init__(self, detail: ParameterError, *path: str | int) -> None:
        self.detail = detail
        self.path = path
        super().__init__(detail.message)


def parse(
    tree: object, report: Report, errors: ErrorCollector, segments: SegmentFilters = NO_SEGMENTS
) -> FilterNode | None:
    """Parses a filter from decoded JSON; None for null. Errors are added to `errors` by path, and then the returned
    filter is incomplete. `segments` are those that `in_segment` may name.
    """
    if tree is None:
        return None
    root: _Path = ("filter",)
    try:
        return _FilterParser(report, errors, segments).node(tree, (None, root), 1)
    except _TooManyError:
        message = f"Filter too large: more than {MAX_NODES} nodes."
        errors.replace(root, ParameterError("too_many_nodes", message, {"max": MAX_NODES}))
        return None


# Fields -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _FilterableField:
    """A filterable field and the validators of its values, by operation."""

    field: ReportField
    validators: Mapping[str, Validator]
    is_list: bool
    is_dotted: bool


@lru_cache(maxsize=1024)
def _filterable_fields(report: Report) -> Mapping[str, _FilterableField]:
    return {
        each.name: _FilterableField(
            each,
            {operation: validator_for(operation, each) for operation in OPERATIONS[each.type]},
            each.type in LIST_TYPES,
            each.type in OBJECT_TYPES,
        )
        for each in report.fields
        if each.filterable and not each.is_tenant_field
    }


def object_key_of(field: ReportField, name: str) -> str | None:
    """The key within an object field that a dotted name refers to; None for the field itself."""
    return name[len(field.name) + 1 :] if name != field.name else None


def find_field(name: str, report: Report) -> ReportField | None:
    """The field of a name, which may be dotted where the field is an object."""
    found = report.fields_by_name.get(name)
    if found is None and "." in name:
        parent = report.fields_by_name.get(name.split(".", 1)[0])
        return parent if parent is not None and parent.type in OBJECT_TYPES else None
    return found


def _field_error(name: object, report: Report) -> ParameterError:
    """Why a name cannot be used in a filter."""
    field = find_field(name, report) if isinstance(name, str) else None
    if field is None:
        names = (f"{each.field.name}{'.<name>' * each.is_dotted}" for each in _filterable_fields(report).values())
        return not_in(names, "field", name)
    if field.is_tenant_field:
        message = f"Field {field.name!r} is set by the X-Customer header, not by a filter."
        return ParameterError("not_filterable", message)
    if not field.filterable:
        return ParameterError("not_filterable", f"Field {field.name!r} is not filterable.")
    return ParameterError("not_filterable", f"Field {name!r} is an object. Name one of its keys: {name}.<name>.")


def _operation_error(filterable: _FilterableField, operation_type: str) -> ParameterError:
    allowed = list(filterable.validators)
    message = f"Operation {operation_type!r} is not allowed for field {filterable.field.name!r}. "
    return ParameterError("inclusion", f"{message}Allowed: {', '.join(allowed)}.", {"in": allowed})


# Nodes --------------------------------------------------------------------------------------------------------


def _path(position: _Position) -> _Path:
    parent, steps = position
    return steps if parent is None else (*_path(parent), *steps)


class _FilterParser:
    """Parses one tree. The path of a node is only built where it has an error."""

    def __init__(self, report: Report, errors: ErrorCollector, segments: SegmentFilters) -> None:
        self._report = report
        self._segments = segments
        self._filterable_fields = _filterable_fields(report)
        self._errors = errors
        self._nodes = 0
        self._segment_nodes = 0
        self._values = 0

    def node(self, tree: object, position: _Position, depth: int) -> FilterNode | None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooManyError
        try:
            return self._parse(tree, position, depth)
        except _InvalidNodeError as error:
            self._errors.add((*_path(position), *error.path), error.detail)
            return None

    def _parse(self, tree: object, position: _Position, depth: int) -> FilterNode | None:
        if not isinstance(tree, dict):
            message = f"A filter node must be an object, not {json_type(tree)}."
            raise _InvalidNodeError(ParameterError("must_be_an_object", message))
        if depth > MAX_DEPTH:
            message = f"Filter too deep: more than {MAX_DEPTH} levels."
            raise _InvalidNodeError(ParameterError("too_deep", message, {"max": MAX_DEPTH}))
        operation_type = tree.get("type")
        if isinstance(operation_type, str) and (comparison := _OPERATION_NAMES.get(operation_type)):
            return self._operation(comparison, tree, position)
        if operation_type == "and" or operation_type == "or":
            return self._combination(operation_type, tree, position, depth)
        if operation_type == "not":
            return self._negation(tree, position, depth)
        if operation_type == IN_SEGMENT and self._report.has_members:
            return self._segment(tree, position)
        if "field" in tree:
            self._check_field(tree["field"], position)
        if operation_type is None:
            raise _InvalidNodeError(missing("type"), "type")
        allowed = (*LOGICAL_TYPES, *COMPARISON_TYPES, *((IN_SEGMENT,) if self._report.has_members else ()))
        raise _InvalidNodeError(not_in(allowed, "operation", operation_type), "type")

    def _check_field(self, name: object, position: _Position) -> None:
        """Adds the error of the field of a node whose type is wrong, so that both are reported."""
        try:
            self._compared_field(name)
        except _InvalidNodeError as error:
            self._errors.add((*_path(position), *error.path), error.detail)

    def _reject_unknown_keys(self, tree: Mapping[str, Any], position: _Position, known: Sequence[str]) -> None:
        for name in tree:
            if name not in known:
                self._errors.add((*_path(position), name), unknown_parameter(name, known))

    def _combination(self, operation_type: str, tree: Mapping[str, Any], position: _Position, depth: int) -> FilterNode:
        self._reject_unknown_keys(tree, position, ("type", "operations"))
        operations = tree.get("operations")
        if operations is None or operations == []:
            raise _InvalidNodeError(missing("operations", "Give at least one operation."), "operations")
        if not isinstance(operations, list):
            message = f"Must be an array of operations, not {json_type(operations)}."
            raise _InvalidNodeError(ParameterError("must_be_an_array", message), "operations")
        nodes = [self.node(each, (position, ("operations", index)), depth + 1) for index, each in enumerate(operations)]
        return LogicalNode(operation_type, tuple(each for each in nodes if each is not None))

    def _negation(self, tree: Mapping[str, Any], position: _Position, depth: int) -> FilterNode | None:
        self._reject_unknown_keys(tree, position, ("type", "operation"))
        if tree.get("operation") is None:
            raise _InvalidNodeError(missing("operation"), "operation")
        node = self.node(tree["operation"], (position, ("operation",)), depth + 1)
        return None if node is None else LogicalNode("not", (node,))

    def _segment(self, tree: Mapping[str, Any], position: _Position) -> FilterNode:
        self._reject_unknown_keys(tree, position, ("type", "segment"))
        name = tree.get("segment")
        if name is None:
            raise _InvalidNodeError(missing("segment"), "segment")
        found = self._segments.named(name) if isinstance(name, str) else {}
        if not found:
            raise _InvalidNodeError(not_in(self._segments.names, "segment", name), "segment")
        for each in found.values():
            if each.problem:
                message = f"Segment {name!r} can't be evaluated: {each.problem}"
                raise _InvalidNodeError(ParameterError("invalid_segment", message), "segment")
        filters = {community_id: each.filter for community_id, each in found.items() if each.filter is not None}
        # The largest definition counts, because the statement of a community contains its own only.
        self._segment_nodes += max(map(count_nodes, filters.values()))
        if self._segment_nodes > MAX_SEGMENT_NODES:
            message = f"Segments too large: more than {MAX_SEGMENT_NODES} nodes in all of them."
            raise _InvalidNodeError(ParameterError("too_many_nodes", message, {"max": MAX_SEGMENT_NODES}), "segment")
        self._count_values(max(map(count_values, filters.values())), "segment")
        return SegmentReference(name, filters)

    def _operation(self, operation_type: str, tree: Mapping[str, Any], position: _Position) -> FilterNode | None:
        if len(tree) != 3 or "value" not in tree:
            self._reject_unknown_keys(tree, position, ("type", "field", "value"))
            if "value" not in tree:
                self._errors.add((*_path(position), "value"), missing("value", "Use null to compare with null."))
        filterable, key = self._compared_field(tree.get("field"))
        validate = filterable.validators.get(operation_type)
        if validate is None:
            raise _InvalidNodeError(_operation_error(filterable, operation_type), "type")
        if "value" not in tree:
            return None
        value = tree["value"]
        if operation_type in _LIST_OPERATIONS:
            return Comparison(
                operation_type, filterable.field, key, self._list(operation_type, validate, value, position)
            )
        if value is None:
            if operation_type not in ("equal", "not_equal"):
                raise _InvalidNodeError(
                    ParameterError("presence", f"Operation {operation_type!r} does not accept null."), "value"
                )
            return Comparison(operation_type, filterable.field, key, None)
        if filterable.is_list and operation_type != "contains":
            message = "An array can only be equal to null, which matches empty arrays. Use in or contains for elements."
            raise _InvalidNodeError(ParameterError("inclusion", message, {"in": [None]}), "value")
        try:
            return Comparison(operation_type, filterable.field, key, validate(value))
        except InvalidValueError as error:
            raise _InvalidNodeError(error.detail, "value") from None

    def _compared_field(self, name: object) -> tuple[_FilterableField, str | None]:
        """The field of a name, and the key within it where it is an object."""
        if name is None:
            raise _InvalidNodeError(missing("field"), "field")
        if isinstance(name, str):
            found = self._filterable_fields.get(name)
            if found is not None and not found.is_dotted:
                return found, None
            parent, dot, key = name.partition(".")
            found = self._filterable_fields.get(parent)
            if dot and found is not None and found.is_dotted:
                try:
                    return found, check_text(key)
                except InvalidValueError as error:
                    raise _InvalidNodeError(error.detail, "field") from None
        raise _InvalidNodeError(_field_error(name, self._report), "field")

    def _list(self, operation_type: str, validate: Validator, value: object, position: _Position) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _InvalidNodeError(
                ParameterError("must_be_an_array", f"Must be an array, not {json_type(value)}."), "value"
            )
        if operation_type == "between" and len(value) != 2:
            message = f"Must have two elements, minimum and maximum, not {len(value)}."
            raise _InvalidNodeError(ParameterError("wrong_length", message, {"is": 2}), "value")
        self._count_values(len(value), "value")
        has_nulls = operation_type != "between"
        try:
            return tuple([None if each is None and has_nulls else validate(each) for each in value])
        except InvalidValueError:
            # Every invalid value is reported; only invalid requests pay for the second pass.
            self._report_invalid_values(validate, value, has_nulls, position)
            return ()

    def _count_values(self, number: int, key: str) -> None:
        self._values += number
        if self._values > MAX_LIST_VALUES:
            message = f"Too many values: the arrays of a filter may have at most {MAX_LIST_VALUES} values in total."
            raise _InvalidNodeError(ParameterError("too_long", message, {"maximum": MAX_LIST_VALUES}), key)

    def _report_invalid_values(
        self, validate: Validator, value: list[Any], has_nulls: bool, position: _Position
    ) -> None:
        for index, each in enumerate(value):
            try:
                if each is not None or not has_nulls:
                    validate(each)
            except InvalidValueError as error:
                self._errors.add((*_path(position), "value", index), error.detail)


def count_nodes(node: FilterNode | None) -> int:
    """The number of nodes of a filter, with those of its largest segments."""
    return _total(node, lambda each: 1)


def count_values(node: FilterNode | None) -> int:
    """The number of values in all arrays of a filter, with those of its largest segments."""
    return _total(node, lambda each: len(each.value) if isinstance(each, Comparison) and _has_values(each) else 0)


def _has_values(comparison: Comparison) -> bool:
    return isinstance(comparison.value, tuple)


def _total(node: FilterNode | None, measure: Callable[[FilterNode], int]) -> int:
    if node is None:
        return 0
    if isinstance(node, SegmentReference):
        return measure(node) + max(_total(each, measure) for each in node.filters.values())
    if isinstance(node, LogicalNode):
        return measure(node) + sum(_total(each, measure) for each in node.nodes)
    return measure(node)


def canonical_form(node: FilterNode | None) -> Any:
    """A filter as plain values that are equal for equal filters, for fingerprints. Segments are equal by name."""
    if node is None:
        return None
    if isinstance(node, SegmentReference):
        return [IN_SEGMENT, node.name]
    if isinstance(node, LogicalNode):
        return [node.type, *(canonical_form(each) for each in node.nodes)]
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    name = node.field.name if node.object_key is None else f"{node.field.name}.{node.object_key}"
    return [node.type, name, [[type(each).__name__, str(each)] for each in values]]
