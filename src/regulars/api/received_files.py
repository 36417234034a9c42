"""Files of what is received: they hold members' data, have no name, and are gone when they are closed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from regulars.settings import Settings

_FORMER = "regulars-import-*"
"""Names that such files had in the system's folder for temporary files."""


def folder(settings: Settings) -> Path:
    """The folder of these files, which nobody else may look into."""
    return settings.data / "received"


@contextmanager
def opened(settings: Settings) -> Iterator[BinaryIO]:
    """A new file without a name: nothing is left of it, however this process ends."""
    here: Path | None = folder(settings)
    try:
        folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        # A server whose database is elsewhere needs no data folder.
        here = None
    with tempfile.TemporaryFile(dir=here) as file:
        # Where the file system knows no files without a name, it had one for a moment.
        yield file


def remove_stale(settings: Settings) -> None:
    """Removes files that a process left which was killed."""
    stale = [*folder(settings).glob("*"), *Path(tempfile.gettempdir()).glob(_FORMER)]
    for each in stale:
        with suppress(OSError):
            if each.stat().st_uid == os.getuid():
                each.unlink()
