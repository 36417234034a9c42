"""Whether each transaction has an id of its own."""

from itertools import takewhile
from typing import Any, Protocol

from regulars.offline.casting import CastDialect
from regulars.offline.structures import InputTable

MAX_BITSET_RANGE = 1_000_000_000
"""So many ids, from the least to the greatest, have a bit each: 120 MiB."""


class RowCounter(Protocol):
    """What counts: an engine."""

    dialect: CastDialect

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""


def has_unique_ids(runner: RowCounter, transactions: InputTable) -> bool:
    """Whether no two of the typed transactions have one id.

    Ids that count up, after the same sign or not, take a bit each; others are put side by side, which takes several
    times as long and much memory. Two ids of one number, or of one fingerprint, only cost time.
    """
    if runner.dialect.uses_ordinals and (number := _numbered(runner, transactions)):
        ((rows, ids),) = runner.rows(f"SELECT count(external_id), bit_count({number}) FROM typed_transactions")
        if rows == ids:
            return True
    ((rows, ids),) = runner.rows(
        f"SELECT coalesce(sum(number), 0), count(*) FROM ("
        f"SELECT count(*) AS number FROM typed_transactions WHERE external_id IS NOT NULL "
        f"GROUP BY {runner.dialect.hash_of('external_id')}) AS counted"
    )
    return bool(rows == ids)


def _numbered(runner: RowCounter, transactions: InputTable) -> str | None:
    """The bits of all ids, where the least and the greatest leave it open that they count up."""
    column = transactions.columns["external_id"].sql
    # Of Parquet files this is known without reading them.
    ((least, greatest),) = runner.rows(f"SELECT min({column}), max({column}) FROM {transactions.relation}")
    first, last = str(least), str(greatest)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    rest = first[same:], last[same:]
    if len(first) != len(last) or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in rest):
        return None
    low, high = (int(each) for each in rest)
    if high - low >= MAX_BITSET_RANGE:
        return None
    number = f"TRY_CAST(substr(external_id, {same + 1}) AS BIGINT)"
    return f"bitstring_agg(CASE WHEN {number} BETWEEN {low} AND {high} THEN {number} END, {low}, {high})"
