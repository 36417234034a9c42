"""Checks whether transaction ids are unique."""

from itertools import takewhile

from regulars.offline.structures import EngineBackend, InputTable

MAX_BITSET_RANGE = 1_000_000_000
"""Largest range of sequential ids that is checked with a bitset of one bit each: 120 MiB."""


def has_unique_ids(engine: EngineBackend, transactions: InputTable) -> bool:
    """Whether the ids of the typed transactions are unique.

    Sequential ids, with or without a common prefix, take one bit each; others are grouped by hash, which takes several
    times as long and more memory. A collision is reported as a duplicate, which costs time but not correctness.
    """
    if engine.dialect.uses_ordinals and (number := _bitset_of_ids(engine, transactions)):
        ((rows, ids),) = engine.fetch(f"SELECT count(external_id), bit_count({number}) FROM typed_transactions")
        if rows == ids:
            return True
    ((rows, ids),) = engine.fetch(
        f"SELECT coalesce(sum(number), 0), count(*) FROM ("
        f"SELECT count(*) AS number FROM typed_transactions WHERE external_id IS NOT NULL "
        f"GROUP BY {engine.dialect.hash_of('external_id')}) AS counted"
    )
    return bool(rows == ids)


def _bitset_of_ids(engine: EngineBackend, transactions: InputTable) -> str | None:
    """Bitset expression of all ids, if the lowest and the highest id allow them to be sequential."""
    column = transactions.columns["external_id"].sql
    # For Parquet files this is in the metadata.
    ((lowest, highest),) = engine.fetch(f"SELECT min({column}), max({column}) FROM {transactions.relation}")
    first, last = str(lowest), str(highest)
    prefix_length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    suffixes = first[prefix_length:], last[prefix_length:]
    if len(first) != len(last) or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in suffixes):
        return None
    low, high = (int(each) for each in suffixes)
    if high - low >= MAX_BITSET_RANGE:
        return None
    number = f"TRY_CAST(substr(external_id, {prefix_length + 1}) AS BIGINT)"
    return f"bitstring_agg(CASE WHEN {number} BETWEEN {low} AND {high} THEN {number} END, {low}, {high})"
