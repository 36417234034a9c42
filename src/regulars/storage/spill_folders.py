"""Folders that DuckDB spills to when memory is exhausted; they hold data of members."""

import os
import re
import shutil
import tempfile
import uuid
from pathlib import Path

_NAMED = re.compile(r"regulars-spill-(\d+)-[0-9a-f]{32}")


def spill_folder() -> Path:
    """A folder for one connection of this process. DuckDB creates it if needed, and removes it."""
    return Path(tempfile.gettempdir()) / f"regulars-spill-{os.getpid()}-{uuid.uuid4().hex}"


def remove_stale() -> None:
    """Removes this user's folders of processes that have ended."""
    for each in Path(tempfile.gettempdir()).glob("regulars-spill-*"):
        named = _NAMED.fullmatch(each.name)
        if named is not None and not _is_running(int(named[1])) and each.lstat().st_uid == os.getuid():
            shutil.rmtree(each, ignore_errors=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
