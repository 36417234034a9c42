"""JSON Logic is evaluated with the semantics of JavaScript, exactly for amounts, and within limits."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from regulars.core.json_logic import OPERATORS, check_condition
from regulars.core.json_logic_evaluation import ConditionTooComplexError, evaluate, is_true

DATA = {
    "a": 1,
    "zero": 0,
    "empty": "",
    "name": "Ada",
    "price": Decimal("999.99"),
    "float": 0.1,
    "list": [1, 2, 3],
    "people": [{"age": 17, "name": "Bo"}, {"age": 30, "name": "Ada"}],
    "deep": {"er": {"x": "found"}},
    "none": None,
}

CASES: list[tuple[Any, Any]] = [
    # Literals and variables.
    (True, True),
    ("x", "x"),
    ([1, {"var": "a"}], [1, 1]),
    ({"var": "a"}, 1),
    ({"var": ["a"]}, 1),
    ({"var": "deep.er.x"}, "found"),
    ({"var": "list.1"}, 2),
    ({"var": ["list", 0]}, [1, 2, 3]),
    ({"var": "list.9"}, None),
    ({"var": "list.x"}, None),
    ({"var": "name.x"}, None),
    ({"var": ["unknown", 7]}, 7),
    ({"var": ["none", 7]}, 7),
    ({"var": ""}, DATA),
    ({"var": []}, DATA),
    ({"var": "float"}, Decimal("0.1")),
    # Missing.
    ({"missing": ["a", "unknown"]}, ["unknown"]),
    ({"missing": [["a", "empty"]]}, ["empty"]),
    ({"missing": []}, []),
    ({"missing_some": [1, ["a", "unknown"]]}, []),
    ({"missing_some": [2, ["a", "unknown"]]}, ["unknown"]),
    ({"missing_some": ["x", ["a"]]}, []),
    ({"missing_some": [1]}, []),
    # Branches.
    ({"if": [True, 1, 2]}, 1),
    ({"if": [0, 1, 2]}, 2),
    ({"if": [0, 1, "", 2, 3]}, 3),
    ({"if": [0, 1]}, None),
    ({"if": []}, None),
    ({"?:": [[], 1, 2]}, 2),
    ({"and": [1, "x", 0, 2]}, 0),
    ({"and": [1, 2]}, 2),
    ({"and": []}, None),
    ({"or": [0, "", "x", 1]}, "x"),
    ({"or": [0, False]}, False),
    ({"!": [0]}, True),
    ({"!": "x"}, False),
    ({"!!": ["0"]}, True),
    ({"!": []}, True),
    # Equality.
    ({"==": [1, 1.0]}, True),
    ({"==": ["1", 1]}, True),
    ({"==": ["", 0]}, True),
    ({"==": ["x", 0]}, False),
    ({"==": ["a", "a"]}, True),
    ({"==": [None, None]}, True),
    ({"==": [None, 0]}, False),
    ({"==": [True, 1]}, True),
    ({"==": [[1, 2], "1,2"]}, True),
    ({"==": ["1,2", [1, 2]]}, True),
    ({"==": [[1], [1]]}, True),
    ({"==": [[1], 1]}, True),
    ({"==": [{"var": "deep"}, 1]}, False),
    ({"!=": [1, 2]}, True),
    ({"===": [1, "1"]}, False),
    ({"===": [1, True]}, False),
    ({"===": [True, True]}, True),
    ({"!==": [1, "1"]}, True),
    ({"==": [1]}, False),
    # Order.
    ({"<": [1, 2]}, True),
    ({"<": [1, 2, 3]}, True),
    ({"<": [1, 3, 3]}, False),
    ({"<=": [1, 3, 3]}, True),
    ({">": [2, 1]}, True),
    ({">=": [2, 3]}, False),
    ({"<": ["a", "b"]}, True),
    ({"<": ["10", 9]}, False),
    ({"<": ["x", 9]}, False),
    ({"<": [None, 1]}, True),
    ({"<": [True, 2]}, True),
    ({">": [1]}, False),
    ({"<": [{"var": "price"}, 999.99]}, False),
    ({">=": [{"var": "price"}, 999.99]}, True),
    # Arithmetic.
    ({"+": [1, 2, 3]}, 6),
    ({"+": ["3"]}, 3),
    ({"+": ["x", 1]}, None),
    ({"+": []}, None),
    ({"+": [0.1, 0.2]}, Decimal("0.3")),
    ({"-": [5, 2]}, 3),
    ({"-": [5]}, -5),
    ({"-": ["x"]}, None),
    ({"*": [2, 3, 4]}, 24),
    ({"/": [1, 4]}, Decimal("0.25")),
    ({"/": [1, 0]}, None),
    ({"%": [7, 3]}, 1),
    ({"%": [7, 0]}, None),
    ({"max": [1, 3, 2]}, 3),
    ({"min": ["4", 3]}, 3),
    ({"max": []}, None),
    ({"min": ["x", 1]}, None),
    # Lists and texts.
    ({"in": ["Ring", "Springfield"]}, False),
    ({"in": ["ring", "Springfield"]}, True),
    ({"in": [1, [1, 2]]}, True),
    ({"in": [True, [1, 2]]}, False),
    ({"in": [1, None]}, False),
    ({"not_in": [1, [1, 2]]}, False),
    ({"not_in": ["x", [1, 2]]}, True),
    ({"cat": ["a", 1, True, False, None, 1.5, [1, 2], {"var": "deep"}]}, "a1truefalse1.51,2[object Object]"),
    ({"cat": [{"+": [1, 1]}, {"/": [1, 2]}]}, "20.5"),
    ({"substr": ["jsonlogic", 4]}, "logic"),
    ({"substr": ["jsonlogic", -5]}, "logic"),
    ({"substr": ["jsonlogic", 0, 4]}, "json"),
    ({"substr": ["jsonlogic", 4, -2]}, "log"),
    ({"substr": ["jsonlogic"]}, "jsonlogic"),
    ({"substr": ["jsonlogic", -20, 4]}, "json"),
    ({"merge": [[1], 2, [3, [4]]]}, [1, 2, 3, [4]]),
    ({"log": "x"}, "x"),
    ({"filter": [{"var": "list"}, {">": [{"var": ""}, 1]}]}, [2, 3]),
    ({"filter": [{"var": "unknown"}, True]}, []),
    ({"filter": []}, []),
    ({"map": [{"var": "people"}, {"var": "name"}]}, ["Bo", "Ada"]),
    ({"reduce": [{"var": "list"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}, 6),
    ({"reduce": [{"var": "unknown"}, {"var": "current"}]}, None),
    ({"all": [{"var": "people"}, {">": [{"var": "age"}, 10]}]}, True),
    ({"all": [[], True]}, False),
    ({"none": [{"var": "people"}, {">": [{"var": "age"}, 40]}]}, True),
    ({"some": [{"var": "people"}, {"<": [{"var": "age"}, 18]}]}, True),
]


@pytest.mark.parametrize(("condition", "expected"), CASES, ids=lambda case: str(case)[:60])
def test_a_condition_has_the_value_that_it_has_in_javascript(condition: Any, expected: Any) -> None:
    assert check_condition(condition) == condition
    value = evaluate(condition, DATA)
    assert value == expected
    assert isinstance(value, bool) == isinstance(expected, bool)


def test_every_operator_has_a_case() -> None:
    assert {next(iter(each)) for each, _ in CASES if isinstance(each, dict)} == OPERATORS


@pytest.mark.parametrize(("text", "expected"), [("1e999999", None), ("1_000", None), (" 12 ", 12), ("Infinity", None)])
def test_a_text_is_a_number_as_in_javascript(text: str, expected: Any) -> None:
    assert evaluate({"+": [text, 0]}, {}) == expected


@pytest.mark.parametrize("value", [None, False, 0, Decimal(0), "", []])
def test_values_that_count_as_false(value: object) -> None:
    assert not is_true(value)


@pytest.mark.parametrize(
    "condition",
    [
        {"reduce": [{"var": "list"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "x" * 100]},
        {"reduce": [{"var": "list"}, {"merge": [{"var": "accumulator"}, {"var": "accumulator"}]}, [1, 2, 3]]},
        {"map": [{"var": "list"}, {"map": [{"var": ""}, {"var": ""}]}]},
    ],
)
def test_an_evaluation_is_limited(condition: Any) -> None:
    data = {"list": [[1] * 200] * 200}
    with pytest.raises(ConditionTooComplexError):
        evaluate(condition, data)


_ACCUMULATOR = {"var": "accumulator"}
_SHARED = {"reduce": [[0] * 40, [_ACCUMULATOR, _ACCUMULATOR], "x"]}
"""A list with 2^40 leaves, because each of its lists holds another one twice."""
_DEEP = {"reduce": [[0] * 400, [_ACCUMULATOR], "x"]}
_DEEP_OBJECT = {"reduce": [[0] * 400, {"var": ""}, "x"]}


@pytest.mark.parametrize("value", [_SHARED, _DEEP], ids=["shared", "deep"])
@pytest.mark.parametrize("operator", ["cat", "substr", "+", "-", "max", "var"])
def test_the_text_of_a_list_is_limited(operator: str, value: Any) -> None:
    with pytest.raises(ConditionTooComplexError):
        evaluate(check_condition({operator: [value]}), {})


@pytest.mark.parametrize("value", [_SHARED, _DEEP, _DEEP_OBJECT], ids=["shared", "deep", "deep object"])
@pytest.mark.parametrize("operator", ["==", "!=", "===", "!==", "in", "not_in"])
def test_a_comparison_of_parts_is_limited(operator: str, value: Any) -> None:
    # The two values are equal, but not the same.
    arguments = [value, [value] if operator in ("in", "not_in") else value]
    with pytest.raises(ConditionTooComplexError):
        evaluate(check_condition({operator: arguments}), {})


_TEXT = "x" * 10_000
_DIGITS = 10**4_200


@pytest.mark.parametrize(
    "operation",
    [
        {"cat": [_TEXT]},
        {"substr": [_TEXT, 1]},
        {"in": ["y", _TEXT]},
        {"in": ["y", {"var": "numbers"}]},
        {"merge": [{"var": "numbers"}]},
        {"missing": [{"var": "numbers"}]},
        {"<": [_TEXT, _TEXT]},
        {"==": [_TEXT, _TEXT + "y"]},
        {"+": [_DIGITS]},
        {"cat": [_DIGITS]},
        {"===": [_DIGITS, 1.5]},
    ],
    ids=lambda operation: str(operation)[:30],
)
def test_long_values_take_several_steps(operation: Any) -> None:
    row = {"numbers": list(range(1_000))}
    evaluate(operation, row)
    with pytest.raises(ConditionTooComplexError):
        # Without those steps, there are at most 5 for a row.
        evaluate(check_condition({"map": [{"var": "rows"}, {"if": [operation, 0]}]}), {"rows": [row] * 900})


def test_a_large_object_may_be_compared_with_null() -> None:
    data = {"transaction": {"items": [{"id": number, "name": "x" * 100} for number in range(10_000)]}}
    assert evaluate({"!=": [{"var": "transaction"}, None]}, data) is True
    assert evaluate({"in": [{"var": "transaction"}, [{"var": "transaction"}]]}, data) is True


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x"}]}, True),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [1, 2, 3], False),
        ([1, 2], {"a": 1}, False),
    ],
)
def test_lists_and_objects_are_equal_by_their_parts(first: Any, second: Any, expected: bool) -> None:
    condition = {"==": [{"var": "first"}, {"var": "second"}]}
    assert evaluate(condition, {"first": first, "second": second}) is expected


def test_numbers_do_not_grow_without_limit() -> None:
    squared = {"reduce": [{"var": "list"}, {"*": [{"var": "accumulator"}, {"var": "accumulator"}]}, 10]}
    assert evaluate(squared, {"list": [1] * 1_000}) in (None, 0)


def test_conditions_from_json_compare_exactly() -> None:
    condition = msgspec.json.Decoder(float_hook=Decimal).decode(b'{"==": [{"var": "price"}, 999.99]}')
    assert evaluate(condition, DATA) is True
