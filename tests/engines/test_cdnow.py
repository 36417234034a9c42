"""The real purchases of CDNOW: the same file from every engine, the published totals, and what the oracle says."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from aggregations.store_facts import differences
from engines.compute_fixtures import Compute, compute_on_duckdb, compute_on_spark
from engines.input_tables import Tables
from hypothesis_settings import SEED, examples
from oracle import Community, Facts, Item, Profile, Transaction, expected_values
from regulars.demo import cdnow

AS_OF = datetime(1998, 7, 1, tzinfo=UTC)
SAMPLE = examples(50)
"""How many customers are compared with the oracle."""

OPTIONS: dict[str, Any] = {"as_of": AS_OF, "timezone": cdnow.TIMEZONE, "currency": cdnow.CURRENCY}


@cache
def purchases(last_digit: str = "") -> Tables:
    """The purchases, each with its one line in the same row, and the customers whose number ends with a digit."""
    rows = [{**row, **row["items"][0]} for row in cdnow.transactions() if row["profile"].endswith(last_digit)]
    transactions = pa.Table.from_pylist(rows).drop_columns("items")
    customers = [row for row in cdnow.profiles() if row["external_id"].endswith(last_digit)]
    return {"transactions": transactions, "profiles": pa.Table.from_pylist(customers)}


@pytest.fixture(scope="module")
def on_one_machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The values as DuckDB writes them."""
    return written(compute_on_duckdb, tmp_path_factory.mktemp("duckdb"))


def written(engine: Compute, folder: Path, last_digit: str = "") -> Path:
    """The values in a file of CSV."""
    folder.mkdir(exist_ok=True)
    engine(**purchases(last_digit), **OPTIONS, output=folder / "values.csv")
    return folder / "values.csv"


@pytest.mark.long
@pytest.mark.parametrize("last_digit", ["7", ""], ids=["a tenth", "all"])
def test_spark_and_duckdb_write_identical_files(spark: Any, tmp_path: Path, last_digit: str) -> None:
    by_duckdb, by_spark = (
        written(engine, tmp_path / name, last_digit).read_bytes()
        for name, engine in (("duckdb", compute_on_duckdb), ("spark", compute_on_spark(spark)))
    )
    assert by_duckdb == by_spark


def test_totals_equal_the_published_ones(on_one_machine: Path) -> None:
    sums = f"""
        SELECT count(*), sum(CAST(spend_all AS DECIMAL(18, 2))), sum(CAST(shop_count AS INT)), count(DISTINCT channel)
        FROM read_csv('{on_one_machine}', all_varchar = true)
    """
    # 80 of the 69,659 purchases cost nothing, and are no sales.
    assert duckdb.execute(sums).fetchall() == [(23_570, Decimal("2500315.63"), 69_579, 1)]


def test_values_of_customers_equal_those_of_the_oracle() -> None:
    values = {row["profile_id"]: row for row in compute_on_duckdb(**purchases(), **OPTIONS).to_pylist()}
    some = Random(SEED).sample(sorted(values), SAMPLE)
    facts = facts_of(set(some))
    differing = {}
    for customer, customer_facts in facts.items():
        expected = expected_values(customer_facts, UUID(int=int(customer)), AS_OF) | {"profile_id": customer}
        differing[customer] = differences(values[customer], expected)
    assert {customer: each for customer, each in differing.items() if each} == {}
    assert len(facts) == SAMPLE


def facts_of(customers: set[str]) -> dict[str, Facts]:
    """The oracle's facts of some customers, those of each apart; a bare date is its local midnight."""
    zone = ZoneInfo(cdnow.TIMEZONE)
    transactions: dict[str, dict[int, Transaction]] = {customer: {} for customer in customers}
    for number, row in enumerate(cdnow.transactions()):
        if row["profile"] in customers:
            (disc,) = row["items"]
            item = Item(quantity=Decimal(disc["quantity"]), price_current=disc["price_current"])
            transactions[row["profile"]][number] = Transaction(
                number,
                datetime.combine(row["transacted_at"], time(), zone),
                row["total"],
                UUID(int=int(row["profile"])),
                row["external_id"],
                timezone=row["timezone"],
                systems=tuple(row["systems"]),
                items=(item,),
            )
    community = Community(cdnow.TIMEZONE, cdnow.CURRENCY, "US")
    joined = {row["external_id"]: datetime.combine(row["joined_at"], time(), zone) for row in cdnow.profiles()}
    return {
        customer: Facts(
            community,
            {},
            {},
            {(id_ := UUID(int=int(customer))): Profile(id_, joined[customer])},
            transactions[customer],
        )
        for customer in customers
    }
