"""Generated purchases as Parquet files; the same seed produces the same files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.seed_data import sql

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
"""The instant of computed values; a few purchases are later."""

ZONE = "Europe/Oslo"
CURRENCY = "NOK"

DESCRIPTION = (
    "one line each, of profiles that joined within five years and have two stores beside their own, a few brands, "
    "the web or not at all; 6 percent are returns; a tenth of the profiles makes two fifths of the purchases"
)


@dataclass(frozen=True)
class PurchaseFiles:
    """A folder with transactions.parquet, profiles.parquet and locations.parquet."""

    folder: Path
    rows: int
    profiles: int


def write_purchases(folder: Path, rows: int, profiles: int) -> PurchaseFiles:
    """Writes purchases of profiles with at least one purchase each."""
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute("SET temp_directory = ?", [str(folder)])
        connection.execute(sql("random_macros"))
        connection.execute(sql("purchases").format(purchases=rows, profiles=profiles, folder=folder))
    return PurchaseFiles(folder, rows, profiles)
