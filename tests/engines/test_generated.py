"""Hundreds of drawn profiles in one set, with every trap of the specification, in every form that tables come in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from engines.computing import computed, on_duckdb, wrong
from engines.forms import Form, as_csv, as_parquet, as_table
from engines.generated import alone, club
from engines.given_tables import in_oracle_form, one_line_a_row, pairs, tables
from oracle import Transaction
from randomness import SEED, examples

# One process of the run has them all, so that Spark is started once.
pytestmark = pytest.mark.xdist_group("spark")


@pytest.mark.parametrize("number", range(examples(4)))
def test_every_value_of_every_profile_is_what_the_oracle_says_at_any_instant(number: int) -> None:
    drawn = club(SEED + number)
    assert wrong(computed(on_duckdb, drawn.facts, drawn.asked), drawn.facts, drawn.asked) == {}


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=366)], ids=["now", "a year ago"])
def test_all_profiles_may_be_asked_for_at_one_instant(ago: timedelta) -> None:
    facts, at = club(SEED).facts, club(SEED).now - ago
    community = facts.community
    found = on_duckdb(**tables(facts), as_of=at, timezone=community.timezone, currency=community.currency)
    assert found["profile_id"].to_pylist() == sorted(str(id_) for id_ in facts.profiles)
    asked = [(id_, at) for id_ in facts.profiles]
    assert wrong(in_oracle_form(found, facts), facts, asked) == {}


# Forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [as_csv, as_parquet])
def test_files_say_the_same_as_tables(form: Form, tmp_path: Path) -> None:
    drawn = club(SEED)
    files = {name: form(table, tmp_path / name) for name, table in tables(drawn.facts).items()}
    assert wrong(computed(on_duckdb, drawn.facts, drawn.asked, **files), drawn.facts, drawn.asked) == {}


@pytest.mark.parametrize("form", [as_table, as_csv])
def test_lines_in_rows_of_their_own_are_the_items_of_one_transaction(form: Form, tmp_path: Path) -> None:
    drawn = club(SEED)
    lines = one_line_a_row(tables(drawn.facts)["transactions"])
    assert lines.num_rows > len(drawn.facts.transactions)
    found = computed(on_duckdb, drawn.facts, drawn.asked, transactions=form(lines, tmp_path / "lines"))
    assert wrong(found, drawn.facts, drawn.asked) == {}


def test_a_row_that_is_a_transaction_may_have_one_line_in_it() -> None:
    drawn = club(SEED)
    facts = replace(
        drawn.facts, transactions={id_: with_one_line(told) for id_, told in drawn.facts.transactions.items()}
    )
    lines = one_line_a_row(tables(facts)["transactions"])
    assert lines.num_rows == len(facts.transactions)
    assert wrong(computed(on_duckdb, facts, drawn.asked, transactions=lines), facts, drawn.asked) == {}


def with_one_line(told: Transaction) -> Transaction:
    """A transaction with the first of its items, if it has any that is not void."""
    return replace(told, items=tuple(each for each in told.items if not each.is_void)[:1])


# Leakage -------------------------------------------------------------------------------------------------


def test_what_happens_later_changes_nothing_at_an_earlier_instant() -> None:
    drawn = club(SEED)
    latest: dict[UUID | None, datetime] = {}
    for id_, at in drawn.asked:
        latest[id_] = max(at, latest.get(id_, at))
    known = {
        id_: told
        for id_, told in drawn.facts.transactions.items()
        if told.profile_id is not None and told.transacted_at <= latest[told.profile_id]
    }
    assert len(known) < len(drawn.facts.transactions)
    before = computed(on_duckdb, replace(drawn.facts, transactions=known), drawn.asked)
    assert before == computed(on_duckdb, drawn.facts, drawn.asked)


def test_a_profile_alone_has_the_values_that_it_has_among_others() -> None:
    drawn = club(SEED)
    id_, own = max(alone(drawn.facts).items(), key=lambda each: len(each[1].transactions))
    asked = [pair for pair in drawn.asked if pair[0] == id_]
    among = computed(on_duckdb, drawn.facts, drawn.asked)
    assert computed(on_duckdb, own, asked) == {pair: among[pair] for pair in asked}
    assert asked


def test_a_pair_that_is_asked_for_twice_is_answered_once() -> None:
    drawn = club(SEED, profiles=5)
    twice = pairs([(id_, drawn.now) for id_ in drawn.facts.profiles] * 2)
    found = on_duckdb(**tables(drawn.facts), as_of=twice, currency=drawn.facts.community.currency)
    assert found.num_rows == 5
