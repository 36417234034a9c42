"""Atomic output: an existing file is replaced only after the new one is complete."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regulars.offline import object_stores
from regulars.offline.errors import InputNotFoundError, InvalidInputError
from regulars.offline.inputs import local_path

_FILES = (".csv", ".parquet")
_SPARK_PREFIXES = ("part-", "_", ".")


def resolve_output(output: str | Path, *, may_be_folder: bool, endings: tuple[str, ...] = _FILES) -> str:
    """An output as a path or URL. Raises InputNotFoundError if it can't be written."""
    text = local_path(output)
    if "://" in text and may_be_folder and text.endswith(".csv"):
        raise InputNotFoundError(f"Spark writes a folder of Parquet files to {text}. Use a name without .csv.")
    if not text.endswith(endings) and (not may_be_folder or text in ("-", "")):
        named = " or ".join(", ".join(endings).rsplit(", ", 1))
        folder = ", or a folder" if may_be_folder else ""
        raise InputNotFoundError(f"Unsupported output {text!r}. Use a file with the extension {named}{folder}.")
    if "://" in text:
        return text
    path = Path(text)
    if not may_be_folder or not path.is_dir():
        require_file(text)
    elif text.endswith(".csv") or not _is_spark_output(path):
        raise InputNotFoundError(f"{text} can't be written: it is a folder with other files.")
    return text


def require_file(text: str) -> None:
    """Raises InputNotFoundError for a path at which no file can be written."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise InputNotFoundError(f"{text} can't be written: folder {path.parent} does not exist.")
    if path.is_dir():
        raise InputNotFoundError(f"{text} can't be written: it is a folder.")


def _is_spark_output(folder: Path) -> bool:
    return all(each.name.startswith(_SPARK_PREFIXES) and each.is_file() for each in folder.iterdir())


@contextmanager
def atomic_replace(text: str) -> Iterator[Path]:
    """Yields a temporary path that replaces `text` at the end of the block; on an error nothing is changed.

    Raises InvalidInputError if it can't be written.
    """
    if "://" in text:
        # An object store publishes a file when its writer is closed, even after an error.
        with tempfile.TemporaryDirectory(prefix="regulars-") as folder:
            path = Path(folder) / f"values{Path(text).suffix}"
            yield path
            object_stores.upload(path, text)
        return
    target = Path(os.path.realpath(text))
    temporary = target.with_name(f".{uuid.uuid4().hex}-{target.name}")
    try:
        yield temporary
        _swap(temporary, target)
    except OSError as error:
        raise InvalidInputError(f"{text} can't be written: {error.strerror}.") from None
    finally:
        _remove(temporary)


def _swap(temporary: Path, target: Path) -> None:
    if not target.is_dir():
        if temporary.is_dir():
            target.unlink(missing_ok=True)
        temporary.replace(target)
        return
    previous = temporary.with_name(f"{temporary.name}-previous")
    target.rename(previous)
    temporary.rename(target)
    _remove(previous)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
