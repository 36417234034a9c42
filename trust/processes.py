"""The folder of a run and the processes in it, which are ended with the run."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def run_folder() -> Iterator[Path]:
    """Yields a new folder, which is removed with its processes. REGULARS_TRUST_FOLDER is its parent."""
    folder = Path(tempfile.mkdtemp(prefix="regulars-trust-", dir=os.environ.get("REGULARS_TRUST_FOLDER"))).resolve()
    # The embedded PostgreSQL runs as a user of its own where the run is root's.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        end_leftovers(folder)
        shutil.rmtree(folder, ignore_errors=True)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Returns the processes with a working directory in a folder, or whose command contains it, except this one."""
    return [each for each in psutil.process_iter() if each.pid != os.getpid() and _is_in(each, folder)]


def _is_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder) or any(str(folder) in each for each in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def end_leftovers(folder: Path) -> int:
    """Kills the processes in a folder and returns their number."""
    found = processes_in(folder)
    for each in found:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(found, 10)
    return len(found)
