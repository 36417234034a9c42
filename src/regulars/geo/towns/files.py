"""Where the files of towns are: made once on a machine, mapped once by a process, when they are first asked for."""

import asyncio
import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

from regulars.geo.towns import snapshot
from regulars.geo.towns.build import MIN_POPULATION
from regulars.geo.towns.towns import Towns

# Changes with the layout of the index: a process of another release finds its own.
_LAYOUT = 2


class TownFiles:
    """The towns, once they are asked for. `folder` keeps the files; where it can't, they are this process's own."""

    def __init__(self, folder: Path, min_population: int = MIN_POPULATION) -> None:
        self._folder = folder
        self._least = min_population
        self._lock = asyncio.Lock()
        self._towns: Towns | None = None

    async def load(self) -> Towns:
        """All towns; the first who asks on a machine waits for some seconds, others of a process for milliseconds."""
        if self._towns is None:
            async with self._lock:
                if self._towns is None:
                    self._towns = await asyncio.to_thread(self._opened)
        return self._towns

    def _opened(self) -> Towns:
        try:
            self._folder.expanduser().mkdir(parents=True, exist_ok=True)
            return Towns(self._made(self._folder.expanduser()))
        except OSError:
            # What is mapped stays when its file has lost its name.
            with tempfile.TemporaryDirectory(prefix="regulars-towns-") as own:
                return Towns(self._made(Path(own)))

    def _made(self, folder: Path) -> Path:
        found = folder / f"towns-{snapshot.LAYOUT}-{self._least}-{_LAYOUT}"
        # Of processes that ask at once one makes them, and the others find them made.
        with (folder / "towns.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not found.exists():
                program = [sys.executable, "-m", "regulars.geo.towns.build", str(found), str(self._least)]
                subprocess.run(program, check=True)  # noqa: S603
        return found
