"""The search files of towns: built once on a machine, mapped once by each process, on first use."""

import asyncio
import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

from regulars.geo.towns import snapshot
from regulars.geo.towns.build import MIN_POPULATION
from regulars.geo.towns.towns import Towns

# Changes with the layout of the index, so that processes of another release use their own.
_LAYOUT = 3


class TownFiles:
    """Loads the towns on first use. Files are in `folder`, or in a temporary folder where it is not writable."""

    def __init__(self, folder: Path, min_population: int = MIN_POPULATION) -> None:
        self._folder = folder
        self._min_population = min_population
        self._lock = asyncio.Lock()
        self._towns: Towns | None = None

    async def load(self) -> Towns:
        """The towns. The first call on a machine takes seconds, the first call of a process milliseconds."""
        if self._towns is None:
            async with self._lock:
                if self._towns is None:
                    self._towns = await asyncio.to_thread(self._open)
        return self._towns

    def _open(self) -> Towns:
        try:
            self._folder.expanduser().mkdir(parents=True, exist_ok=True)
            return Towns(self._build(self._folder.expanduser()))
        except OSError:
            # Mapped files stay accessible after they are deleted.
            with tempfile.TemporaryDirectory(prefix="regulars-towns-") as own:
                return Towns(self._build(Path(own)))

    def _build(self, folder: Path) -> Path:
        found = folder / f"towns-{snapshot.LAYOUT}-{self._min_population}-{_LAYOUT}"
        # One process builds the files, others wait for it.
        with (folder / "towns.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not found.exists():
                program = [sys.executable, "-m", "regulars.geo.towns.build", str(found), str(self._min_population)]
                subprocess.run(program, check=True)  # noqa: S603
        return found
