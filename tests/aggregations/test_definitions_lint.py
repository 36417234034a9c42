"""Definitions keep to the SQL that means the same on every engine, and every one is known to the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlglot
from sqlglot import exp

from aggregations.case import AS_OF, at
from oracle import Community, Facts, Profile, expected_values
from regulars.aggregations.aggregation import Relation, SharedMeasure, TimeTrigger
from regulars.aggregations.definitions import FIRST_VERSION_ORDER, REGISTRY

FORBIDDEN: dict[str, type[exp.Expression] | tuple[type[exp.Expression], ...]] = {
    "/ on integers": (exp.Div, exp.IntDiv),
    "round": exp.Round,
    "array_agg": exp.ArrayAgg,
    "unnest": (exp.Unnest, exp.Explode),
    "collations": exp.Collate,
    "AT TIME ZONE": exp.AtTimeZone,
    "to_char": (exp.TimeToStr, exp.ToChar),
    "mode()": exp.Mode,
}
FORBIDDEN_NAMES = {"mode", "to_char", "timezone"}


def declared() -> Iterator[tuple[str, str]]:
    """Every piece of SQL that is declared, with the name of what it belongs to."""
    declarations: list[Relation | SharedMeasure | TimeTrigger] = [
        *REGISTRY.relations,
        *REGISTRY.measures,
        *REGISTRY.time_triggers,
    ]
    yield from ((each.name, each.sql) for each in declarations)
    for aggregation in REGISTRY.aggregations:
        for sql in (aggregation.sql, aggregation.default, aggregation.explain_filter):
            if sql:
                yield aggregation.name, sql


def aliases(sql: str) -> int:
    """How often SQL says AS."""
    return sum(token.text.upper() == "AS" for token in sqlglot.tokenize(sql, read="postgres"))


def faults(sql: str) -> list[str]:
    """What the one dialect forbids, as far as it is in a piece of SQL."""
    tree = sqlglot.parse_one(sql, dialect="postgres")
    forbidden = [
        name for name, kinds in FORBIDDEN.items() if tree.find(*(kinds if isinstance(kinds, tuple) else (kinds,)))
    ]
    forbidden += [each.name for each in tree.find_all(exp.Anonymous) if each.name.lower() in FORBIDDEN_NAMES]
    # Written again, every alias has its AS, and a cast by :: is one by CAST.
    if aliases(sql) != aliases(tree.sql(dialect="postgres")):
        forbidden.append("bare alias or ::")
    if any(not join.args.keys() & {"on", "using", "kind", "side"} for join in tree.find_all(exp.Join)):
        forbidden.append("comma join")
    return forbidden


@pytest.mark.parametrize(("name", "sql"), [*declared()])
def test_declared_sql_means_the_same_on_every_engine(name: str, sql: str) -> None:
    assert faults(sql) == []


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("a / b", "/ on integers"),
        ("round(a)", "round"),
        ("array_agg(a ORDER BY b)", "array_agg"),
        ("SELECT x FROM t, unnest(a) AS x", "unnest"),
        ("SELECT unnest(a) AS x", "unnest"),
        ("SELECT x FROM t, u", "comma join"),
        ("mode() WITHIN GROUP (ORDER BY a)", "mode"),
        ("to_char(a, 'YYYY')", "to_char"),
        ("timezone('UTC', a)", "timezone"),
        ('a COLLATE "C"', "collations"),
        ("SELECT a b FROM t", "bare alias or ::"),
        ("SELECT a AS b FROM t u", "bare alias or ::"),
        ("a::bigint", "bare alias or ::"),
        ("a AT TIME ZONE 'UTC'", "AT TIME ZONE"),
    ],
)
def test_the_lint_finds_forbidden_constructs(sql: str, fault: str) -> None:
    assert any(fault in each for each in faults(sql)), faults(sql)


def test_every_value_has_a_description() -> None:
    for each in REGISTRY.aggregations:
        assert each.description.endswith("."), each.name
        assert each.description[0].isupper() or each.description.startswith("likely_"), each.name


def test_the_oracle_computes_exactly_the_declared_values() -> None:
    me = uuid4()
    known = expected_values(Facts(Community(), {}, {}, {me: Profile(me)}, {}), me, at(AS_OF))
    assert set(known) == set(REGISTRY.by_name)
    assert tuple(known)[: len(FIRST_VERSION_ORDER)] == FIRST_VERSION_ORDER


def test_every_value_that_changes_with_time_has_a_trigger() -> None:
    fixed = {"join_hour", "join_day"}
    for each in REGISTRY.stored:
        assert bool(each.time_triggers) == (each.name not in fixed), each.name
