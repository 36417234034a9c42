"""Twelve of the values by pandas: whole columns at a time, profiles and places as numbers, money as whole cents."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.peers.timing import measure

_COLUMNS = ["profile", "transacted_at", "total", "location", "brand", "quantity"]
_CODED = ["profile", "location", "brand"]


def subset(folder: str, output: str, as_of: str, timezone: str) -> None:
    """Spend, counts, first and last, recency and frequency, the favourite store, the brands."""
    at = pd.Timestamp(as_of)
    transactions, profiles, brand_names = _read(f"{folder}/transactions.parquet", at)
    sales = transactions[transactions.cents > 0].copy()
    sales["transacted_on"] = sales.transacted_at.dt.tz_convert(timezone).dt.tz_localize(None).dt.floor("D")
    values = pd.DataFrame(index=pd.RangeIndex(len(profiles)))
    transactions_by_profile = transactions.groupby("profile", sort=False)
    values["spend_all"] = transactions_by_profile.cents.sum()
    values["spend_12m_now"] = (
        transactions[transactions.transacted_at > _before(at, 12)].groupby("profile", sort=False).cents.sum()
    )
    values["spend_12m_now"] = values.spend_12m_now.fillna(0).astype("int64")
    values["spend_first_date"] = transactions_by_profile.transacted_at.min()
    values["spend_last_date"] = transactions_by_profile.transacted_at.max()
    sales_by_profile = sales.groupby("profile", sort=False)
    values["shop_count"] = sales_by_profile.size()
    values["first_shop_date"] = sales_by_profile.transacted_on.min()
    values["latest_shop_date"] = sales_by_profile.transacted_on.max()
    # Distinct pairs first: nunique by group is several times slower.
    values["total_shop_days"] = (
        sales[["profile", "transacted_on"]].drop_duplicates().groupby("profile", sort=False).size()
    )
    for name in ("shop_count", "total_shop_days"):
        values[name] = values[name].fillna(0).astype("int64")
    values["dimension_frequency"] = _frequency(values)
    values["dimension_recency"] = _recency(sales_by_profile.transacted_at.max().reindex(values.index), at)
    values["most_transacted_location"] = _favourite_stores(sales, at)
    values = values.loc[transactions_by_profile.size().index.sort_values()]
    _write(values, profiles, _brands(transactions[transactions.quantity > 0], len(profiles), brand_names), output)


def _read(path: str, at: pd.Timestamp) -> tuple[pd.DataFrame, pa.Array, pa.Array]:
    table = pq.read_table(path, columns=_COLUMNS, read_dictionary=_CODED).unify_dictionaries().combine_chunks()
    table = table.filter(pc.less_equal(table["transacted_at"], pa.scalar(at.to_pydatetime())))
    codes = {name: _chunk(table[name]) for name in _CODED}
    transactions = pd.DataFrame(
        {
            "profile": codes["profile"].indices.to_numpy(),
            "transacted_at": table["transacted_at"].to_pandas(),
            "cents": pc.multiply(table["total"], pa.scalar(Decimal(100))).cast("int64").to_numpy(),
            "location": codes["location"].to_pandas(),
            "brand": codes["brand"].indices.to_numpy(),
            "quantity": table["quantity"].to_numpy(),
        }
    )
    return transactions, codes["profile"].dictionary, codes["brand"].dictionary


def _chunk(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _before(at: pd.Timestamp, months: int) -> pd.Timestamp:
    return at - pd.DateOffset(months=months)


def _frequency(values: pd.DataFrame) -> np.ndarray:
    interval = (values.latest_shop_date - values.first_shop_date).dt.days
    seldom = interval > 30 * (values.total_shop_days - 1)
    return np.select(
        [values.shop_count == 0, values.shop_count == 1, values.shop_count == 2, seldom], ["F0", "F1", "F2", "FL"], "FH"
    )


def _recency(last_sale_at: pd.Series, at: pd.Timestamp) -> np.ndarray:
    recent = [last_sale_at > _before(at, months) for months in (3, 6, 12)]
    return np.select([last_sale_at.isna(), *recent], ["R0", "RC", "RS", "RA"], "RI")


def _favourite_stores(sales: pd.DataFrame, at: pd.Timestamp) -> pd.Series:
    with_window = sales.assign(within_24m=sales.transacted_at > _before(at, 24))
    visits = with_window.groupby(["profile", "location"], observed=True, sort=False).agg(
        sales=("cents", "size"), sales_24m=("within_24m", "sum"), last_sale_at=("transacted_at", "max")
    )
    # Where any store has sales within 24 months, those of all time decide nothing.
    visits["sales"] = visits.sales.where(visits.sales_24m == 0, 0)
    visits = visits.reset_index().sort_values(["sales_24m", "sales", "last_sale_at"])
    return visits.drop_duplicates("profile", keep="last").set_index("profile").location


def _brands(purchases: pd.DataFrame, profiles: int, names: pa.Array) -> pa.Array:
    """A list for each profile, from distinct pairs in order: the lists' ends are where the profile changes."""
    rank = np.argsort(np.argsort(names.to_numpy(zero_copy_only=False)))
    pairs = np.unique(purchases.profile.to_numpy(np.int64) * len(names) + rank[purchases.brand.to_numpy()])
    ends = np.searchsorted(pairs, np.arange(profiles + 1, dtype=np.int64) * len(names))
    in_order = names.take(pc.array_sort_indices(names))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), in_order.take(pa.array(pairs % len(names))))


def _write(values: pd.DataFrame, profiles: pa.Array, brands: pa.Array, output: str) -> None:
    table = pa.Table.from_pandas(values, preserve_index=False)
    for name in ("spend_all", "spend_12m_now"):
        money = pc.multiply(table[name].cast(pa.decimal128(19, 0)), pa.scalar(Decimal("0.01")))
        table = table.set_column(table.column_names.index(name), name, money)
    numbers = pa.array(values.index.to_numpy())
    table = table.append_column("profile", profiles.take(numbers)).append_column(
        "purchased_brands", brands.take(numbers)
    )
    pq.write_table(table, output)


if __name__ == "__main__":
    measure(subset)
