"""From declarations to SQL: what each becomes, in which order, and what can't be declared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from regulars.aggregations import compiled_values
from regulars.aggregations.aggregation import (
    Aggregation,
    AggregationRegistry,
    Relation,
    SharedMeasure,
    TimeTrigger,
)
from regulars.aggregations.compiler import compile_statement, dependency_layers, translate
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import ENGINES, POSTGRESQL, SqlEngine
from regulars.core.field_type import FieldType

GOLDEN = Path(__file__).parent / "golden"
RENEW = "REGULARS_RENEW_GOLDEN=1 python -m pytest tests/aggregations/test_compiler.py"


def declared(name: str, sql: str) -> Aggregation:
    """A declaration over other values."""
    return Aggregation(name, FieldType.INTEGER, description="", sql=sql)


def golden(engine: SqlEngine) -> str:
    """What every declaration becomes on an engine, and the statement that they make together.

    That of PostgreSQL is stored in the package, which another test compares.
    """
    parts = [f"-- Written by a test: {RENEW}\n"]
    kinds: dict[str, Sequence[Relation | SharedMeasure | TimeTrigger | Aggregation]] = {
        "relation": REGISTRY.relations,
        "measure": REGISTRY.measures,
        "change": REGISTRY.time_triggers,
        "aggregation": [each for each in REGISTRY.aggregations if each.sql],
    }
    for kind, declarations in kinds.items():
        parts += [f"-- {kind} {each.name}\n{translate(each.sql, engine)};\n" for each in declarations]
    if engine is not POSTGRESQL:
        parts.append(f"-- all of them\n{compile_statement(REGISTRY, engine)};\n")
    return "\n".join(parts)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_sql_of_every_definition_is_the_reviewed_one(engine: SqlEngine) -> None:
    now, looked_at = golden(engine), GOLDEN / f"{engine.name}.sql"
    if os.environ.get("REGULARS_RENEW_GOLDEN"):
        looked_at.write_text(now)
    assert now == looked_at.read_text(), (
        f"The SQL has changed. If that was meant, look at the difference after: {RENEW}"
    )


def test_the_statement_of_postgresql_is_stored_as_it_is_compiled() -> None:
    file = Path(str(compiled_values.FILE))
    if os.environ.get("REGULARS_RENEW_GOLDEN"):
        file.write_text(compiled_values.stored_text())
    assert file.read_text() == compiled_values.stored_text(), f"Write it again: {RENEW}"
    assert compiled_values.values_statement() == compile_statement(REGISTRY, POSTGRESQL)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("REGISTRY", replace(REGISTRY, measures=REGISTRY.measures[:-1])),
        ("POSTGRESQL", replace(POSTGRESQL, input_ctes="WITH facts AS (SELECT 1)")),
        ("POSTGRESQL", replace(POSTGRESQL, macros={**POSTGRESQL.macros, "whole": lambda a, b: f"div({a}, {b})"})),
        ("POSTGRESQL", replace(POSTGRESQL, output_expressions={FieldType.STRING: lambda value: f"upper({value})"})),
    ],
    ids=["declaration", "inputs", "macro", "output"],
)
def test_a_stored_statement_of_other_declarations_is_not_used(
    attribute: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_values, attribute, value)
    assert compiled_values._without_compiling(compiled_values.FILE.read_text()) == ""


def test_without_a_usable_file_the_statement_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outdated = tmp_path / "values.sql"
    outdated.write_text("-- of another commit\nSELECT 1")
    monkeypatch.setattr(compiled_values, "FILE", outdated)
    assert compiled_values.values_statement.__wrapped__() == compile_statement(REGISTRY, POSTGRESQL)


def test_values_are_computed_after_their_dependencies() -> None:
    chain = [declared("c", "b + 1"), declared("a", "shop_count"), declared("b", "a + a"), declared("d", "1")]
    assert [[each.name for each in layer] for layer in dependency_layers(chain)] == [["a", "d"], ["b"], ["c"]]


def test_values_over_relations_need_no_layer() -> None:
    over = next(each for each in REGISTRY.aggregations if each.relation is not None)
    assert dependency_layers([over, *REGISTRY.by_name.values()])[0] != []
    assert dependency_layers([over]) == []


def test_circular_dependencies_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"circular dependency of values: \['a', 'b'\]"):
        dependency_layers([declared("a", "b"), declared("b", "a"), declared("c", "1")])


def test_names_are_unique() -> None:
    again = REGISTRY.by_name["spend_all"]
    with pytest.raises(ValueError, match=r"declared more than once: \['spend_all'\]"):
        replace(REGISTRY, aggregations=(*REGISTRY.aggregations, again))


def test_a_measure_may_not_have_the_name_of_a_value() -> None:
    measure = replace(REGISTRY.measures[0], name="spend_all")
    with pytest.raises(ValueError, match="declared more than once"):
        AggregationRegistry(REGISTRY.aggregations, (measure,), ())


def test_declared_functions_may_be_nested() -> None:
    assert (
        translate("leaves(leaves(a, 3), 6)", POSTGRESQL)
        == "(\n  (\n    a + INTERVAL '3 MONTHS'\n  ) + INTERVAL '6 MONTHS'\n)"
    )


def test_values_without_a_column_are_not_in_the_statement() -> None:
    statement = compile_statement(REGISTRY, POSTGRESQL)
    assert "total_referred" not in statement
    assert all(f"AS {each.name}" in statement for each in REGISTRY.stored)
