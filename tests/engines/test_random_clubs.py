"""Hundreds of drawn profiles in one set, with every trap of the specification, in every form that tables come in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from engines.compute_fixtures import compute_facts, compute_on_duckdb, mismatches
from engines.input_tables import entity_table, in_oracle_form, one_row_per_line, to_tables
from engines.random_clubs import by_profile, random_club
from engines.table_formats import TableFormat, as_csv, as_parquet, as_table
from hypothesis_settings import SEED, examples
from oracle import Transaction


@pytest.mark.parametrize("number", range(examples(2)))
def test_all_values_equal_those_of_the_oracle_at_any_instant(number: int) -> None:
    drawn = random_club(SEED + number)
    assert mismatches(compute_facts(compute_on_duckdb, drawn.facts, drawn.entities), drawn.facts, drawn.entities) == {}


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=366)], ids=["now", "a year ago"])
def test_all_profiles_at_one_instant_equal_the_oracle(ago: timedelta) -> None:
    facts, at = random_club(SEED).facts, random_club(SEED).now - ago
    community = facts.community
    values = compute_on_duckdb(**to_tables(facts), as_of=at, timezone=community.timezone, currency=community.currency)
    assert values["profile_id"].to_pylist() == sorted(str(id_) for id_ in facts.profiles)
    entities = [(id_, at) for id_ in facts.profiles]
    assert mismatches(in_oracle_form(values, facts), facts, entities) == {}


# Forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [as_csv, as_parquet])
def test_files_and_tables_give_the_same_values(form: TableFormat, tmp_path: Path) -> None:
    drawn = random_club(SEED)
    files = {name: form(table, tmp_path / name) for name, table in to_tables(drawn.facts).items()}
    assert (
        mismatches(compute_facts(compute_on_duckdb, drawn.facts, drawn.entities, **files), drawn.facts, drawn.entities)
        == {}
    )


@pytest.mark.parametrize("form", [as_table, as_csv])
def test_rows_with_the_same_id_are_items_of_one_transaction(form: TableFormat, tmp_path: Path) -> None:
    drawn = random_club(SEED)
    lines = one_row_per_line(to_tables(drawn.facts)["transactions"])
    assert lines.num_rows > len(drawn.facts.transactions)
    values = compute_facts(compute_on_duckdb, drawn.facts, drawn.entities, transactions=form(lines, tmp_path / "lines"))
    assert mismatches(values, drawn.facts, drawn.entities) == {}


def test_a_transaction_row_may_contain_one_line_item() -> None:
    drawn = random_club(SEED)
    facts = replace(
        drawn.facts,
        transactions={id_: with_one_line(transaction) for id_, transaction in drawn.facts.transactions.items()},
    )
    lines = one_row_per_line(to_tables(facts)["transactions"])
    assert lines.num_rows == len(facts.transactions)
    assert (
        mismatches(compute_facts(compute_on_duckdb, facts, drawn.entities, transactions=lines), facts, drawn.entities)
        == {}
    )


def with_one_line(transaction: Transaction) -> Transaction:
    """A transaction with the first of its items, if it has any that is not void."""
    return replace(transaction, items=tuple(each for each in transaction.items if not each.is_void)[:1])


# Leakage -------------------------------------------------------------------------------------------------


def test_later_facts_do_not_change_values_at_an_earlier_instant() -> None:
    drawn = random_club(SEED)
    latest: dict[UUID | None, datetime] = {}
    for id_, at in drawn.entities:
        latest[id_] = max(at, latest.get(id_, at))
    earlier = {
        id_: transaction
        for id_, transaction in drawn.facts.transactions.items()
        if transaction.profile_id is not None and transaction.transacted_at <= latest[transaction.profile_id]
    }
    assert len(earlier) < len(drawn.facts.transactions)
    before = compute_facts(compute_on_duckdb, replace(drawn.facts, transactions=earlier), drawn.entities)
    assert before == compute_facts(compute_on_duckdb, drawn.facts, drawn.entities)


def test_values_of_a_profile_do_not_depend_on_other_profiles() -> None:
    drawn = random_club(SEED)
    id_, facts = max(by_profile(drawn.facts).items(), key=lambda each: len(each[1].transactions))
    entities = [pair for pair in drawn.entities if pair[0] == id_]
    among = compute_facts(compute_on_duckdb, drawn.facts, drawn.entities)
    assert compute_facts(compute_on_duckdb, facts, entities) == {pair: among[pair] for pair in entities}
    assert entities


def test_duplicate_rows_of_the_entity_table_give_one_row() -> None:
    drawn = random_club(SEED, profiles=5)
    twice = entity_table([(id_, drawn.now) for id_ in drawn.facts.profiles] * 2)
    values = compute_on_duckdb(**to_tables(drawn.facts), as_of=twice, currency=drawn.facts.community.currency)
    assert values.num_rows == 5
