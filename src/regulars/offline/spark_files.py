"""Reads CSV files with Spark: no row is cut, filled or lost, and errors are readable."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from regulars.file_dialects.encodings import UTF_8, describe
from regulars.offline.errors import UNEQUAL_LINES, InvalidInputError
from regulars.offline.inputs import InputFiles
from regulars.offline.schema import TableSpec

_CSV: Mapping[str, str | bool] = {
    "header": True, "quote": '"', "escape": '"',
    # Otherwise columns are read by their position, rows of another width are cut or filled, also those whose columns are
    # not read, and quotes may be anywhere.
    "enforceSchema": False, "mode": "FAILFAST", "columnPruning": False, "unescapedQuoteHandling": "RAISE_ERROR",
}  # fmt: skip

_QUOTES = "octet_length(value) - octet_length(replace(value, '\"'))"

_FILES = """SELECT max(is_broken) = 1, max(is_open) = 1, bool_and(is_utf_8)
FROM (
    SELECT max(quotes % 2) AS is_broken, sum(quotes) % 2 AS is_open, bool_and(is_utf_8) AS is_utf_8
    FROM {lines}
    GROUP BY file
) AS files"""


def read_csv(table: TableSpec, reader: Any, path: str, files: InputFiles) -> Any:
    """The rows of CSV files. One task reads each file if cells have line breaks, else Spark splits them.

    Raises InvalidInputError for letters that Spark would replace, and for a quote that is not closed, whose cell would take
    all that follows.
    """
    encoding = _encoding(table, files)
    lines = reader.text(path).selectExpr(
        "_metadata.file_path AS file", f"{_QUOTES} AS quotes", "is_valid_utf8(value) AS is_utf_8"
    )
    ((is_broken, is_open, is_utf_8),) = lines.sparkSession.sql(_FILES, lines=lines).collect()
    if encoding == UTF_8 and is_utf_8 is False:
        raise InvalidInputError(
            f"{table.name}: {path} can't be read: it is not UTF-8 (--encoding states another encoding)."
        )
    options = {**_CSV, "sep": files.separator, "encoding": encoding, "multiLine": bool(is_broken)}
    rows = reader.options(**options).csv(path)
    # Other quotes, as in 5" pipe, neither open nor close a cell.
    if is_open and not rows.where(f"contains({quoted(rows.columns[-1])}, '\\n')").isEmpty():
        raise InvalidInputError(f"{table.name}: {path} can't be read: {UNEQUAL_LINES}.")
    return rows


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def _encoding(table: TableSpec, files: InputFiles) -> str:
    """The encoding of CSV files. Raises InvalidInputError for files that Spark can't read as they are."""
    encodings = {dialect.encoding for _, dialect in files.dialects} or {UTF_8}
    if any(dialect.has_separator_line for _, dialect in files.dialects):
        raise InvalidInputError(
            f"{table.name}: Spark does not read files that begin with sep=. Remove their first line."
        )
    if len(encodings) > 1 or any(each.startswith("utf-16") for each in encodings):
        raise InvalidInputError(
            f"{table.name}: Spark reads files of one encoding, which is not UTF-16. Found: "
            f"{', '.join(sorted(map(describe, encodings)))}. Convert them to UTF-8."
        )
    return encodings.pop()


def require_unique_columns(table: TableSpec, names: Mapping[str, str], found: Sequence[str]) -> None:
    """Raises InvalidInputError for a column that a CSV file has twice: Spark appends its position to each of them."""
    for each in table.columns:
        name = names.get(each.name, each.name)
        if sum(column == f"{name}{position}" for position, column in enumerate(found)) > 1:
            raise InvalidInputError(f"{table.name}.{name} is a column twice: leave one out.")


def to_input_error(error: Exception) -> InvalidInputError:
    """An error of Spark as one of the input, in a line."""
    if missing := re.search(r'No FileSystem for scheme "\w+"|Class \S+FileSystem not found', str(error)):
        return InvalidInputError(
            f"Spark can't access the URL: {missing[0]}. It needs the jars of the object store, and s3a:// instead of s3://; "
            f"see docs/compute.md."
        )
    if "MALFORMED_RECORD_IN_PARSING" in str(error) or "TextParsingException" in str(error):
        file = re.search(r"while reading file (?:file://)?(\S+?)\. ", str(error))
        return InvalidInputError(f"{file[1] if file else 'a file'} can't be read: {UNEQUAL_LINES}.")
    lines = [line.strip(" :") for line in str(error).splitlines() if not line.startswith("An error occurred while")]
    return InvalidInputError(f"Spark failed: {lines[0].rstrip('.') if lines else type(error).__name__}.")
