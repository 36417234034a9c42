"""What a caller hands over: a file, a folder, a pattern, a URL, or a table in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regulars.bulk.reading import Given
from regulars.bulk.refusals import UnfitError
from regulars.bulk.tables import Table

CSV, PARQUET = "csv", "parquet"
_PACKED = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one format by their pattern."""

    pattern: str
    format: str


def given(thing: Any, table: Table) -> Any:
    """A path as Files, and what is no path as it is. Raises UnfitError for a folder without files."""
    if not isinstance(thing, str | Path):
        return thing
    text = str(thing)
    if "://" in text:
        return Files(text.removeprefix("file://") if text.startswith("file://") else text, _format(text))
    path = Path(text)
    if path.is_dir():
        return _folder(path, table)
    if not any(sign in text for sign in "*?[") and not path.exists():
        raise UnfitError(f"{table.name}: there is no file {text}.")
    return Files(text, _format(text))


def _folder(path: Path, table: Table) -> Files:
    for ending in (PARQUET, CSV):
        if any(path.rglob(f"*.{ending}")):
            return Files(f"{path}/**/*.{ending}", ending)
        if ending == CSV and any(path.rglob("*.csv.gz")):
            return Files(f"{path}/**/*.csv.gz", CSV)
    raise UnfitError(f"{table.name}: the folder {path} holds no .parquet and no .csv files.")


def _format(text: str) -> str:
    bare = text.lower()
    for ending in _PACKED:
        bare = bare.removesuffix(ending)
    return CSV if bare.endswith((".csv", ".tsv", ".txt")) else PARQUET


def named(columns: Mapping[str, Any] | None, table: Table) -> dict[str, str]:
    """The caller's names for a table's columns: `{"profile": "customer_id"}` for the transactions, or by table.

    Raises UnfitError for a column that the table does not have.
    """
    asked = dict(columns or {})
    own = asked.get(table.name, {} if table.name != "transactions" else None)
    if own is None:
        own = {name: value for name, value in asked.items() if isinstance(value, str)}
    known = {each.name for each in table.columns}
    if unknown := sorted(set(own) - known):
        raise UnfitError(f"columns: {table.name} has no column {unknown[0]}; it may have {', '.join(sorted(known))}.")
    return dict(own)


def matched(table: Table, there: Mapping[str, Given], names: Mapping[str, str]) -> dict[str, Given]:
    """The columns of a table by our names. Raises UnfitError for one that is missing."""
    found = {}
    for each in table.columns:
        name = names.get(each.name, each.name)
        if name in there:
            found[each.name] = there[name]
        elif each.required or each.name in names:
            raise UnfitError(
                f"{table.name} has no column {name} (it has: {', '.join(there) or 'none'}); "
                f"columns={{'{each.name}': ...}} says what it is called."
            )
    return found
