"""The registry of fact types."""

from __future__ import annotations

import pytest

from regulars.facts.fact_type import FactType, FactTypeRegistry
from regulars.facts.registry import FACT_TYPES
from regulars.storage.personal_data import TABLES

DELETED_BY_FACT_TYPES = {
    table.name: table.deleted_by.removeprefix("facts.")
    for table in TABLES.values()
    if table.deleted_by.startswith("facts.")
}


def test_names_are_unique() -> None:
    registry = FactTypeRegistry([FactType(name="coffees", description="Coffees.")])
    with pytest.raises(ValueError, match="coffees is registered twice"):
        registry.register(FactType(name="coffees", description="Other coffees."))


def test_a_registration_ends_with_its_block() -> None:
    coffees = FactType(name="coffees", description="Coffees.")
    with FACT_TYPES.registered(coffees):
        assert FACT_TYPES["coffees"] is coffees
        assert list(FACT_TYPES)[-1] is coffees
    assert "coffees" not in {each.name for each in FACT_TYPES}


@pytest.mark.parametrize(("table", "name"), DELETED_BY_FACT_TYPES.items())
def test_tables_that_fact_types_erase_belong_to_one_that_does(table: str, name: str) -> None:
    fact_type = FACT_TYPES[name]
    assert fact_type.erase is not None or fact_type.record is not None, table


def test_what_can_be_written_has_a_schema_and_merges_follow_erasures() -> None:
    for each in FACT_TYPES:
        assert each.write is None or each.schema is not None, each.name
        assert each.reassign is None or each.erase is not None, each.name
