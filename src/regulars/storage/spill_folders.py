"""Folders that DuckDB spills to when memory is exhausted. They contain personal data."""

import os
import re
import shutil
import tempfile
import uuid
from pathlib import Path

_NAME_PATTERN = re.compile(r"regulars-spill-(\d+)-[0-9a-f]{32}")


def spill_folder() -> Path:
    """Returns a new folder for one connection. DuckDB creates it if needed, and removes it."""
    return Path(tempfile.gettempdir()) / f"regulars-spill-{os.getpid()}-{uuid.uuid4().hex}"


def remove_stale() -> None:
    """Removes the folders of this user's processes that have ended."""
    for each in Path(tempfile.gettempdir()).glob("regulars-spill-*"):
        match = _NAME_PATTERN.fullmatch(each.name)
        if match is not None and not _is_running(int(match[1])) and each.lstat().st_uid == os.getuid():
            shutil.rmtree(each, ignore_errors=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
