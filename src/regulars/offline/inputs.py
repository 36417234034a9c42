"""What a caller hands over: a file, a folder, a pattern, a URL, or a table in memory."""

import glob
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from regulars.offline.casting import InputColumn
from regulars.offline.errors import InputNotFoundError
from regulars.offline.schema import TABLES, TableSpec

CSV, PARQUET = "csv", "parquet"
EXTENSIONS = (".parquet", ".csv", ".csv.gz", ".csv.zst", ".tsv")
_SIGNS = "*?["


@dataclass(frozen=True, slots=True)
class InputFiles:
    """Files of one format by their pattern: a path, or the URL of a store that an engine looks into itself."""

    pattern: str
    format: str
    separator: str = ","

    @property
    def is_url(self) -> bool:
        """Whether they lie elsewhere."""
        return "://" in self.pattern

    @property
    def may_be_folder(self) -> bool:
        """Whether a URL says neither a pattern nor a kind of file."""
        return self.is_url and not any(sign in self.pattern for sign in _SIGNS) and _ending(self.pattern) is None


def resolve_input(thing: Any, table: TableSpec) -> Any:
    """A path as Files, and what is no path as it is. Raises InputNotFoundError where there is nothing."""
    if not isinstance(thing, str | Path):
        return thing
    text = local_path(thing)
    if "://" in text:
        return files_of_pattern(text)
    path = Path(text)
    if path.is_dir():
        return folder_files(text, (str(each) for each in path.rglob("*")), table)
    if any(sign in text for sign in _SIGNS) and not path.exists():
        if not glob.glob(text, recursive=True):
            raise InputNotFoundError(f"{table.name}: no file is called like {text}.")
    elif not path.exists():
        raise InputNotFoundError(f"{table.name}: there is no file {text}.")
    elif path.stat().st_size == 0:
        raise InputNotFoundError(f"{table.name}: the file {text} is empty, and has not even names of columns.")
    return files_of_pattern(text)


def local_path(thing: str | Path) -> str:
    """A path or a URL as text; a file:// URL as the path that it means."""
    text = str(thing)
    return url2pathname(urlsplit(text).path) if text.startswith("file://") else text


def folder_files(path: str, names: Iterable[str], table: TableSpec) -> InputFiles:
    """The files below a folder, which must be of one kind, for a kind left out would be rows left out.

    Raises InputNotFoundError where there are none, or several kinds.
    """
    kinds = sorted({ending for name in names if (ending := _ending(name))})
    if not kinds:
        raise InputNotFoundError(f"{table.name}: the folder {path} holds no .parquet and no .csv files.")
    if len(kinds) > 1:
        pattern = f"{path.rstrip('/')}/**/*{kinds[0]}"
        raise InputNotFoundError(
            f"{table.name}: the folder {path} holds {' and '.join(kinds)} files: say which, {pattern}."
        )
    return files_of_pattern(f"{path.rstrip('/')}/**/*{kinds[0]}")


def files_of_pattern(pattern: str) -> InputFiles:
    """The files of a pattern, by its ending: Parquet where it has none that is known."""
    ending = _ending(pattern) or ".parquet"
    if ending == ".parquet":
        return InputFiles(pattern, PARQUET)
    return InputFiles(pattern, CSV, "\t" if ending == ".tsv" else ",")


def _ending(name: str) -> str | None:
    return next((each for each in EXTENSIONS if name.lower().endswith(each)), None)


def map_columns(columns: Mapping[str, Any] | None, table: TableSpec) -> dict[str, str]:
    """The caller's names for a table's columns: `{"profile": "customer_id"}` for the transactions, or by table.

    Raises InputNotFoundError for a table or a column that there is not.
    """
    asked = dict(columns or {})
    by_table = {name: own for name, own in asked.items() if isinstance(own, Mapping)}
    tables = [each.name for each in TABLES]
    if unknown := sorted(by_table.keys() - set(tables)):
        raise InputNotFoundError(f"columns: there is no table {unknown[0]}; there may be {', '.join(tables)}.")
    own = dict(by_table.get(table.name, {}))
    if table.name == "transactions":
        own |= {name: told for name, told in asked.items() if name not in by_table}
    known = [each.name for each in table.columns]
    if unknown := sorted(own.keys() - set(known)):
        raise InputNotFoundError(f"columns: {table.name} has no column {unknown[0]}; it may have {', '.join(known)}.")
    return own


def match_columns(
    table: TableSpec, there: Mapping[str, InputColumn], names: Mapping[str, str]
) -> dict[str, InputColumn]:
    """The columns of a table by our names. Raises InputNotFoundError for one that is missing."""
    found = {}
    for each in table.columns:
        name = names.get(each.name, each.name)
        if name in there:
            found[each.name] = there[name]
        elif each.required or each.name in names:
            place = each.name if table.name == "transactions" else f"{table.name}.{each.name}"
            mapped = repr({each.name: "..."} if table.name == "transactions" else {table.name: {each.name: "..."}})
            raise InputNotFoundError(
                f"{table.name} has no column {name}; it has {', '.join(there) or 'none'}. "
                f"Say what it is called: --column {place}=..., in Python columns={mapped}."
            )
    return found
