"""What Featuretools makes of the same purchases by its own primitives: the nearest to the product's values."""

import featuretools
import pandas as pd

from bench.peers.timing import measure

_PRIMITIVES = ["count", "sum", "first", "last", "mode", "num_unique", "avg_time_between"]


def features(folder: str, output: str, as_of: str) -> None:
    """Features of each profile over all time and, of spend and counts, over the last year."""
    at = pd.Timestamp(as_of).tz_localize(None)
    transactions = pd.read_parquet(f"{folder}/transactions.parquet")
    transactions["transacted_at"] = transactions.transacted_at.dt.tz_localize(None)
    transactions["total"] = transactions.total.astype("float64")
    entities = featuretools.EntitySet("purchases")
    entities.add_dataframe(
        transactions[["external_id", "profile", "transacted_at", "total", "location", "brand"]],
        dataframe_name="transactions",
        index="external_id",
        time_index="transacted_at",
        logical_types={"location": "Categorical", "brand": "Categorical"},
    )
    entities.normalize_dataframe("transactions", "profiles", "profile", make_time_index=False)
    all_time, _ = featuretools.dfs(
        entityset=entities,
        target_dataframe_name="profiles",
        agg_primitives=_PRIMITIVES,
        trans_primitives=[],
        cutoff_time=at,
    )
    year, _ = featuretools.dfs(
        entityset=entities,
        target_dataframe_name="profiles",
        agg_primitives=["count", "sum"],
        trans_primitives=[],
        cutoff_time=at,
        training_window="365 days",
    )
    joined = all_time.join(year.add_suffix(" in a year"))
    joined.index.name = "profile"
    result = joined.rename(columns={"SUM(transactions.total)": "spend_all"})
    result["spend_all"] = result.spend_all.round(2)
    result.reset_index().to_parquet(output)


if __name__ == "__main__":
    measure(features)
