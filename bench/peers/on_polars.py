"""Twelve of the values by Polars: lazy, streaming where it can, from a folder of Parquet to one file."""

from datetime import datetime

import polars as pl

from bench.peers.timing import measure


def subset(folder: str, output: str, as_of: str, timezone: str) -> None:
    """Spend, counts, first and last, recency and frequency, the favourite store, the brands."""
    at = pl.lit(datetime.fromisoformat(as_of))
    transactions = pl.scan_parquet(f"{folder}/transactions.parquet").filter(pl.col("transacted_at") <= at)
    by_profile = (
        transactions.with_columns(
            pl.col("transacted_at").dt.convert_time_zone(timezone).dt.date().alias("transacted_on"),
        )
        .group_by("profile")
        .agg(
            pl.col("total").sum().alias("spend_all"),
            pl.col("total").filter(within(12, at)).sum().alias("spend_12m_now"),
            pl.col("transacted_at").min().alias("spend_first_date"),
            pl.col("transacted_at").max().alias("spend_last_date"),
            IS_SALE.sum().alias("shop_count"),
            pl.col("transacted_on").filter(IS_SALE).n_unique().alias("total_shop_days"),
            pl.col("transacted_on").filter(IS_SALE).min().alias("first_shop_date"),
            pl.col("transacted_on").filter(IS_SALE).max().alias("latest_shop_date"),
            pl.col("transacted_at").filter(IS_SALE).max().alias("last_sale_at"),
        )
        .with_columns(frequency().alias("dimension_frequency"), recency(at).alias("dimension_recency"))
    )
    favourites = favourite_stores(transactions, at)
    values = by_profile.join(favourites, on="profile", how="left").join(brands(transactions), on="profile", how="left")
    values.drop("last_sale_at").sink_parquet(output)


IS_SALE = pl.col("total") > 0


def within(months: int, at: pl.Expr, column: str = "transacted_at") -> pl.Expr:
    """Whether a time is within so many months of an instant."""
    return pl.col(column) > at.dt.offset_by(f"-{months}mo")


def frequency() -> pl.Expr:
    """By the number of sales, and from the third on by the interval between shop days."""
    interval = (pl.col("latest_shop_date") - pl.col("first_shop_date")).dt.total_days()
    return (
        pl.when(pl.col("shop_count") <= 2)
        .then(pl.format("F{}", pl.col("shop_count")))
        .when(interval > 30 * (pl.col("total_shop_days").cast(pl.Int64) - 1))
        .then(pl.lit("FL"))
        .otherwise(pl.lit("FH"))
    )


def recency(at: pl.Expr) -> pl.Expr:
    """By the last sale."""
    return (
        pl.when(pl.col("last_sale_at").is_null())
        .then(pl.lit("R0"))
        .when(within(3, at, "last_sale_at"))
        .then(pl.lit("RC"))
        .when(within(6, at, "last_sale_at"))
        .then(pl.lit("RS"))
        .when(within(12, at, "last_sale_at"))
        .then(pl.lit("RA"))
        .otherwise(pl.lit("RI"))
    )


def favourite_stores(transactions: pl.LazyFrame, at: pl.Expr) -> pl.LazyFrame:
    """The store with most sales within 24 months, or of all time where those months hold none."""
    visits = (
        transactions.filter(IS_SALE)
        .group_by("profile", "location")
        .agg(
            pl.len().alias("sales"),
            within(24, at).sum().alias("sales_24m"),
            pl.col("transacted_at").max().alias("last_sale_at"),
        )
    )
    # Where any store has sales within 24 months, those of all time decide nothing.
    sales_all = pl.when(pl.col("sales_24m") == 0).then("sales").otherwise(0).alias("sales_all")
    by_rank = pl.col("location").sort_by("sales_24m", sales_all, "last_sale_at")
    return visits.group_by("profile").agg(by_rank.last().alias("most_transacted_location"))


def brands(transactions: pl.LazyFrame) -> pl.LazyFrame:
    """The distinct brands of what was bought, in order."""
    purchased = transactions.filter(pl.col("quantity") > 0).select("profile", "brand").unique().sort("profile", "brand")
    return purchased.group_by("profile", maintain_order=True).agg(pl.col("brand").alias("purchased_brands"))


if __name__ == "__main__":
    measure(subset)
