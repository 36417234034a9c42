"""Temporary files for request bodies: they contain personal data, have no name, and are deleted when closed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from regulars.settings import Settings

_LEGACY_PATTERN = "regulars-import-*"
"""File names of earlier versions, in the folder for temporary files of the system."""


def upload_folder(settings: Settings) -> Path:
    """The folder of these files, readable by this user only."""
    return settings.data_dir / "received"


@contextmanager
def open_temporary(settings: Settings) -> Iterator[BinaryIO]:
    """Opens a new file without a name, of which nothing is left even if the process is killed."""
    parent: Path | None = upload_folder(settings)
    try:
        upload_folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        # A server with an external database needs no data folder.
        parent = None
    # On file systems without unnamed files, the file has a name for a moment.
    with tempfile.TemporaryFile(dir=parent) as file:
        yield file


def remove_stale(settings: Settings) -> None:
    """Removes files of killed processes."""
    stale = [*upload_folder(settings).glob("*"), *Path(tempfile.gettempdir()).glob(_LEGACY_PATTERN)]
    for each in stale:
        with suppress(OSError):
            if each.stat().st_uid == os.getuid():
                each.unlink()
