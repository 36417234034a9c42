"""Reads files with DuckDB: without format detection, so that no line is skipped, and with readable errors."""

import re
from collections.abc import Collection, Set

import duckdb

from regulars.offline import object_stores
from regulars.offline.errors import UNEQUAL_LINES, InvalidInputError
from regulars.offline.inputs import CSV, InputFiles, folder_files
from regulars.offline.schema import TableSpec

# Format detection may take lines that do not match for lines before the header. DuckDB ignores a field after the last column
# if it is null, so that empty ones must be texts.
_CSV = """read_csv(
    {paths}, header = true, all_varchar = true, union_by_name = true,
    delim = '{separator}', quote = '"', escape = '"', comment = '', skip = 0, max_line_size = 16777216,
    nullstr = 'no cell has this text'
)"""


def scan(connection: duckdb.DuckDBPyConnection, files: InputFiles, table: TableSpec) -> str:
    """Table expression that scans files, with their object store registered.

    Raises InvalidInputError if unreachable.
    """
    if files.is_url:
        if files.may_be_folder and (names := object_stores.list_files(files.pattern)):
            files = folder_files(files.pattern, names, table)
        register_store(connection, files.pattern)
    paths = ", ".join(_quoted(each) for each in files.paths or (files.pattern,))
    if files.format == CSV:
        rows = _CSV.format(paths=f"[{paths}]", separator=files.separator)
        return f"(SELECT nullif(COLUMNS(*), '') FROM {rows})"
    return f"read_parquet({paths}, union_by_name = true)"


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def require_unique_columns(
    connection: duckdb.DuckDBPyConnection, files: InputFiles, table: TableSpec, names: Collection[str], found: Set[str]
) -> None:
    """Raises InvalidInputError if a file has one of the columns `names` twice.

    DuckDB renames the second one, to `total_1`; `found` are the names that it returned.
    """
    suspects = {name for name in names if any(re.fullmatch(re.escape(name) + r"_[0-9]+", each) for each in found)}
    if not suspects or files.format != CSV:
        return
    paths = ", ".join(_quoted(each) for each in files.paths or (files.pattern,))
    for (path,) in connection.execute(f"SELECT file FROM glob([{paths}])").fetchall():
        header = _CSV.format(paths=_quoted(path), separator=files.separator).replace("header = true", "header = false")
        row = connection.execute(f"SELECT * FROM {header} LIMIT 1").fetchone() or ()
        for name in sorted(suspects):
            if row.count(name) > 1:
                raise InvalidInputError(f"{table.name}.{name} is a column twice: leave one out.")


def register_store(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    """Registers the object store of a URL with a connection, once."""
    files = object_stores.file_system(url)
    if not connection.filesystem_is_registered(files.protocol):
        connection.register_filesystem(files)


def to_input_error(error: duckdb.Error, what: str = "a file") -> Exception:
    """Converts errors that the caller can fix to InvalidInputError; returns others unchanged."""
    text = str(error)
    if isinstance(error, duckdb.OutOfRangeException):
        return InvalidInputError(f"amounts are too large to be exact: {_first_line(text)}.")
    if "No files found that match the pattern" in text:
        return InvalidInputError(f"{what} can't be read: it does not exist.")
    if "obstore" in text:
        return InvalidInputError(f"{what} can't be read: {object_stores.error_summary(text)}.")
    is_file_error = isinstance(error, duckdb.IOException | duckdb.InvalidInputException | duckdb.HTTPException)
    # Since DuckDB 2.0, errors of Parquet files have no class of their own.
    if is_file_error or type(error) is duckdb.Error:
        file_line = re.search(r"^ *file = (.+)$", text, re.MULTILINE)
        file = file_line[1] if file_line and what == "a file" else what
        return InvalidInputError(f"{file} can't be read: {_cause(text)}.")
    return error


def _cause(text: str) -> str:
    """DuckDB's reason for rejecting a file."""
    if "Error when sniffing" in text:
        return UNEQUAL_LINES
    if line := re.search(r"CSV Error on Line: (\d+)", text):
        if fields := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
            return f"line {line[1]} has {fields[2]} fields, but the header has {fields[1]}"
        if "Invalid unicode" in text:
            return f"line {line[1]} is not UTF-8 (--encoding states another encoding)"
        if size := re.search(r"Maximum line size of (\d+) bytes exceeded", text):
            return f"line {line[1]} is longer than {size[1]} bytes"
        return f"line {line[1]} is not CSV"
    return _first_line(text)


def _first_line(text: str) -> str:
    return text.partition("\n")[0].partition(" Error: ")[2].strip().rstrip(".") or text.partition("\n")[0]
