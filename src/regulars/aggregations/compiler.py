"""Compiles declarations to one statement that computes the values of many profiles, each at its own instant."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import sqlglot
from sqlglot import exp

from regulars.aggregations.aggregation import Aggregation, AggregationRegistry
from regulars.aggregations.engines import SqlEngine


@lru_cache(maxsize=4_096)
def translate(sql: str, engine: SqlEngine) -> str:
    """Translates declared SQL to the dialect of an engine and expands its macros."""
    tree = sqlglot.parse_one(sql, dialect="postgres")

    def expand_macro(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Anonymous) and (macro := engine.macros.get(node.name.lower())):
            arguments = [expand(each) for each in node.expressions]
            text = macro(*arguments)
            return exp.Paren(this=sqlglot.parse_one(text, dialect=engine.dialect))
        return node

    def expand(node: exp.Expression) -> str:
        return node.transform(expand_macro).sql(dialect=engine.dialect)

    return tree.transform(expand_macro).sql(
        dialect=engine.dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE
    )


@lru_cache(maxsize=4_096)
def _columns_used(sql: str) -> frozenset[str]:
    return frozenset(column.name for column in sqlglot.parse_one(sql, dialect="postgres").find_all(exp.Column))


def dependency_layers(aggregations: Iterable[Aggregation]) -> list[list[Aggregation]]:
    """Expressions over other values, in layers that can be computed one after the other.

    Raises ValueError for circular dependencies.
    """
    pending = [each for each in aggregations if each.relation is None and each.sql]
    names = {each.name for each in pending}
    ordered: list[list[Aggregation]] = []
    while pending:
        ready = [each for each in pending if not (_columns_used(each.sql) & names) - {each.name}]
        if not ready:
            raise ValueError(f"circular dependency of values: {sorted(names)}")
        ordered.append(ready)
        names -= {each.name for each in ready}
        pending = [each for each in pending if each not in ready]
    return ordered


def _indented(sql: str, by: int = 4) -> str:
    return "\n".join(" " * by + line if line else line for line in sql.splitlines())


def _group_by_profile(registry: AggregationRegistry, engine: SqlEngine) -> list[tuple[str, str]]:
    """One CTE (name, sql) for each aggregated relation, grouped by profile."""
    over: dict[str, list[str]] = {}
    for each in registry.declarations:
        if each.relation is not None:
            over.setdefault(each.relation.name, []).append(f"{translate(each.sql, engine)} AS {each.name}")
    return [
        (
            f"by_{relation}",
            "SELECT k,\n" + ",\n".join(_indented(column, 7) for column in columns) + f"\nFROM {relation}\nGROUP BY k",
        )
        for relation, columns in over.items()
    ]


def _join_measures(registry: AggregationRegistry, engine: SqlEngine, grouped: Sequence[str]) -> str:
    columns = []
    for each in registry.declarations:
        if each.relation is None:
            continue
        column = f"by_{each.relation.name}.{each.name}"
        empty = getattr(each, "default", "")
        columns.append(f"coalesce({column}, {translate(empty, engine)}) AS {each.name}" if empty else column)
    joins = "\n".join(f"LEFT JOIN {name} ON {name}.k = member.k" for name in grouped)
    selected = ",\n".join(["SELECT member.*", *(_indented(each, 7) for each in columns)])
    return f"{selected}\nFROM member\n{joins}"


def shared_input_ctes(engine: SqlEngine) -> list[tuple[str, str]]:
    """The inputs shared by engines over files, as CTEs (name, sql)."""
    if not engine.shared_input_ctes:
        return []
    return [(name, translate(sql, engine)) for name, sql in _declared_ctes(engine.shared_input_ctes)]


@lru_cache(maxsize=16)
def _declared_ctes(sql: str) -> tuple[tuple[str, str], ...]:
    """The CTEs of a statement, as (name, sql)."""
    tree = sqlglot.parse_one(sql, dialect="postgres")
    return tuple((each.alias, each.this.sql(dialect="postgres")) for each in tree.args["with_"].expressions)


def build_relations(registry: AggregationRegistry, engine: SqlEngine) -> list[tuple[str, str]]:
    """All relations (name, sql) up to the values, each over the ones before it.

    The last one has a row for each profile with all measures and values as columns.
    """
    registry = engine.adapt(registry)
    found = [*shared_input_ctes(engine), *((each.name, translate(each.sql, engine)) for each in registry.relations)]
    grouped = _group_by_profile(registry, engine)
    found += grouped
    last = "measured"
    found.append((last, _join_measures(registry, engine, [name for name, _ in grouped])))
    for number, layer in enumerate(dependency_layers(registry.aggregations), 1):
        columns = ",\n".join(_indented(f"{translate(each.sql, engine)} AS {each.name}", 7) for each in layer)
        found.append((f"layer_{number}", f"SELECT {last}.*,\n{columns}\nFROM {last}"))
        last = f"layer_{number}"
    return found


def build_ctes(registry: AggregationRegistry, engine: SqlEngine) -> tuple[str, str]:
    """The same relations as common table expressions, and the name of the last one."""
    found = build_relations(registry, engine)
    body = ",\n".join(f"{name} AS (\n{_indented(sql)}\n)" for name, sql in found)
    return f"{engine.input_ctes.strip()},\n{body}" if engine.input_ctes else body, found[-1][0]


def _output_expression(of: Aggregation, engine: SqlEngine) -> str:
    if finish := engine.output_expressions.get(of.type):
        return finish(of.name)
    column = engine.column_types.get(of.type.column_type)
    if column is None:
        column = exp.DataType.build(of.type.column_type, dialect="postgres").sql(dialect=engine.dialect)
    return f"CAST({of.name} AS {column})"


def select_values(registry: AggregationRegistry, engine: SqlEngine, last: str) -> str:
    """SELECT from the last relation: `k`, `profile_id`, `calculated_at`, `next_change_at` (if the registry has time
    triggers), `values_version` and all stored values.
    """
    changes = ",\n".join(
        _indented(each.name if each.relation is not None else translate(each.sql, engine), 11)
        for each in registry.time_triggers
    )
    columns = [
        "SELECT k, profile_id, as_of AS calculated_at",
        *([f"       least(\n{changes}\n       ) AS next_change_at"] if changes else []),
        "       values_version",
        *(f"       {_output_expression(each, engine)} AS {each.name}" for each in registry.stored),
    ]
    return ",\n".join(columns) + f"\nFROM {last}"


def compile_statement(registry: AggregationRegistry, engine: SqlEngine) -> str:
    """The statement that returns the columns of `select_values` for each requested profile and instant."""
    body, last = build_ctes(registry, engine)
    return f"WITH {body}\n{select_values(registry, engine, last)}"
