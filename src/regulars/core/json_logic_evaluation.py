"""Evaluation of JSON Logic conditions with the semantics of JavaScript, in a bounded number of steps.

Numbers are decimals, so that amounts compare exactly. What is no number in JavaScript (NaN) is None here.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

MAX_STEPS = 10_000
"""Maximum number of steps of an evaluation: its operations, and what they read of lists, objects and long texts.

A list that holds another one twice, as `reduce` builds it, is read twice, so steps bound the time of an evaluation.
"""

MAX_LENGTH = 100_000
"""Maximum number of characters or elements of an intermediate result."""

MAX_NESTING = 50
"""How deep the lists and objects may be nested that an operation reads: deeper than those of any payload."""

_CHARACTERS_PER_STEP = 20
_BITS_PER_STEP = 64
_COPIES_PER_STEP = 10
"""How much of a text, of an integer and of a list that is only copied is read in one step."""

# The range of JavaScript's numbers; beyond it a result is no number.
_CONTEXT = Context(prec=28, Emax=308, Emin=-308, traps=[])


class ConditionTooComplexError(Exception):
    """The evaluation of a condition takes too many steps, or an intermediate result is too long."""


def is_true(value: object) -> bool:
    """Whether a value counts as true: everything but null, false, 0, an empty text and an empty list."""
    return bool(value)


def evaluate(condition: object, data: object) -> Any:
    """The value of a condition that `check_condition` accepts, over data. Raises ConditionTooComplexError."""
    return _Evaluation().value(condition, data)


class _Budget:
    """The steps that remain of an evaluation. Its methods raise ConditionTooComplexError."""

    def __init__(self) -> None:
        self._remaining = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Takes steps."""
        self._remaining -= steps
        if self._remaining < 0:
            raise ConditionTooComplexError(f"The condition takes more than {MAX_STEPS} steps.")

    def spend_on_text(self, text: str) -> None:
        """Takes the steps of reading a text."""
        self.spend(len(text) // _CHARACTERS_PER_STEP)

    def spend_on_parts(self, parts: list[Any] | Mapping[Any, Any], depth: int) -> None:
        """Takes the steps of reading the parts of a list or object that is nested this deep."""
        if depth == MAX_NESTING:
            raise ConditionTooComplexError(f"A value within the condition is nested more than {MAX_NESTING} deep.")
        self.spend(len(parts))


class _Evaluation:
    def __init__(self) -> None:
        self._budget = _Budget()

    def value(self, rule: object, data: object) -> Any:
        self._budget.spend(1)
        if isinstance(rule, list):
            return [self.value(each, data) for each in rule]
        if not isinstance(rule, dict):
            return Decimal(str(rule)) if isinstance(rule, float) else rule
        operator, arguments = next(iter(rule.items()))
        parts = arguments if isinstance(arguments, list) else [arguments]
        if operator in _LAZY:
            return _LAZY[operator](self, parts, data)
        values = [self.value(each, data) for each in parts]
        if operator in ("var", "missing", "missing_some"):
            return _OF_DATA[operator](self._budget, values, data)
        return _limited(_EAGER[operator](self._budget, values))

    def branch(self, parts: list[Any], data: object) -> Any:
        for index in range(0, len(parts) - 1, 2):
            if is_true(self.value(parts[index], data)):
                return self.value(parts[index + 1], data)
        return self.value(parts[-1], data) if len(parts) % 2 else None

    def conjunction(self, parts: list[Any], data: object) -> Any:
        found = None
        for part in parts:
            found = self.value(part, data)
            if not is_true(found):
                break
        return found

    def disjunction(self, parts: list[Any], data: object) -> Any:
        found = None
        for part in parts:
            found = self.value(part, data)
            if is_true(found):
                break
        return found

    def _elements(self, parts: list[Any], data: object) -> tuple[list[Any], Any]:
        elements = self.value(parts[0], data) if parts else None
        return elements if isinstance(elements, list) else [], parts[1] if len(parts) > 1 else None

    def filtered(self, parts: list[Any], data: object) -> list[Any]:
        elements, test = self._elements(parts, data)
        return [each for each in elements if is_true(self.value(test, each))]

    def mapped(self, parts: list[Any], data: object) -> list[Any]:
        elements, rule = self._elements(parts, data)
        return [self.value(rule, each) for each in elements]

    def reduced(self, parts: list[Any], data: object) -> Any:
        elements, rule = self._elements(parts, data)
        accumulator = self.value(parts[2], data) if len(parts) > 2 else None
        for each in elements:
            accumulator = self.value(rule, {"current": each, "accumulator": accumulator})
        return accumulator

    def all(self, parts: list[Any], data: object) -> bool:
        elements, _ = self._elements(parts, data)
        return bool(elements) and len(self.filtered(parts, data)) == len(elements)

    def none(self, parts: list[Any], data: object) -> bool:
        return not self.filtered(parts, data)

    def some(self, parts: list[Any], data: object) -> bool:
        return bool(self.filtered(parts, data))


_LAZY: Mapping[str, Callable[[_Evaluation, list[Any], object], Any]] = {
    "if": _Evaluation.branch,
    "?:": _Evaluation.branch,
    "and": _Evaluation.conjunction,
    "or": _Evaluation.disjunction,
    "filter": _Evaluation.filtered,
    "map": _Evaluation.mapped,
    "reduce": _Evaluation.reduced,
    "all": _Evaluation.all,
    "none": _Evaluation.none,
    "some": _Evaluation.some,
}


# Data -------------------------------------------------------------------------------------------------


def _variable(budget: _Budget, values: list[Any], data: object) -> Any:
    path = values[0] if values else None
    default = values[1] if len(values) > 1 else None
    if path is None or path == "":
        return data
    found: Any = data
    for name in _text(budget, path).split("."):
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:6]) < len(found):
            found = found[int(name[:6])]
        else:
            found = None
        if found is None:
            return default
    return Decimal(str(found)) if isinstance(found, float) else found


def _missing(budget: _Budget, values: list[Any], data: object) -> list[Any]:
    names = values[0] if values and isinstance(values[0], list) else values
    budget.spend(len(names))
    return [name for name in names if _variable(budget, [name], data) in (None, "")]


def _missing_some(budget: _Budget, values: list[Any], data: object) -> list[Any]:
    needed = values[0] if values else 1
    names = values[1] if len(values) > 1 and isinstance(values[1], list) else []
    missing = _missing(budget, [names], data)
    least = _number(budget, needed)
    return [] if least is not None and len(names) - len(missing) >= least else missing


_OF_DATA: Mapping[str, Callable[[_Budget, list[Any], object], Any]] = {
    "var": _variable,
    "missing": _missing,
    "missing_some": _missing_some,
}


# Conversions and comparisons -------------------------------------------------------------------------------


def _text(budget: _Budget, value: object, depth: int = 0) -> str:
    if isinstance(value, list):
        budget.spend_on_parts(value, depth)
        text = ",".join([_text(budget, each, depth + 1) for each in value])
    else:
        text = _plain_text(value)
    budget.spend_on_text(text)
    return text


def _plain_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = format(_CONTEXT.plus(value), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return "[object Object]" if isinstance(value, Mapping) else str(value)


def _number(budget: _Budget, value: object) -> Decimal | None:
    """A value as JavaScript's Number() converts it; None if it is no number."""
    if value is None:
        return Decimal(0)
    if isinstance(value, Decimal):
        return _finite(value)
    if isinstance(value, int):
        budget.spend(value.bit_length() // _BITS_PER_STEP)
        return _finite(Decimal(value))
    text = _text(budget, value).strip()
    if not text:
        return Decimal(0)
    with suppress(ArithmeticError):
        return _finite(Decimal(text)) if "_" not in text else None
    return None


def _finite(number: Decimal) -> Decimal | None:
    rounded = _CONTEXT.plus(number)
    return rounded if rounded.is_finite() else None


def _is_same(budget: _Budget, first: Any, second: Any, depth: int = 0) -> bool:
    """Whether two values are equal, with all their parts."""
    if first is second:
        return True
    if isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return False
        budget.spend_on_parts(first, depth)
        return all(_is_same(budget, *pair, depth + 1) for pair in zip(first, second, strict=True))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        if len(first) != len(second):
            return False
        budget.spend_on_parts(first, depth)
        return first.keys() == second.keys() and all(
            _is_same(budget, part, second[name], depth + 1) for name, part in first.items()
        )
    for each in (first, second):
        if isinstance(each, str):
            budget.spend_on_text(each)
        elif isinstance(each, int):
            budget.spend(each.bit_length() // _BITS_PER_STEP)
    return bool(first == second)


def _is_strictly_equal(budget: _Budget, first: object, second: object) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    return _is_same(budget, first, second)


def _is_equal(budget: _Budget, first: object, second: object) -> bool:
    if first is None or second is None:
        return first is second
    if isinstance(first, str) and isinstance(second, str):
        return _is_same(budget, first, second)
    if isinstance(first, Mapping) or isinstance(second, Mapping):
        return _is_same(budget, first, second)
    if isinstance(first, list) and isinstance(second, list):
        return _is_same(budget, first, second)
    if (isinstance(first, list) and isinstance(second, str)) or (isinstance(first, str) and isinstance(second, list)):
        return _text(budget, first) == _text(budget, second)
    left, right = _number(budget, first), _number(budget, second)
    return left is not None and left == right


def _is_ordered(budget: _Budget, values: list[Any], compare: Callable[[Any, Any], bool]) -> bool:
    """Whether each value compares with the next one; two or three values."""
    pairs = list(pairwise(values[:3]))
    return bool(pairs) and all(_compare(budget, first, second, compare) for first, second in pairs)


def _compare(budget: _Budget, first: object, second: object, compare: Callable[[Any, Any], bool]) -> bool:
    if isinstance(first, str) and isinstance(second, str):
        budget.spend_on_text(min(first, second, key=len))
        return compare(first, second)
    left, right = _number(budget, first), _number(budget, second)
    return left is not None and right is not None and compare(left, right)


# Eager operators ------------------------------------------------------------------------------------------


def _limited(value: Any) -> Any:
    if isinstance(value, str | list) and len(value) > MAX_LENGTH:
        raise ConditionTooComplexError(f"A result within the condition is longer than {MAX_LENGTH}.")
    return value


def _first(values: list[Any], default: Any = None) -> Any:
    return values[0] if values else default


def _pair(values: list[Any]) -> tuple[Any, Any]:
    first, second = (*values, None, None)[:2]
    return first, second


def _arithmetic(budget: _Budget, values: list[Any], combine: Callable[[Decimal, Decimal], Decimal]) -> Decimal | None:
    found: Decimal | None = None
    for index, each in enumerate(values):
        number = _number(budget, each)
        if number is None:
            return None
        found = number if index == 0 or found is None else combine(found, number)
        if not found.is_finite():
            return None
    return found


def _subtracted(budget: _Budget, values: list[Any]) -> Decimal | None:
    if len(values) == 1:
        number = _number(budget, values[0])
        return None if number is None else -number
    return _arithmetic(budget, values[:2], _CONTEXT.subtract)


def _remainder(first: Decimal, second: Decimal) -> Decimal:
    return _CONTEXT.remainder(first, second)


def _extreme(budget: _Budget, values: list[Any], choose: Callable[..., Decimal]) -> Decimal | None:
    numbers = [_number(budget, each) for each in values]
    return None if not numbers or None in numbers else choose(numbers)


def _contains(budget: _Budget, values: list[Any]) -> bool:
    member, collection = _pair(values)
    if isinstance(collection, str):
        budget.spend_on_text(collection)
        return _text(budget, member) in collection
    if not isinstance(collection, list):
        return False
    budget.spend(len(collection))
    return any(_is_strictly_equal(budget, member, each) for each in collection)


def _merged(budget: _Budget, values: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for each in values:
        parts = each if isinstance(each, list) else [each]
        budget.spend(len(parts) // _COPIES_PER_STEP)
        merged += parts
    return merged


def _substring(budget: _Budget, values: list[Any]) -> str:
    text = _text(budget, _first(values))
    start, length = (_number(budget, each) for each in (*values[1:3], None, None)[:2])
    begin = int(start or 0)
    begin = max(0, len(text) + begin) if begin < 0 else begin
    rest = text[begin:]
    if len(values) < 3 or length is None:
        return rest
    return rest[: int(length)]


_EAGER: Mapping[str, Callable[[_Budget, list[Any]], Any]] = {
    "!": lambda _, values: not is_true(_first(values)),
    "!!": lambda _, values: is_true(_first(values)),
    "==": lambda budget, values: _is_equal(budget, *_pair(values)),
    "!=": lambda budget, values: not _is_equal(budget, *_pair(values)),
    "===": lambda budget, values: _is_strictly_equal(budget, *_pair(values)),
    "!==": lambda budget, values: not _is_strictly_equal(budget, *_pair(values)),
    "<": lambda budget, values: _is_ordered(budget, values, lambda first, second: first < second),
    "<=": lambda budget, values: _is_ordered(budget, values, lambda first, second: first <= second),
    ">": lambda budget, values: _is_ordered(budget, values[:2], lambda first, second: first > second),
    ">=": lambda budget, values: _is_ordered(budget, values[:2], lambda first, second: first >= second),
    "max": lambda budget, values: _extreme(budget, values, max),
    "min": lambda budget, values: _extreme(budget, values, min),
    "+": lambda budget, values: _arithmetic(budget, values, _CONTEXT.add),
    "-": _subtracted,
    "*": lambda budget, values: _arithmetic(budget, values, _CONTEXT.multiply),
    "/": lambda budget, values: _arithmetic(budget, values[:2], _CONTEXT.divide),
    "%": lambda budget, values: _arithmetic(budget, values[:2], _remainder),
    "in": _contains,
    "not_in": lambda budget, values: not _contains(budget, values),
    "cat": lambda budget, values: "".join(_text(budget, each) for each in values),
    "substr": _substring,
    "merge": _merged,
    "log": lambda _, values: _first(values),
}
