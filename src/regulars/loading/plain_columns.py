"""The SQL that decides which rows of a Parquet file are plain, column by column.

A row is plain if each of its cells has a common form that one statement can validate and convert. Such a row results in
the same transaction, with the same fingerprint, as if `transaction_lines` had parsed it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from regulars.core import money, timestamps
from regulars.ingest.write_queue import WRITERS_PER_COMMUNITY
from regulars.model.community import Community
from regulars.model.transactions.schema import POS, WEB, TransactionIn

PLAIN_COLUMNS = (
    "number", "external_id", "profile", "at", "local", "timezone", "total", "currency", "location", "systems",
    "is_void", "receipt_ref", "amount", "channels", "fingerprint",
)  # fmt: skip
"""Columns of plain rows: `at` is in UTC, `local` a wall-clock time without an offset, `amount` in minor units."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """SQL for a cell that is not null: the columns it results in, its JSON, and the condition for being plain."""

    values: Mapping[str, str]
    json: str
    is_plain: str


# Characters that JSON does not escape.
_CHARACTER = r'[^\x00-\x1f\x7f"\\]'
_SYSTEM = r'[^\x00-\x1f\x7f"\\,]{1,64}'
# The canonical form of a decimal; zero has no sign.
_NUMBER = r"-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,6})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Some engines accept hour 24 and second 60; ours do not.
_HOUR = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = _HOUR + r"(:[0-5][0-9](\.[0-9]{3}|\.[0-9]{6})?)?"
_OFFSET = f"(Z|[+-]{_HOUR})"


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, '{pattern}')"


def _name(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    if pa.types.is_integer(data_type):
        text = f"CAST({column} AS VARCHAR)"
        return _Cell({column: text}, text, "TRUE")
    # Blanks around an id are trimmed row by row.
    return _text(column, data_type, f"NOT regexp_matches({column}, '^[\\s\\p{{Z}}]|[\\s\\p{{Z}}]$')")


def _text(column: str, data_type: pa.DataType, is_plain: str) -> _Cell | None:
    if not is_text(data_type):
        return None
    return _Cell({column: column}, _quoted(column), f"{_matches(column, _CHARACTER + '{1,255}')} AND {is_plain}")


def _timezone(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    return _text(column, data_type, f"list_contains($zones, {column})")


def _currency(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    return _text(column, data_type, f"{column} = '{community.currency}'")


def _transacted_at(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    in_range = "year({0}) BETWEEN 1901 AND 2998"
    if pa.types.is_timestamp(data_type) and data_type.tz in (None, "UTC"):
        is_local = data_type.tz is None
        at = f"CAST({column} AS TIMESTAMP)" if is_local else f"timezone('UTC', CAST({column} AS TIMESTAMPTZ))"
        fraction = f"CASE WHEN epoch_us({at}) % 1000000 = 0 THEN '' ELSE strftime({at}, '.%f') END"
        json = f"""'"' || strftime({at}, '%Y-%m-%dT%H:%M:%S') || {fraction} || '{"" if is_local else "Z"}"'"""
        values = {"local": at, "at": "NULL"} if is_local else {"at": at, "local": "NULL"}
        return _Cell(values, json, in_range.format(at))
    if not is_text(data_type):
        return None
    is_local_text = _matches(column, f"{_DATE}([ T]{_TIME})?")
    has_offset = _matches(column, f"{_DATE}[ T]{_TIME}{_OFFSET}")
    local = f"CASE WHEN {is_local_text} THEN TRY_CAST({column} AS TIMESTAMP) END"
    at = f"CASE WHEN {has_offset} THEN timezone('UTC', TRY_CAST({column} AS TIMESTAMPTZ)) END"
    return _Cell({"local": local, "at": at}, _quoted(column), in_range.format(f"coalesce({local}, {at})"))


def _total(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    is_exact = pa.types.is_decimal(data_type) and data_type.scale <= money.MAX_DECIMALS
    is_number = is_exact or pa.types.is_integer(data_type) or pa.types.is_float64(data_type)
    if not (is_number or is_text(data_type)):
        return None
    text = f"CAST({column} AS VARCHAR)"
    # Only numbers in canonical form are converted, so that nothing overflows.
    number = f"CASE WHEN {_matches(text, _NUMBER)} THEN CAST({text} AS DECIMAL(18, 6)) END"
    units = f"(CAST({number} AS DECIMAL(24, 6)) * {10**community.minor_digits})"
    return _Cell(
        {"total": text, "amount": f"CAST(trunc({units}) AS BIGINT)"},
        _quoted(text),
        # An amount that has to be rounded is not plain.
        f"{units} % 1 = 0 AND NOT ({units} = 0 AND starts_with({text}, '-'))",
    )


def _flag(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    if not pa.types.is_boolean(data_type):
        return None
    return _Cell({column: column}, f"CAST({column} AS VARCHAR)", "TRUE")


def _systems(column: str, data_type: pa.DataType, community: Community) -> _Cell | None:
    if not (pa.types.is_list(data_type) and is_text(data_type.value_type)):
        return None
    plain_systems = f"list_filter({column}, lambda each: {_matches('each', _SYSTEM)})"
    bits = " + ".join(
        f"CASE WHEN list_contains(list_transform({column}, lambda each: lower(each)), '{name}') THEN {bit} ELSE 0 END"
        for name, bit in (("pos", POS), ("web", WEB))
    )
    return _Cell(
        {column: f"array_to_string({column}, ',')", "channels": f"CAST(nullif({bits}, 0) AS SMALLINT)"},
        f"""'[' || array_to_string(list_transform({column}, lambda each: '"' || each || '"'), ',') || ']'""",
        f"len({column}) <= 20 AND len({plain_systems}) = len({column})",
    )


def is_text(data_type: pa.DataType) -> bool:
    """Whether a column has texts that DuckDB reads as they are."""
    return bool(pa.types.is_string(data_type) or pa.types.is_large_string(data_type))


def _quoted(text: str) -> str:
    return f"""'"' || {text} || '"'"""


_CELLS: Mapping[str, Callable[[str, pa.DataType, Community], _Cell | None]] = {
    "external_id": _name,
    "profile": _name,
    "transacted_at": _transacted_at,
    "timezone": _timezone,
    "total": _total,
    "currency": _currency,
    "location": _name,
    "systems": _systems,
    "is_void": _flag,
    "receipt_ref": _name,
}
_REQUIRED = ("external_id", "transacted_at", "total")

_TYPES = {
    "at": "TIMESTAMP", "local": "TIMESTAMP", "is_void": "BOOLEAN", "amount": "BIGINT", "channels": "SMALLINT",
}  # fmt: skip


def classification_statement(batch: pa.RecordBatch, community: Community) -> str:
    """The DuckDB statement over `input` (the batch and row numbers) and `duplicates` (external ids of several rows).

    It returns `is_plain`, the `shard` of a row, its JSON as `content`, and PLAIN_COLUMNS without the fingerprint.
    """
    values: dict[str, str] = {}
    content: list[str] = []
    conditions = [f"{name} IS NOT NULL" if name in batch.schema.names else "FALSE" for name in _REQUIRED]
    for name in TransactionIn.__struct_fields__:
        if name not in batch.schema.names:
            continue
        build = _CELLS.get(name)
        cell = build(name, batch.schema.field(name).type, community) if build is not None else None
        if cell is None:
            conditions.append(f"{name} IS NULL")
            continue
        values |= cell.values
        conditions.append(f"({name} IS NULL OR {cell.is_plain})")
        content.append(f"""'"{name}":' || {cell.json}""")
    item_columns = [name for name in batch.schema.names if name not in TransactionIn.__struct_fields__]
    conditions += [f"{name} IS NULL" for name in item_columns]
    conditions.append("external_id NOT IN (SELECT external_id FROM duplicates)")
    columns = [
        f"CAST({values.get(name, 'NULL')} AS {_TYPES.get(name, 'VARCHAR')}) AS {name}"
        for name in PLAIN_COLUMNS
        if name not in ("number", "fingerprint")
    ]
    zones = ", ".join(f"'{each}'" for each in _valid_zones(batch))
    return f"""
    SELECT number, {" AND ".join(conditions).replace("$zones", f"[{zones}]::VARCHAR[]")} AS is_plain,
           coalesce(hash(profile), hash(external_id)) % {WRITERS_PER_COMMUNITY} AS shard,
           '{{' || concat_ws(',', {", ".join(content)}) || '}}' AS content,
           {", ".join(columns)}
    FROM input
    ORDER BY number
    """


def _valid_zones(batch: pa.RecordBatch) -> list[str]:
    """The distinct values of `timezone` that are names of time zones."""
    if "timezone" not in batch.schema.names or not is_text(batch.schema.field("timezone").type):
        return []
    return [each for each in batch.column("timezone").unique().to_pylist() if each and _is_zone(each)]


def _is_zone(name: str) -> bool:
    try:
        timestamps.zone_info(name)
    except ValueError:
        return False
    return "'" not in name
