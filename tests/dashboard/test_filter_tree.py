"""Filters of forms: from and to the JSON of the API, edited by buttons."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from regulars.dashboard import filter_tree
from regulars.dashboard.filter_tree import ConditionGroup, FormCondition, InvalidFilterError
from regulars.query.metadata import report_metadata
from regulars.reports.registry import REPORTS_BY_NAME

FIELDS = filter_tree.filterable_fields(report_metadata(REPORTS_BY_NAME["members"]))


def equal(field: str, value: Any, operation: str = "equal") -> dict[str, Any]:
    """A comparison of the API."""
    return {"type": operation, "field": field, "value": value}


FEMALE, YOUNG = equal("gender", "female"), equal("age", ["15-19", "20-24"], "in")
SPENT = equal("aggregations.spend_12m", Decimal("1000.5"), "greater_than")
TREES: list[Any] = [
    FEMALE,
    SPENT,
    equal("gender", None),
    equal("gender", None, "not_equal"),
    equal("birth_year_group", [1980, 1990], "between"),
    equal("consents.sms_marketing", True),
    equal("properties.language", "nb"),
    equal("properties.level", 3),
    equal("marketing_via_sms", False),
    {"type": "in_segment", "segment": "at-risk"},
    {"type": "and", "operations": [FEMALE, YOUNG]},
    {"type": "or", "operations": [FEMALE, {"type": "and", "operations": [YOUNG, SPENT]}]},
    {"type": "not", "operation": FEMALE},
    {"type": "not", "operation": {"type": "or", "operations": [FEMALE, YOUNG]}},
]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_a_filter_is_the_same_after_a_form(tree: Any) -> None:
    group = filter_tree.adjust(filter_tree.from_json(tree), FIELDS)
    assert filter_tree.to_json(group, FIELDS) == tree
    sent = parse_qs(urlencode(list(filter_tree.to_form(group))), keep_blank_values=True)
    assert filter_tree.to_json(filter_tree.adjust(filter_tree.from_form(sent), FIELDS), FIELDS) == tree


def test_none_of_all_is_a_group_in_a_group() -> None:
    tree = {"type": "not", "operation": {"type": "and", "operations": [FEMALE, YOUNG]}}
    group = filter_tree.from_json(tree)
    assert group.kind == "none"
    assert isinstance(group.parts[0], ConditionGroup)
    assert filter_tree.to_json(group, FIELDS) == tree


def test_no_filter_is_an_empty_group_and_incomplete_conditions_are_left_out() -> None:
    assert filter_tree.to_json(filter_tree.from_json(None), FIELDS) is None
    parts: list[ConditionGroup | FormCondition] = [
        FormCondition(),
        FormCondition("unknown", "", "equal", ["x"]),
        FormCondition("gender", "", "equal", ["  "]),
        FormCondition("birth_year_group", "", "between", ["1980"]),
        FormCondition("consents", "", "equal", ["true"]),
        FormCondition("in_segment", "", "in_segment", []),
        ConditionGroup("any", [FormCondition()]),
    ]
    assert filter_tree.to_json(ConditionGroup("all", parts), FIELDS) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 000,5", Decimal("1000.5")),
        ("1\u00a0000", 1000),
        ("2.50", Decimal("2.50")),
        ("many", "many"),
        ("1e99", "1e99"),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: object) -> None:
    group = ConditionGroup("all", [FormCondition("aggregations.spend_12m", "", "equal", [text])])
    assert filter_tree.to_json(group, FIELDS)["value"] == value


def test_values_of_a_list_are_separated_by_lines_commas_or_semicolons() -> None:
    form = {"f.type": ["all"], "f.0.field": ["gender"], "f.0.op": ["in"], "f.0.value": ["a, b\nc;d"]}
    assert filter_tree.to_json(filter_tree.from_form(form), FIELDS) == equal("gender", ["a", "b", "c", "d"], "in")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "1",
        '{"type": "and"}',
        '{"type": "and", "operations": 1}',
        '{"type": "equal"}',
        '{"type": "not"}',
        '{"type": "not", "operation": ' * 20 + "{}" + "}" * 20,
        "[" * 100_000,
    ],
    ids=range(9),
)
def test_a_filter_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(InvalidFilterError):
        filter_tree.parse_link(text)


def test_buttons_add_and_remove_parts() -> None:
    root = ConditionGroup()
    for action in ("add:", "group:", "add:1", "group:1", "add:1.2"):
        filter_tree.edit(root, action)
    assert [type(each) for each in root.parts] == [FormCondition, ConditionGroup]
    nested = root.parts[1]
    assert isinstance(nested, ConditionGroup)
    assert [type(each) for each in nested.parts] == [FormCondition, FormCondition, ConditionGroup]
    filter_tree.edit(root, "remove:1.2.1")
    filter_tree.edit(root, "remove:0")
    assert [type(each) for each in root.parts] == [ConditionGroup]
    for action in ("remove:", "remove:9", "add:9", "add:0.0", "group:x", "burn:0", ""):
        filter_tree.edit(root, action)
    assert [type(each) for each in root.parts] == [ConditionGroup]


def test_a_form_is_bounded() -> None:
    deep = {f"f.{'.'.join(['0'] * depth)}.type".replace("f..", "f."): ["all"] for depth in range(30)}
    group, levels = filter_tree.from_form(deep), 0
    while group.parts:
        group, levels = group.parts[0], levels + 1  # type: ignore[assignment]
    assert levels == filter_tree.MAX_DEPTH
    wide = {f"f.{number}.field": ["gender"] for number in range(500)}
    assert len(filter_tree.from_form(wide).parts) == filter_tree.MAX_PARTS - 1
    for path in ("0" * 100, "0."):
        filter_tree.edit(ConditionGroup(), f"group:{path}")
    root = ConditionGroup()
    for depth in range(9):
        filter_tree.edit(root, f"group:{'.'.join(['0', *['1'] * (depth - 1)]) if depth else ''}")
    assert filter_tree.from_form(parse_qs(urlencode(list(filter_tree.to_form(root))), keep_blank_values=True)).parts


def test_a_condition_begins_again_when_its_field_changes() -> None:
    group = ConditionGroup("all", [FormCondition("age", "", "greater_than", ["5"]), FormCondition("nothing")])
    filter_tree.adjust(group, FIELDS)
    assert group.parts[0] == FormCondition("age", "", "equal", [])
    assert filter_tree.operations_of(FIELDS["marketing_via_sms"]) == ["equal", "is_empty", "is_not_empty"]
