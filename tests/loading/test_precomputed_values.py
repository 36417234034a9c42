"""Precomputed values are imported for profiles whose stored transactions they were computed from, and for no others."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from clubs import START
from loading.file_loader import FileLoader
from loading.history_files import MEMBERS, load_without_finishing, verify_differences, write_sales
from regulars.loading import load_job as arrivals
from regulars.loading import refresh_dirty
from regulars.loading.precomputed_values import PrecomputedValues
from regulars.offline.compute import compute
from regulars.offline.errors import InputNotFoundError

PROFILES = "external_id,joined_at,joined_location_external_id\n" + "\n".join(
    f"M{number},2024-0{1 + number % 9}-03T10:00:00Z,{'S1' if number % 3 else ''}" for number in range(20)
)
LOCATIONS = "external_id,type,timezone,country_iso_3\nS1,store,Europe/Oslo,NOR\nS2,online,,SWE"


@pytest.fixture(autouse=True)
def deferred_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads defer refreshing from their first row on, and import values in several ranges."""
    monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", 0)
    monkeypatch.setattr(refresh_dirty, "MAX_PROFILES_PER_RANGE", 7)
    monkeypatch.setattr(refresh_dirty, "PROFILES_PER_WRITE", 3)


class Lake:
    """Files of a club's facts, and the values computed from them."""

    def __init__(self, load: FileLoader, directory: Path) -> None:
        self.load = load
        self.directory = directory
        bought = [["Aker", "Bø", 'a "quote"', None][number % 4] for number in range(200)]
        priced = [None if brand is None else "10.10" for brand in bought]
        self.sales = write_sales(
            directory / "sales.parquet",
            sku=[None if brand is None else "A" for brand in bought],
            brand=bought,
            quantity=[None if brand is None else "1" for brand in bought],
            price_sell=priced,
            price_current=[None if brand is None else "13.37" for brand in bought],
            discount=[None if brand is None else "3.27" for brand in bought],
        )
        (directory / "profiles.csv").write_text(PROFILES)
        (directory / "locations.csv").write_text(LOCATIONS)

    def compute_values(self, sold: Path | None = None, **options: Any) -> Path:
        path = self.directory / "values.parquet"
        options = {"currency": "NOK", "as_of": START, "with_fingerprints": True, **options}
        profiles, locations = (str(self.directory / f"{name}.csv") for name in ("profiles", "locations"))
        compute(str(sold or self.sales), profiles, locations, output=path, **options)
        return path

    async def import_count(self, values: Path) -> int:
        """How many profiles' values a load of the sales imports; asserts that all values are right."""
        await self.load("locations", LOCATIONS)
        await self.load("profiles", PROFILES)
        precomputed = PrecomputedValues(values)
        async with load_without_finishing(self.load, self.sales) as arrival:
            import_count = await arrival.finish(precomputed=precomputed)
        precomputed.close()
        assert await verify_differences(self.load.club) == []
        return import_count


@pytest.fixture
def lake(load: FileLoader, tmp_path: Path) -> Lake:
    """The lake of an empty club."""
    return Lake(load, tmp_path)


async def test_values_over_the_same_transactions_are_imported(lake: Lake) -> None:
    assert await lake.import_count(lake.compute_values()) == len(MEMBERS)


async def test_values_over_changed_purchases_are_recomputed(lake: Lake) -> None:
    table = pq.read_table(lake.sales)
    owner = table["profile"].to_pylist()
    (index,) = [owner.index("M3")]
    total = table["total"].to_pylist()
    total[index] += 1
    other = lake.directory / "other.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("total"), "total", pa.array(total)), other)
    assert await lake.import_count(lake.compute_values(other)) == len(MEMBERS) - 1


@pytest.mark.parametrize("column", ["brand", "discount"])
async def test_values_over_changed_items_are_recomputed(lake: Lake, column: str) -> None:
    table = pq.read_table(lake.sales)
    before = table[column].to_pylist()
    changed = [None if each is None else "Ny" if column == "brand" else "5" for each in before]
    buyers_of_changed_lines = {
        buyer for buyer, value in zip(table["profile"].to_pylist(), before, strict=True) if value is not None
    }
    other = lake.directory / "other.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(changed)), other)
    # A member with purchases without items only has no changed facts.
    assert await lake.import_count(lake.compute_values(other)) == len(set(MEMBERS) - buyers_of_changed_lines)


@pytest.mark.parametrize("options", [{"currency": "EUR"}, {"timezone": "Asia/Tokyo"}])
async def test_no_value_of_another_club_is_imported(lake: Lake, options: dict[str, Any]) -> None:
    assert await lake.import_count(lake.compute_values(**options)) == 0


async def test_values_that_name_one_of_two_locations_with_an_external_id_are_recomputed(lake: Lake) -> None:
    lake.sales = write_sales(lake.sales, location=["S1" if number < 20 else "S2" for number in range(200)])
    path = lake.compute_values()
    named = pq.read_table(path, columns=["transacted_locations"])["transacted_locations"].to_pylist()
    using_s1 = sum("S1" in each for each in named)
    assert 0 < using_s1 < len(named)
    await lake.load("locations", LOCATIONS)
    location_id = await lake.load.fetchval("SELECT id FROM locations WHERE external_id = $2", "S1")
    assert (await lake.load.club.http.delete(f"/api/v3/locations/{location_id}")).status_code == 204
    # Loads the locations again.
    assert await lake.import_count(path) == len(MEMBERS) - using_s1


async def test_profiles_missing_in_the_file_are_refreshed(lake: Lake) -> None:
    path = lake.compute_values()
    pq.write_table(pq.read_table(path).slice(0, 4), path)
    assert await lake.import_count(path) == 4


async def test_expired_values_are_recomputed(lake: Lake) -> None:
    assert await lake.import_count(lake.compute_values(as_of=START - timedelta(days=300))) < len(MEMBERS)


async def test_values_of_the_future_are_recomputed(lake: Lake) -> None:
    assert await lake.import_count(lake.compute_values(as_of=START + timedelta(days=1))) == 0


async def test_values_of_a_wrong_type_are_recomputed(lake: Lake) -> None:
    path = lake.compute_values()
    table = pq.read_table(path)
    words = pa.array(["much"] * len(table))
    pq.write_table(table.set_column(table.schema.get_field_index("spend_all"), "spend_all", words), path)
    assert await lake.import_count(path) == 0


def test_a_fingerprint_that_is_not_text_is_an_error(lake: Lake, tmp_path: Path) -> None:
    table = pq.read_table(lake.compute_values())
    lists = pa.array([[1]] * len(table))
    other = tmp_path / "other.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("fingerprint"), "fingerprint", lists), other)
    with pytest.raises(InputNotFoundError, match=r"other\.parquet can't be read: "):
        PrecomputedValues(other)


async def test_a_file_without_fingerprints_is_rejected(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(
        InputNotFoundError,
        match="has no column next_change_at, fingerprint: write it by `regulars compute --with-fingerprints`",
    ):
        PrecomputedValues(lake.compute_values(with_fingerprints=False))
    nothing = tmp_path / "nothing.parquet"
    with pytest.raises(InputNotFoundError, match="be read as Parquet"):
        PrecomputedValues(nothing)
    path = lake.compute_values()
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)
    with pytest.raises(InputNotFoundError, match="one row per profile"):
        PrecomputedValues(path)
    older = pc.replace_substring_regex(table["fingerprint"], "^[0-9a-f]+", "0")
    pq.write_table(table.set_column(table.schema.get_field_index("fingerprint"), "fingerprint", older), path)
    with pytest.raises(InputNotFoundError, match="another release"):
        PrecomputedValues(path)


def test_fingerprints_need_all_values_in_parquet(lake: Lake) -> None:
    for options in ({"values": ["spend_all"]}, {"output": "values.csv"}):
        with pytest.raises(InputNotFoundError, match="with_fingerprints"):
            compute(str(lake.sales), with_fingerprints=True, **options)
