"""The least that any system must do: a plain GROUP BY profile of DuckDB, to Parquet."""

import duckdb

from bench.peers.timing import measure

_GROUPED = """
SELECT profile, count(*) AS purchases, sum(total) AS spent, min(transacted_at) AS first, max(transacted_at) AS last
FROM read_parquet('{folder}/transactions.parquet')
GROUP BY profile
"""


def grouped(folder: str, output: str) -> None:
    """Count, sum, first and last of each profile."""
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"COPY ({_GROUPED.format(folder=folder)}) TO '{output}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    measure(grouped)
