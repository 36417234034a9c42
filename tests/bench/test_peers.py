"""What the product is compared with does the same work: equal values, or the benchmark fails."""

import json
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench.application import BARE
from bench.compute import compare_engines
from bench.environment import bench_environment
from bench.equivalence import COMMON_VALUES, assert_equal_days, assert_equal_files, assert_equal_values
from bench.requests import profile_id
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.serving import serve
from bench.size import Size

from bench import purchase_files, subprocess_run

TINY = 0.0005


@pytest.mark.long
def test_values_of_pandas_and_polars_equal_those_of_the_product(tmp_path: Path) -> None:
    given = purchase_files.write_purchases(tmp_path / "purchases", 3_000, 300)
    findings = Findings()
    compare_engines(given, Size(TINY), findings)
    bought = assert_equal_values(given.folder / "regulars.parquet", given.folder / "pandas.parquet")
    assert bought == assert_equal_values(given.folder / "regulars.parquet", given.folder / "polars.parquet")
    assert 290 < bought <= 300
    assert [each.claim.partition(": ")[2] for each in findings.targets] == [
        "within 9 times the CPU of a plain GROUP BY",
        "CPU of pandas at least 2.2 times as much",
        "CPU of Polars at least 1.6 times as much",
    ]
    assert all(each.value > 0 for each in findings.figures)


def test_generated_purchases_are_reproducible_and_cover_all_profiles(tmp_path: Path) -> None:
    first, again = (purchase_files.write_purchases(tmp_path / name, 2_000, 200) for name in ("first", "again"))
    assert assert_equal_files(first.folder / "transactions.parquet", again.folder / "transactions.parquet") == 2_000
    profiles = pq.read_table(first.folder / "transactions.parquet")["profile"]
    assert len(profiles.unique()) == 200


def _values(path: Path, *, spend: str = "10.00", profile: str = "profile_id", brands: tuple[str, ...] = ("A",)) -> Path:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    row = dict.fromkeys(COMMON_VALUES, 1) | {
        profile: "P1",
        "spend_all": Decimal(spend),
        "spend_first_date": at,
        "purchased_brands": list(brands),
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    return path


def test_different_values_end_the_comparison(tmp_path: Path) -> None:
    own = _values(tmp_path / "own.parquet")
    assert assert_equal_values(own, _values(tmp_path / "peer.parquet", profile="profile")) == 1
    with pytest.raises(AssertionError, match=r"of 1 profiles differ \{'spend_all': 1\}"):
        assert_equal_values(own, _values(tmp_path / "peer.parquet", profile="profile", spend="10.01"))
    with pytest.raises(AssertionError, match=r"of 1 profiles differ \{'purchased_brands': 1\}"):
        assert_equal_values(own, _values(tmp_path / "peer.parquet", profile="profile", brands=("A", "B")))


def test_a_missing_profile_ends_the_comparison(tmp_path: Path) -> None:
    own = tmp_path / "own.parquet"
    rows = [pq.read_table(_values(tmp_path / "one.parquet")).to_pylist()[0] | {"profile_id": each} for each in "12"]
    pq.write_table(pa.Table.from_pylist(rows), own)
    peer = pa.Table.from_pylist([rows[0] | {"profile": "1"}])
    pq.write_table(peer, tmp_path / "peer.parquet")
    with pytest.raises(AssertionError, match="1 profiles are missing"):
        assert_equal_values(own, tmp_path / "peer.parquet")


def test_files_of_spark_that_differ_by_one_row_are_found(tmp_path: Path) -> None:
    one, other = _values(tmp_path / "one.parquet"), _values(tmp_path / "other.parquet", spend="9.99")
    assert assert_equal_files(one, one) == 1
    with pytest.raises(AssertionError, match="2 rows differ"):
        assert_equal_files(one, other)


def test_customers_with_other_shop_days_than_lifetimes_are_found(tmp_path: Path) -> None:
    first, latest = datetime(2026, 1, 1, tzinfo=UTC).date(), datetime(2026, 1, 11, tzinfo=UTC).date()
    own = {"profile_id": "1", "total_shop_days": 3, "first_shop_date": first, "latest_shop_date": latest}
    pq.write_table(pa.Table.from_pylist([own]), tmp_path / "own.parquet")
    sale = {"profile": "1", "total": Decimal("1.00")}
    pq.write_table(pa.Table.from_pylist([sale]), tmp_path / "purchases.parquet")
    files = (tmp_path / "purchases.parquet", tmp_path / "own.parquet", tmp_path / "summary.parquet")
    summary = {"profile": "1", "frequency": 2.0, "recency": 10.0}
    pq.write_table(pa.Table.from_pylist([summary]), files[2])
    assert assert_equal_days(*files) == 1
    pq.write_table(pa.Table.from_pylist([summary | {"recency": 9.0}]), files[2])
    with pytest.raises(AssertionError, match="1 of 1 customers differ"):
        assert_equal_days(*files)


def test_a_failed_script_reports_its_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)grouped ended with 1:.*nowhere/transactions\.parquet"):
        subprocess_run.run("grouped", "nowhere", tmp_path / "out.parquet", folder=tmp_path)


@pytest.mark.long
def test_the_bare_read_returns_the_stored_row() -> None:
    with bench_environment() as environment:
        store = environment.database()
        club = store.create_club("bare")
        seed_database(store, club, 20, 200)
        with store.owner_connection() as connection:
            connection.execute(sql("bare").format(club=club.id).encode())
            stored = connection.execute(
                "SELECT shop_count, spend_all FROM profile_aggregations WHERE profile_id = %s", [profile_id(club, 7)]
            ).fetchone()
        with (
            serve(environment, store) as server,
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}{BARE}/{profile_id(club, 7)}") as response,
        ):
            values = json.loads(response.read())
    assert stored == (values["shop_count"], values["spend_all"])
    assert values["profile_id"] == str(profile_id(club, 7))
