"""Copies CSV files whose line ends are mixed, which DuckDB does not read; files with one kind of line end stay as they are."""

import glob
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from regulars.offline.inputs import CSV, InputFiles

_CHUNK_BYTES = 4 * 1024 * 1024
_COMPRESSED = (".gz", ".zst")


def with_uniform_line_ends(files: InputFiles, copies: list[Any]) -> InputFiles:
    """The files, with a temporary copy in place of each whose line ends are mixed. A copy lives as long as its object,
    which is added to `copies`. Remote and compressed files are not read here.
    """
    if files.format != CSV or files.is_url:
        return files
    paths = [files.pattern] if Path(files.pattern).exists() else sorted(glob.glob(files.pattern, recursive=True))
    mixed = {path for path in paths if not path.lower().endswith(_COMPRESSED) and _is_mixed(Path(path))}
    if not mixed:
        return files
    copied = []
    for path in paths:
        if path not in mixed:
            copied.append(path)
            continue
        copy = tempfile.NamedTemporaryFile(suffix=".csv")  # noqa: SIM115 - lives in `copies`
        with open(path, "rb") as file:
            copy.writelines(chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for chunk in _chunks(file))
        copy.flush()
        copies.append(copy)
        copied.append(copy.name)
    return replace(files, paths=tuple(copied))


def _is_mixed(path: Path) -> bool:
    returns = feeds = pairs = 0
    with path.open("rb") as file:
        for chunk in _chunks(file):
            returns += chunk.count(b"\r")
            feeds += chunk.count(b"\n")
            pairs += chunk.count(b"\r\n")
            if returns and feeds and not returns == pairs == feeds:
                return True
    return False


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The content of a file, without a CR LF in two chunks."""
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk + file.read(1) if chunk.endswith(b"\r") else chunk
