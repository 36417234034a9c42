"""All values by the product on DuckDB: from a folder of Parquet to one file."""

import regulars
from bench.peers.timed import timed


def all_values(folder: str, output: str, as_of: str, timezone: str, currency: str) -> None:
    """Everything that the definitions know."""
    regulars.compute(
        f"{folder}/transactions.parquet",
        f"{folder}/profiles.parquet",
        f"{folder}/locations.parquet",
        as_of=as_of,
        timezone=timezone,
        currency=currency,
        output=output,
    )


if __name__ == "__main__":
    timed(all_values)
