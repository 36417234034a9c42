"""Some of the values: what they are made of, and nothing else."""

from collections.abc import Iterable
from dataclasses import replace

import sqlglot
from sqlglot import exp

from regulars.aggregations.aggregation import Aggregation, AggregationRegistry, Relation, SharedMeasure


def prune(registry: AggregationRegistry, names: Iterable[str]) -> AggregationRegistry:
    """A registry of these values and of the values, measures and relations that they are made of.

    It knows nothing of when values change. Raises KeyError for a name that no value has.
    """
    kept: dict[str, Aggregation | SharedMeasure] = {}
    known: dict[str, Aggregation | SharedMeasure] = {each.name: each for each in registry.measures}
    known |= registry.by_name
    waiting: list[Aggregation | SharedMeasure] = [registry.by_name[name] for name in names]
    while waiting:
        each = waiting.pop()
        if each.name not in kept:
            kept[each.name] = each
            waiting += [known[name] for name in _columns(each) & known.keys() if each.relation is None]
    relations = _relations(registry, {each.relation for each in kept.values() if each.relation is not None})
    return AggregationRegistry(
        aggregations=tuple(replace(each, time_triggers=()) for each in registry.aggregations if each.name in kept),
        measures=tuple(each for each in registry.measures if each.name in kept),
        relations=tuple(each for each in registry.relations if each.name in relations),
    )


def _relations(registry: AggregationRegistry, over: set[Relation]) -> set[str]:
    """The names of relations and of those that they are made of."""
    declared = {each.name: each for each in registry.relations}
    found: set[str] = set()
    waiting = {each.name for each in over}
    while waiting:
        name = waiting.pop()
        found.add(name)
        if name in declared:
            waiting |= {table.name for table in _parsed(declared[name].sql).find_all(exp.Table)} - found
    return found


def columns_read(registry: AggregationRegistry) -> frozenset[str]:
    """The names of all columns that anything in a registry reads, and of the declared functions that it calls."""
    found = set()
    for each in (*registry.declarations, *registry.relations):
        tree = _parsed(each.sql or "NULL")
        found |= {node.name for node in tree.find_all(exp.Column, exp.Anonymous)}
    return frozenset(found)


def order_sensitive_calls(registry: AggregationRegistry) -> list[tuple[str, str]]:
    """What takes the value of the first or the last of several rows; each also with the values in reverse, from
    2^32 - 1 down: where the two disagree, rows that are alike in order have different values.
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


def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect="postgres")
