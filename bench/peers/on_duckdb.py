"""Values by the product on DuckDB, all or some: from a folder of Parquet to one file."""

import regulars
from bench.peers.timing import measure


def values(folder: str, output: str, as_of: str, timezone: str, currency: str, *names: str) -> None:
    """Everything that the definitions know, or the values of these names."""
    regulars.compute(
        f"{folder}/transactions.parquet",
        f"{folder}/profiles.parquet",
        f"{folder}/locations.parquet",
        as_of=as_of,
        values=names or None,
        timezone=timezone,
        currency=currency,
        output=output,
    )


if __name__ == "__main__":
    measure(values)
