"""What chosen values are made of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from regulars.aggregations.aggregation import Aggregation, Relation, SharedMeasure
from regulars.aggregations.compiler import compile_statement
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import ENGINES
from regulars.aggregations.pruning import columns_read, order_sensitive_calls, prune


def made_of(*names: str) -> tuple[set[str], set[str], set[str]]:
    """The names of the values, measures and relations that values are made of."""
    pruned = prune(REGISTRY, names)
    return _names(pruned.aggregations), _names(pruned.measures), _names(pruned.relations)


def _names(declared: Sequence[Aggregation | SharedMeasure | Relation]) -> set[str]:
    return {each.name for each in declared}


def test_an_aggregate_needs_only_its_relation() -> None:
    assert made_of("spend_all") == ({"spend_all"}, set(), set())
    assert made_of("total_shop_days") == ({"total_shop_days"}, set(), {"days"})


def test_an_expression_needs_its_dependencies_transitively() -> None:
    assert made_of("spend_atv_12m") == ({"spend_atv_12m", "spend_12m"}, {"sales_12m"}, {"last_12m"})
    values, _, relations = made_of("at_risk_date")
    assert values == {"at_risk_date", "average_shop_days", "latest_shop_date", "first_shop_date", "total_shop_days"}
    assert relations == {"days"}


def test_a_relation_needs_the_relations_that_it_reads() -> None:
    assert made_of("likely_region")[2] == {"places", "votes", "countries", "states"}


def test_the_error_of_an_unknown_value_names_it() -> None:
    with pytest.raises(KeyError, match="spend_13m"):
        prune(REGISTRY, ["spend_13m"])


def test_a_pruned_registry_has_no_time_triggers() -> None:
    few = prune(REGISTRY, ["spend_12m"])
    for engine in ENGINES:
        assert "next_change_at" not in compile_statement(few, engine)
        assert "spend_all" not in compile_statement(few, engine)


def test_all_values_need_everything_that_is_declared() -> None:
    pruned = prune(REGISTRY, REGISTRY.by_name)
    assert [each.name for each in pruned.aggregations] == [each.name for each in REGISTRY.aggregations]
    assert (pruned.measures, pruned.relations) == (REGISTRY.measures, REGISTRY.relations)


def test_columns_and_functions_are_read_by_name() -> None:
    assert columns_read(prune(REGISTRY, ["store_join"])) >= {"location_id", "is_sale", "first_of"}
    assert "discount" not in columns_read(prune(REGISTRY, ["spend_all", "shop_count"]))


def test_order_sensitive_calls_are_found() -> None:
    assert order_sensitive_calls(prune(REGISTRY, ["spend_all", "shop_days"])) == []
    ((call, mirrored),) = order_sensitive_calls(prune(REGISTRY, ["store_join"]))
    assert call.startswith("first_of(location_id, ")
    assert mirrored.startswith("first_of(4294967295 - location_id, ")
