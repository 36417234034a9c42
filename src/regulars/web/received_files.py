"""Temporary files for received bodies: they hold members' data, have no name, and end when they are closed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from regulars.settings import Settings

_FORMER = "regulars-import-*"
"""Names of such files in earlier versions, in the system's folder for temporary files."""


def upload_folder(settings: Settings) -> Path:
    """The folder of these files, which only this user may read."""
    return settings.data_dir / "received"


@contextmanager
def open_temporary(settings: Settings) -> Iterator[BinaryIO]:
    """A new file without a name: nothing is left of it, even if this process is killed."""
    parent: Path | None = upload_folder(settings)
    try:
        upload_folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        # A server whose database is elsewhere needs no data folder.
        parent = None
    # On file systems without unnamed files, it has a name for a moment.
    with tempfile.TemporaryFile(dir=parent) as file:
        yield file


def remove_stale(settings: Settings) -> None:
    """Removes files that killed processes have left."""
    stale = [*upload_folder(settings).glob("*"), *Path(tempfile.gettempdir()).glob(_FORMER)]
    for each in stale:
        with suppress(OSError):
            if each.stat().st_uid == os.getuid():
                each.unlink()
