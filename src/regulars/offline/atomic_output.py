"""Where values are written to: what stood there before is replaced only when what is new is whole."""

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
_OF_SPARK = ("part-", "_", ".")


def resolve_output(output: str | Path, *, may_be_folder: bool, endings: tuple[str, ...] = _FILES) -> str:
    """An output as a path or a URL. Raises InputNotFoundError for one that can't be written to."""
    text = local_path(output)
    if "://" in text and may_be_folder and text.endswith(".csv"):
        raise InputNotFoundError(f"Spark writes a folder of Parquet files to {text}: name it without .csv.")
    if not text.endswith(endings) and (not may_be_folder or text in ("-", "")):
        named = " or ".join(", ".join(endings).rsplit(", ", 1))
        folder = ", or a folder" if may_be_folder else ""
        raise InputNotFoundError(f"values can't be written to {text!r}: name a file that ends in {named}{folder}.")
    if "://" in text:
        return text
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise InputNotFoundError(f"{text} can't be written: there is no folder {path.parent}.")
    if path.is_dir() and not (may_be_folder and not text.endswith(".csv") and _is_of_spark(path)):
        raise InputNotFoundError(f"{text} can't be written: it is a folder that holds something else.")
    return text


def _is_of_spark(folder: Path) -> bool:
    return all(each.name.startswith(_OF_SPARK) and each.is_file() for each in folder.iterdir())


@contextmanager
def atomic_replace(text: str) -> Iterator[Path]:
    """A path to write to; what is there in the end takes the place that `text` names, and else nothing is changed.

    Raises InvalidInputError where it can't be written.
    """
    if "://" in text:
        # A store shows a file as soon as a writer of it stops, and be it for an error.
        with tempfile.TemporaryDirectory(prefix="regulars-") as folder:
            path = Path(folder) / f"values{Path(text).suffix}"
            yield path
            object_stores.upload(path, text)
        return
    target = Path(os.path.realpath(text))
    beside = target.with_name(f".{uuid.uuid4().hex}-{target.name}")
    try:
        yield beside
        _swap(beside, target)
    except OSError as error:
        raise InvalidInputError(f"{text} can't be written: {error.strerror}.") from None
    finally:
        _remove(beside)


def _swap(beside: Path, target: Path) -> None:
    if not target.is_dir():
        if beside.is_dir():
            target.unlink(missing_ok=True)
        beside.replace(target)
        return
    before = beside.with_name(f"{beside.name}-before")
    target.rename(before)
    beside.rename(target)
    _remove(before)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
