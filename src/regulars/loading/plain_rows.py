"""Rows of Parquet that need no second look, as columns: what most rows of a history are.

A row is plain where every one of its cells is of the usual form and says what can be checked at once. It comes to the
same row, with the same fingerprint, as by `transaction_lines`. All others are left to the way by rows, which takes them
or says what is wrong.
"""

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from regulars.core import money, timestamps
from regulars.facts.columns import Columns
from regulars.ingest.group_commit import WRITERS_PER_COMMUNITY
from regulars.model.community import Community
from regulars.model.transactions.schema import POS, WEB, TransactionIn

ROWS_PER_READ = 40_000
"""To plan the statement for a few thousand rows costs as much as to run it."""


@dataclass(slots=True)
class SlowRows:
    """The rows of a file that are not plain, by their numbers from 1; all of them, where it can't be told."""

    flags: bytearray = field(default_factory=bytearray)

    def add(self, number: int) -> None:
        """Leaves a row to the way by rows."""
        self.flags[number - 1] = 1

    def __call__(self, number: int) -> bool:
        """Whether a row is left."""
        return not self.flags or bool(self.flags[number - 1])


PLAIN_COLUMNS = (
    "number", "external_id", "profile", "at", "local", "timezone", "total", "currency", "location", "systems",
    "is_void", "receipt_ref", "amount", "channels", "fingerprint",
)  # fmt: skip
"""Of plain rows: `at` is in UTC, `local` a wall-clock time where there is no offset, `amount` in minor units."""


def read_plain_rows(
    file: BinaryIO, columns: Columns, community: Community, rows: int, left: SlowRows, moved: Callable[[int], None]
) -> Generator[list[pa.Table], None, None]:
    """Plain rows, at most so many `rows` at a time, those of one profile always in the same of the tables; `left` is
    told of the others. `moved` is told of the size of all that was read.

    Raises Refused where a required column is missing.
    """
    try:
        parquet = pyarrow.parquet.ParquetFile(file)
        left.flags = bytearray(parquet.metadata.num_rows)
    except (pa.ArrowException, OSError):
        # The way by rows says so.
        return
    columns.require(parquet.schema_arrow.names)
    wanted = [name for name in parquet.schema_arrow.names if name in columns.encodings]
    start = 0
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        try:
            _find_repeats(connection, parquet)
            for batch in parquet.iter_batches(batch_size=ROWS_PER_READ, columns=wanted):
                lanes = _told_apart(connection, batch, community, start, left)
                start += len(batch)
                in_lane = max(1, rows // WRITERS_PER_COMMUNITY)
                for first in range(0, max(map(len, lanes)), in_lane):
                    yield [part for lane in lanes if len(part := lane.slice(first, in_lane))]
                moved(file.tell())
        except (pa.ArrowException, OSError, duckdb.InvalidInputException):
            # A damaged file, which DuckDB tells of the stream of its ids in its own way.
            for number in range(start + 1, len(left.flags) + 1):
                left.add(number)


def _find_repeats(connection: duckdb.DuckDBPyConnection, parquet: Any) -> None:
    """Lines with one external id are one transaction, wherever they stand: they are not plain."""
    schema = pa.schema([parquet.schema_arrow.field("external_id")])
    read = pa.RecordBatchReader.from_batches(schema, parquet.iter_batches(columns=["external_id"]))
    connection.register("ids", read)
    connection.execute(
        "CREATE TEMP TABLE repeats AS SELECT external_id FROM ids WHERE external_id IS NOT NULL "
        "GROUP BY external_id HAVING count(*) > 1"
    )
    connection.unregister("ids")


def _told_apart(
    connection: duckdb.DuckDBPyConnection, batch: pa.RecordBatch, community: Community, start: int, left: SlowRows
) -> list[pa.Table]:
    numbers = pa.array(range(start + 1, start + 1 + len(batch)), pa.int64())
    connection.register("given", pa.table([*batch.columns, numbers], names=[*batch.schema.names, "number"]))
    found = connection.sql(_statement(batch, community)).to_arrow_table()
    connection.unregister("given")
    is_plain = found["is_plain"].combine_chunks().fill_null(False)
    for number in found["number"].filter(pyarrow.compute.invert(is_plain)).to_pylist():
        left.add(number)
    plain = _fingerprinted(found.filter(is_plain))
    return [
        plain.filter(pyarrow.compute.equal(plain["lane"], lane)).select(PLAIN_COLUMNS)
        for lane in range(WRITERS_PER_COMMUNITY)
    ]


def _fingerprinted(table: pa.Table) -> pa.Table:
    digests = [hashlib.blake2b(each.encode(), digest_size=16).digest() for each in table["told"].to_pylist()]
    return table.append_column("fingerprint", pa.array(digests, pa.binary()))


# What is plain ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cell:
    """What a cell that is there comes to, in SQL: its columns, how JSON has it, and whether it is plain."""

    values: Mapping[str, str]
    json: str
    is_plain: str


# What JSON writes as it is.
_CHARACTER = r'[^\x00-\x1f\x7f"\\]'
_SYSTEM = r'[^\x00-\x1f\x7f"\\,]{1,64}'
# Written as decimals are; a zero has no sign.
_NUMBER = r"-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,6})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Some engines know an hour 24 and a second 60.
_HOUR = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = _HOUR + r"(:[0-5][0-9](\.[0-9]{3}|\.[0-9]{6})?)?"
_OFFSET = f"(Z|[+-]{_HOUR})"


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, '{pattern}')"


def _name(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    if pa.types.is_integer(kind):
        text = f"CAST({column} AS VARCHAR)"
        return _Cell({column: text}, text, "TRUE")
    return _text(column, kind, "TRUE")


def _text(column: str, kind: pa.DataType, is_plain: str) -> _Cell | None:
    if not _is_text(kind):
        return None
    return _Cell({column: column}, _quoted(column), f"{_matches(column, _CHARACTER + '{1,255}')} AND {is_plain}")


def _timezone(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    # Which names are zones is looked up by whoever asks for the statement.
    return _text(column, kind, f"list_contains($zones, {column})")


def _currency(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    return _text(column, kind, f"{column} = '{community.currency}'")


def _when(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    in_time = "year({0}) BETWEEN 1901 AND 2998"
    if pa.types.is_timestamp(kind) and kind.tz in (None, "UTC"):
        at = f"CAST({column} AS TIMESTAMP)" if kind.tz is None else f"timezone('UTC', CAST({column} AS TIMESTAMPTZ))"
        fraction = f"CASE WHEN epoch_us({at}) % 1000000 = 0 THEN '' ELSE strftime({at}, '.%f') END"
        json = f"""'"' || strftime({at}, '%Y-%m-%dT%H:%M:%S') || {fraction} || '{"" if kind.tz is None else "Z"}"'"""
        values = {"local": at, "at": "NULL"} if kind.tz is None else {"at": at, "local": "NULL"}
        return _Cell(values, json, in_time.format(at))
    if not _is_text(kind):
        return None
    is_local = _matches(column, f"{_DATE}([ T]{_TIME})?")
    is_offset = _matches(column, f"{_DATE}[ T]{_TIME}{_OFFSET}")
    local = f"CASE WHEN {is_local} THEN TRY_CAST({column} AS TIMESTAMP) END"
    at = f"CASE WHEN {is_offset} THEN timezone('UTC', TRY_CAST({column} AS TIMESTAMPTZ)) END"
    return _Cell({"local": local, "at": at}, _quoted(column), in_time.format(f"coalesce({local}, {at})"))


def _total(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    is_exact = pa.types.is_decimal(kind) and kind.scale <= money.MAX_DECIMALS
    if not (is_exact or pa.types.is_integer(kind) or pa.types.is_float64(kind) or _is_text(kind)):
        return None
    text = f"CAST({column} AS VARCHAR)"
    # Only what is a number of usual size is counted, so that nothing overflows.
    number = f"CASE WHEN {_matches(text, _NUMBER)} THEN CAST({text} AS DECIMAL(18, 6)) END"
    units = f"(CAST({number} AS DECIMAL(24, 6)) * {10**community.minor_digits})"
    return _Cell(
        {"total": text, "amount": f"CAST(trunc({units}) AS BIGINT)"},
        _quoted(text),
        # What has to be rounded is left.
        f"{units} % 1 = 0 AND NOT ({units} = 0 AND starts_with({text}, '-'))",
    )


def _flag(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    return _Cell({column: column}, f"CAST({column} AS VARCHAR)", "TRUE") if pa.types.is_boolean(kind) else None


def _systems(column: str, kind: pa.DataType, community: Community) -> _Cell | None:
    if not (pa.types.is_list(kind) and _is_text(kind.value_type)):
        return None
    usual = f"list_filter({column}, lambda each: {_matches('each', _SYSTEM)})"
    bits = " + ".join(
        f"CASE WHEN list_contains(list_transform({column}, lambda each: lower(each)), '{name}') THEN {bit} ELSE 0 END"
        for name, bit in (("pos", POS), ("web", WEB))
    )
    return _Cell(
        {column: f"array_to_string({column}, ',')", "channels": f"CAST(nullif({bits}, 0) AS SMALLINT)"},
        f"""'[' || array_to_string(list_transform({column}, lambda each: '"' || each || '"'), ',') || ']'""",
        f"len({column}) <= 20 AND len({usual}) = len({column})",
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _quoted(text: str) -> str:
    return f"""'"' || {text} || '"'"""


_CELLS: Mapping[str, Callable[[str, pa.DataType, Community], _Cell | None]] = {
    "external_id": _name,
    "profile": _name,
    "transacted_at": _when,
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


def _statement(batch: pa.RecordBatch, community: Community) -> str:
    values: dict[str, str] = {}
    told: list[str] = []
    plain = [f"{name} IS NOT NULL" for name in _REQUIRED if name in batch.schema.names]
    for name in TransactionIn.__struct_fields__:
        if name not in batch.schema.names:
            continue
        known = _CELLS.get(name)
        cell = known(name, batch.schema.field(name).type, community) if known is not None else None
        if cell is None:
            plain.append(f"{name} IS NULL")
            continue
        values |= cell.values
        plain.append(f"({name} IS NULL OR {cell.is_plain})")
        told.append(f"""'"{name}":' || {cell.json}""")
    others = [name for name in batch.schema.names if name not in TransactionIn.__struct_fields__]
    plain += [f"{name} IS NULL" for name in others]
    plain.append("external_id NOT IN (SELECT external_id FROM repeats)")
    columns = [
        f"CAST({values.get(name, 'NULL')} AS {_TYPES.get(name, 'VARCHAR')}) AS {name}"
        for name in PLAIN_COLUMNS
        if name not in ("number", "fingerprint")
    ]
    zones = ", ".join(f"'{each}'" for each in _zones(batch))
    return f"""
    SELECT number, {" AND ".join(plain).replace("$zones", f"[{zones}]::VARCHAR[]")} AS is_plain,
           coalesce(hash(profile), hash(external_id)) % {WRITERS_PER_COMMUNITY} AS lane,
           '{{' || concat_ws(',', {", ".join(told)}) || '}}' AS told,
           {", ".join(columns)}
    FROM given
    ORDER BY number
    """


def _zones(batch: pa.RecordBatch) -> list[str]:
    """The zones that a batch names and that are zones."""
    if "timezone" not in batch.schema.names or not _is_text(batch.schema.field("timezone").type):
        return []
    return [each for each in batch.column("timezone").unique().to_pylist() if each and _is_zone(each)]


def _is_zone(name: str) -> bool:
    try:
        timestamps.zone_info(name)
    except ValueError:
        return False
    return "'" not in name
