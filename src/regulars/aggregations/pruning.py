"""Reduces a registry to selected values and their dependencies."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import sqlglot
from sqlglot import exp

from regulars.aggregations.aggregation import Aggregation, AggregationRegistry, Relation, SharedMeasure


def prune(registry: AggregationRegistry, names: Iterable[str]) -> AggregationRegistry:
    """Returns a registry of the named values and the values, measures and relations that they depend on.

    Time triggers are dropped. Raises KeyError for an unknown name.
    """
    selected: dict[str, Aggregation | SharedMeasure] = {}
    declared_by_name: dict[str, Aggregation | SharedMeasure] = {each.name: each for each in registry.measures}
    declared_by_name |= registry.by_name
    pending: list[Aggregation | SharedMeasure] = [registry.by_name[name] for name in names]
    while pending:
        each = pending.pop()
        if each.name not in selected:
            selected[each.name] = each
            pending += [
                declared_by_name[name] for name in _columns(each) & declared_by_name.keys() if each.relation is None
            ]
    relations = _relations(registry, {each.relation for each in selected.values() if each.relation is not None})
    return AggregationRegistry(
        aggregations=tuple(replace(each, time_triggers=()) for each in registry.aggregations if each.name in selected),
        measures=tuple(each for each in registry.measures if each.name in selected),
        relations=tuple(each for each in registry.relations if each.name in relations),
    )


def _relations(registry: AggregationRegistry, over: set[Relation]) -> set[str]:
    """Names of relations and of their dependencies."""
    declared = {each.name: each for each in registry.relations}
    found: set[str] = set()
    pending = {each.name for each in over}
    while pending:
        name = pending.pop()
        found.add(name)
        if name in declared:
            pending |= {table.name for table in _parsed(declared[name].sql).find_all(exp.Table)} - found
    return found


def columns_read(registry: AggregationRegistry) -> frozenset[str]:
    """Names of all columns that a registry reads, and of the declared functions that it calls."""
    found = set()
    for each in (*registry.declarations, *registry.relations):
        tree = _parsed(each.sql or "NULL")
        found |= {node.name for node in tree.find_all(exp.Column, exp.Anonymous)}
    return frozenset(found)


def order_sensitive_calls(registry: AggregationRegistry) -> list[tuple[str, str]]:
    """Calls that return the value of the first or last of several rows, each with a mirrored call.

    The mirrored call uses 2^32 - 1 minus the value. If the two disagree, rows that tie in order have different values.
    """
    found: list[tuple[str, str]] = []
    for each in registry.aggregations:
        for call in _parsed(each.sql or "NULL").find_all(exp.Anonymous):
            if call.name in ("first_of", "last_of"):
                value, when = (argument.sql(dialect="postgres") for argument in call.expressions)
                found.append((f"{call.name}({value}, {when})", f"{call.name}(4294967295 - {value}, {when})"))
    return found


def _columns(of: Aggregation | SharedMeasure) -> set[str]:
    return {column.name for column in _parsed(of.sql).find_all(exp.Column)} if of.sql else set()


@lru_cache(maxsize=4_096)
def _parsed(sql: str) -> exp.Expr:
    """Parses declared SQL. Do not change the result: it is cached."""
    return sqlglot.parse_one(sql, dialect="postgres")
