"""Validation of JSON Logic conditions."""

from typing import Any

import pytest

from regulars.core.json_logic import MAX_DEPTH, MAX_NODES, OPERATORS, check_condition


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_is_accepted_with_one_argument_or_several(operator: str) -> None:
    for arguments in ("new", ["new"], [{"var": "new"}, 1]):
        assert check_condition({operator: arguments}) == {operator: arguments}


@pytest.mark.parametrize(
    "value",
    [{"eval": 1}, {"": 1}, {"AND": []}, {}, {"and": [], "or": []}, [{"x": 1}], {"and": [{"or": {"no": 1}}]}],
)
def test_invalid_json_logic_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON Logic"):
        check_condition(value)


def test_a_condition_has_a_maximum_size_and_depth() -> None:
    def nested(levels: int) -> Any:
        value: Any = True
        for _ in range(levels):
            value = {"!": value}
        return value

    assert check_condition(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="deep"):
        check_condition(nested(MAX_DEPTH + 1))
    assert check_condition([0] * (MAX_NODES - 1))
    with pytest.raises(ValueError, match="parts"):
        check_condition([0] * MAX_NODES)
