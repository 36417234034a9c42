"""The summary that lifetimes makes of purchases: frequency, recency, age, monetary value."""

import pandas as pd
from lifetimes.utils import summary_data_from_transaction_data

from bench.peers.timing import measure


def summary(folder: str, output: str, until: str) -> None:
    """Four values of each customer, by days."""
    transactions = pd.read_parquet(f"{folder}/transactions.parquet", columns=["profile", "transacted_at", "total"])
    transactions["total"] = transactions.total.astype("float64")
    summary = summary_data_from_transaction_data(
        transactions, "profile", "transacted_at", monetary_value_col="total", observation_period_end=until, freq="D"
    )
    summary.reset_index().to_parquet(output)


if __name__ == "__main__":
    measure(summary)
