"""Filters as people build them: groups of conditions, from and to the JSON of the API and the fields of a form.

A group holds if all, any or none of its parts hold. In a form, the root is `f`, its parts `f.0`, `f.1`, ..., so that a filter of
any depth can be built without scripts: buttons named `do` add and remove parts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from decimal import Decimal, InvalidOperation
from typing import Any, Union

import msgspec

from regulars.query.parser.request import decode_value

ALL, ANY, NONE = "all", "any", "none"

IN_SEGMENT = "in_segment"
IS_EMPTY, IS_NOT_EMPTY = "is_empty", "is_not_empty"
"""Operations of the form that compare with null."""

MAX_DEPTH = 6
"""Levels of groups of a form. The API allows ten levels, of which `none` takes two."""

MAX_PARTS = 100
"""Conditions and groups of a form."""

MAX_TEXT_LENGTH = 20_000
"""Characters of the values of one condition."""

_LISTS = ("in", "not_in")
_NUMBERS = ("integer", "number", "money", "percentage", "array of integers")
_OBJECTS = ("object", "object of booleans")
_ACTION = re.compile(r"(add|group|remove):((?:[0-9]{1,3})(?:\.[0-9]{1,3})*)?")


class InvalidFilterError(ValueError):
    """A filter of a link that can't be read."""


@dataclass(slots=True)
class FormCondition:
    """A comparison, possibly incomplete. `key` is the key within an object field, `values` are texts."""

    field: str = ""
    key: str = ""
    operation: str = ""
    values: list[str] = dataclass_field(default_factory=list)

    @property
    def text(self) -> str:
        """The values as one text."""
        return "\n".join(self.values) if len(self.values) > 1 else "".join(self.values)


@dataclass(slots=True)
class ConditionGroup:
    """Parts of which all, any or none must hold."""

    kind: str = ALL
    parts: list[Union["ConditionGroup", FormCondition]] = dataclass_field(default_factory=list)


FieldMetadata = Mapping[str, Any]
"""The metadata of a field, as the API describes it."""


def filterable_fields(metadata: Mapping[str, Any]) -> dict[str, FieldMetadata]:
    """The fields of a report that a filter may name, by name."""
    return {each["name"]: each for each in metadata["fields"] if each.get("operations")}


def operations_of(described: FieldMetadata) -> list[str]:
    """The operations of a field in a form."""
    found: list[str] = list(described["operations"])
    if described.get("values"):
        found = [each for each in found if each not in ("starts_with", "contains")]
    if described["type"] == "boolean":
        found = ["equal"]
    return [*found, IS_EMPTY, IS_NOT_EMPTY]


# From and to JSON ---------------------------------------------------------------------------------------------


def from_json(tree: Any) -> ConditionGroup:
    """The root group of a filter of the API; None is no filter. Raises InvalidFilterError."""
    if tree is None:
        return ConditionGroup()
    found = _node_from_json(tree, 0)
    return found if isinstance(found, ConditionGroup) else ConditionGroup(ALL, [found])


def parse_link(text: str) -> Any:
    """The filter in a link, as decoded JSON; None for an empty text. Raises InvalidFilterError."""
    if not text.strip():
        return None
    try:
        tree = decode_value(text.encode())
    except (msgspec.DecodeError, RecursionError):
        raise InvalidFilterError from None
    from_json(tree)
    return tree


def _node_from_json(tree: Any, depth: int) -> ConditionGroup | FormCondition:
    if not isinstance(tree, dict) or depth > 2 * MAX_DEPTH:
        raise InvalidFilterError
    kind = tree.get("type")
    if kind in ("and", "or"):
        parts = tree.get("operations")
        if not isinstance(parts, list):
            raise InvalidFilterError
        return ConditionGroup(ALL if kind == "and" else ANY, [_node_from_json(each, depth + 1) for each in parts])
    if kind == "not":
        inner = _node_from_json(tree.get("operation"), depth + 1)
        if isinstance(inner, ConditionGroup) and inner.kind == ANY:
            return ConditionGroup(NONE, inner.parts)
        return ConditionGroup(NONE, [inner])
    if kind == IN_SEGMENT:
        return FormCondition(IN_SEGMENT, operation=IN_SEGMENT, values=[str(tree.get("segment", ""))])
    return _condition_from_json(tree)


def _condition_from_json(tree: Mapping[str, Any]) -> FormCondition:
    name, operation, value = tree.get("field"), tree.get("type"), tree.get("value")
    if not isinstance(name, str) or not isinstance(operation, str):
        raise InvalidFilterError
    if value is None and operation in ("equal", "not_equal"):
        return FormCondition(name, "", IS_EMPTY if operation == "equal" else IS_NOT_EMPTY)
    values = value if isinstance(value, list) else [value]
    return FormCondition(name, "", operation, [_as_text(each) for each in values])


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, Decimal) else msgspec.json.encode(value).decode()


def to_json(group: ConditionGroup, fields: Mapping[str, FieldMetadata]) -> Any:
    """The filter for the API; None without complete conditions, because incomplete ones are left out."""
    parts = []
    for each in group.parts:
        found = to_json(each, fields) if isinstance(each, ConditionGroup) else _condition_to_json(each, fields)
        if found is not None:
            parts.append(found)
    if not parts:
        return None
    if group.kind == NONE:
        return {"type": "not", "operation": parts[0] if len(parts) == 1 else {"type": "or", "operations": parts}}
    if len(parts) == 1:
        return parts[0]
    return {"type": "and" if group.kind == ALL else "or", "operations": parts}


def find_field(name: str, fields: Mapping[str, FieldMetadata]) -> tuple[FieldMetadata | None, str]:
    """The field of a name and the key within it, which may be written with a dot."""
    if name in fields:
        return fields[name], ""
    parent, _, key = name.partition(".")
    found = fields.get(parent)
    return (found, key) if found is not None and found["type"] in _OBJECTS else (None, "")


def _condition_to_json(condition: FormCondition, fields: Mapping[str, FieldMetadata]) -> Any:
    operation = condition.operation
    if condition.field == IN_SEGMENT:
        return {"type": IN_SEGMENT, "segment": condition.values[0]} if condition.text.strip() else None
    described, key = find_field(condition.field, fields)
    key = condition.key or key
    if described is None or not operation or (described["type"] in _OBJECTS and not key):
        return None
    name = f"{described['name']}.{key}" if described["type"] in _OBJECTS else described["name"]
    if operation in (IS_EMPTY, IS_NOT_EMPTY):
        return {"type": "equal" if operation == IS_EMPTY else "not_equal", "field": name, "value": None}
    values = [_value(each, described) for each in condition.values if each.strip()]
    if not values or (operation == "between" and len(values) != 2):
        return None
    value = values if operation in (*_LISTS, "between") else values[0]
    return {"type": operation, "field": name, "value": value}


def _value(text: str, described: FieldMetadata) -> Any:
    """A value of the field's type. A text that is none is sent as it is, and the API says what is wrong."""
    text, kind = text.strip(), described["type"]
    if kind in ("boolean", "object of booleans"):
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in _NUMBERS:
        return _number(text)
    if kind == "object":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def _number(text: str) -> Any:
    # A decimal comma, and spaces between thousands, are how people write numbers in Norwegian.
    plain = re.sub(r"[\s\u00a0\u202f]", "", text)
    plain = plain.replace(",", ".") if "." not in plain else plain
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return text
    if not number.is_finite() or abs(number.adjusted()) > 30:
        return text
    return int(number) if number == number.to_integral_value() else number


# From a form --------------------------------------------------------------------------------------------------


def from_form(params: Mapping[str, Sequence[str]]) -> ConditionGroup:
    """The root group of a form. Parts that are not described are left out."""
    described: dict[str, dict[str, Sequence[str]]] = {}
    for name, values in params.items():
        if name.startswith("f."):
            path, _, attribute = name[2:].rpartition(".")
            described.setdefault(path, {})[attribute] = values
    count = 0

    def part(path: str, depth: int) -> ConditionGroup | FormCondition:
        nonlocal count
        count += 1
        own = described.get(path, {})
        kind = _last(own.get("type"))
        if path == "" or kind:
            steps = sorted(_children(path, described))
            nested = [f"{path}.{step}" if path else str(step) for step in steps]
            parts = [part(each, depth + 1) for each in nested if depth < MAX_DEPTH and count < MAX_PARTS]
            return ConditionGroup(kind if kind in (ALL, ANY, NONE) else ALL, parts)
        return _condition_of_form(own)

    root = part("", 0)
    return root if isinstance(root, ConditionGroup) else ConditionGroup()


def _children(path: str, described: Mapping[str, Any]) -> Iterator[int]:
    prefix = f"{path}." if path else ""
    found = {each[len(prefix) :].partition(".")[0] for each in described if each.startswith(prefix) and each != path}
    return (int(each) for each in found if re.fullmatch("[0-9]{1,3}", each))


def _condition_of_form(own: Mapping[str, Sequence[str]]) -> FormCondition:
    operation = _last(own.get("op"))
    values = [each[:MAX_TEXT_LENGTH] for each in own.get("value", ())]
    if operation in _LISTS and len(values) == 1:
        values = [each for each in re.split(r"[\n,;]", values[0]) if each.strip()]
    elif operation != "between" and operation not in _LISTS:
        values = values[-1:]
    return FormCondition(_last(own.get("field")), _last(own.get("key")), operation, [each.strip() for each in values])


def _last(values: Sequence[str] | None) -> str:
    return values[-1] if values else ""


def to_form(group: ConditionGroup, path: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a form that describe a group, as pairs of name and value."""
    prefix = f"f.{path}." if path else "f."
    yield f"{prefix}type", group.kind
    for index, part in enumerate(group.parts):
        own = f"{path}.{index}" if path else str(index)
        if isinstance(part, ConditionGroup):
            yield from to_form(part, own)
            continue
        yield f"f.{own}.field", part.field
        yield f"f.{own}.key", part.key
        yield f"f.{own}.op", part.operation
        yield from ((f"f.{own}.value", each) for each in part.values)


def edit(root: ConditionGroup, action: str) -> None:
    """Adds a condition or a group to a group, or removes a part: `add:0.1`, `group:`, `remove:0`."""
    found = _ACTION.fullmatch(action)
    if found is None:
        return
    path = [int(each) for each in (found[2] or "").split(".") if each]
    verb = found[1]
    parent = _group_at(root, path[:-1] if verb == "remove" else path)
    if parent is None:
        return
    if verb == "remove":
        if path and path[-1] < len(parent.parts):
            del parent.parts[path[-1]]
    elif verb == "add":
        parent.parts.append(FormCondition())
    elif len(path) < MAX_DEPTH - 1:
        parent.parts.append(ConditionGroup(ANY, [FormCondition()]))


def _group_at(root: ConditionGroup, path: Sequence[int]) -> ConditionGroup | None:
    for step in path:
        found = root.parts[step] if step < len(root.parts) else None
        if not isinstance(found, ConditionGroup):
            return None
        root = found
    return root


def adjust(root: ConditionGroup, fields: Mapping[str, FieldMetadata]) -> ConditionGroup:
    """The filter with operations that its fields have; a condition whose field has changed begins again."""
    for each in root.parts:
        if isinstance(each, ConditionGroup):
            adjust(each, fields)
            continue
        if each.field == IN_SEGMENT:
            each.operation = IN_SEGMENT
            continue
        described, key = find_field(each.field, fields)
        if described is None:
            continue
        each.field, each.key = described["name"], each.key or key
        allowed = operations_of(described)
        if each.operation not in allowed and each.operation not in described["operations"]:
            each.operation, each.values = allowed[0], []
    return root
