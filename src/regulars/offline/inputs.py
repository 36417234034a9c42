"""Resolves input tables: a file, a folder, a glob pattern, a URL, or a table in memory."""

import glob
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from regulars.file_dialects.dialect import FileDialect
from regulars.offline.casting import InputColumn
from regulars.offline.errors import InputNotFoundError
from regulars.offline.schema import TABLES, TableSpec

CSV, PARQUET, XLSX = "csv", "parquet", "xlsx"
EXTENSIONS = (".parquet", ".csv", ".csv.gz", ".csv.zst", ".tsv", ".xlsx")
_GLOB_CHARACTERS = "*?["


@dataclass(frozen=True, slots=True)
class InputFiles:
    """Files of one format: a path or glob pattern, or the URL of an object store that the engine reads.

    `dialects` are the single local files of a pattern, and how they are written. `paths` are the files that the engine must
    read in their place.
    """

    pattern: str
    format: str
    separator: str = ","
    paths: tuple[str, ...] = ()
    dialects: tuple[tuple[str, FileDialect], ...] = ()

    @property
    def is_url(self) -> bool:
        """Whether the files are remote."""
        return "://" in self.pattern

    @property
    def is_compressed(self) -> bool:
        """Whether the rows take several times as many bytes as the files."""
        return self.format != CSV or self.pattern.lower().endswith((".gz", ".zst"))

    @property
    def may_be_folder(self) -> bool:
        """Whether a URL is neither a glob pattern nor a file."""
        return (
            self.is_url
            and not any(character in self.pattern for character in _GLOB_CHARACTERS)
            and _extension(self.pattern) is None
        )


def resolve_input(value: Any, table: TableSpec) -> Any:
    """A path as Files, and what is no path as it is. Raises InputNotFoundError where available is nothing."""
    if not isinstance(value, str | Path):
        return value
    text = local_path(value)
    if "://" in text:
        return files_of_pattern(text)
    path = Path(text)
    if path.is_dir():
        return folder_files(text, (str(each) for each in path.rglob("*")), table)
    if any(character in text for character in _GLOB_CHARACTERS) and not path.exists():
        if not glob.glob(text, recursive=True):
            raise InputNotFoundError(f"{table.name}: no file matches {text}.")
    elif not path.exists():
        raise InputNotFoundError(f"{table.name}: file {text} does not exist.")
    elif path.stat().st_size == 0:
        raise InputNotFoundError(f"{table.name}: file {text} is empty; it must have a header.")
    return files_of_pattern(text)


def local_path(value: str | Path) -> str:
    """A path or URL as text; a file:// URL is converted to a path."""
    text = str(value)
    return url2pathname(urlsplit(text).path) if text.startswith("file://") else text


def folder_files(path: str, names: Iterable[str], table: TableSpec) -> InputFiles:
    """The files in a folder and its subfolders.

    Raises InputNotFoundError if there are none, or if their formats differ, because rows would be ignored.
    """
    extensions = sorted({extension for name in names if (extension := _extension(name))})
    if not extensions:
        raise InputNotFoundError(f"{table.name}: folder {path} contains no .parquet or .csv files.")
    if len(extensions) > 1:
        pattern = f"{path.rstrip('/')}/**/*{extensions[0]}"
        raise InputNotFoundError(
            f"{table.name}: folder {path} contains {' and '.join(extensions)} files. Select one format: {pattern}."
        )
    return files_of_pattern(f"{path.rstrip('/')}/**/*{extensions[0]}")


def files_of_pattern(pattern: str) -> InputFiles:
    """The files of a pattern; the format follows from the extension, Parquet by default."""
    extension = _extension(pattern) or (".txt" if pattern.lower().endswith(".txt") else ".parquet")
    if extension == ".parquet":
        return InputFiles(pattern, PARQUET)
    if extension == ".xlsx":
        return InputFiles(pattern, XLSX)
    return InputFiles(pattern, CSV, "\t" if extension == ".tsv" else ",")


def _extension(name: str) -> str | None:
    return next((each for each in EXTENSIONS if name.lower().endswith(each)), None)


def map_columns(columns: Mapping[str, Any] | None, table: TableSpec) -> dict[str, str]:
    """The input's names of the columns of a table: `{"profile": "customer_id"}` for transactions, else by table.

    Raises InputNotFoundError for an unknown table or column.
    """
    if not isinstance(columns, Mapping | None):
        raise InputNotFoundError(f'columns is {columns!r}. Pass names by column, such as {{"profile": "customer_id"}}.')
    mapping = dict(columns or {})
    by_table = {name: names for name, names in mapping.items() if isinstance(names, Mapping)}
    tables = [each.name for each in TABLES]
    if unknown := sorted(by_table.keys() - set(tables)):
        raise InputNotFoundError(f"columns: unknown table {unknown[0]}. Allowed: {', '.join(tables)}.")
    of_table = dict(by_table.get(table.name, {}))
    if table.name == "transactions":
        of_table |= {name: input_name for name, input_name in mapping.items() if name not in by_table}
    allowed = [each.name for each in table.columns]
    if unknown := sorted(of_table.keys() - set(allowed)):
        raise InputNotFoundError(
            f"columns: unknown column {unknown[0]} of {table.name}. Allowed: {', '.join(allowed)}."
        )
    return of_table


def match_columns(
    table: TableSpec, available: Mapping[str, InputColumn], names: Mapping[str, str]
) -> dict[str, InputColumn]:
    """The columns of an input by declared name. Raises InputNotFoundError for a missing column."""
    matched = {}
    for each in table.columns:
        name = names.get(each.name, each.name)
        if name in available:
            matched[each.name] = available[name]
        elif each.name in names or (each.required and not any(names.get(a, a) in available for a in each.alternatives)):
            path = each.name if table.name == "transactions" else f"{table.name}.{each.name}"
            mapped = repr({each.name: "..."} if table.name == "transactions" else {table.name: {each.name: "..."}})
            raise InputNotFoundError(
                f"{table.name} has no column {name}. Found: {', '.join(available) or 'none'}. "
                f"Name it with --column {path}=..., in Python columns={mapped}."
            )
    return matched
