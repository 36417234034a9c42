"""The proofs by name, and how to run one."""

import importlib
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec

from trust.machine import machine
from trust.processes import run_folder
from trust.result import Check, Result
from trust.run import FULL_SCALE, Progress, Run


@dataclass(frozen=True)
class Proof:
    """One proof: the module of its name has `run(run: Run) -> None`.

    `minutes` is what it takes at full size on two cores; a run that takes twice as long is aborted.
    """

    name: str
    title: str
    minutes: float

    @property
    def run(self) -> Callable[[Run], None]:
        """Runs the proof."""
        found: Callable[[Run], None] = importlib.import_module(f"trust.{self.name}").run
        return found


PROOFS = (
    Proof("kills", "Processes killed under mixed writes", 15),
    Proof("webhooks", "Webhooks while processes are killed", 12),
    Proof("export_kills", "Processes killed while they write exports", 25),
    Proof("faults", "Faults of the database", 2),
    Proof("connections", "Silent and slow clients", 3),
    Proof("fuzzing", "Hostile values", 6),
    Proof("contention", "Many writers on few profiles", 2),
    Proof("isolation", "Two organizations side by side", 3),
    Proof("canaries", "Erased personal data", 2),
)


def run_proof(proof: Proof, scale: float = FULL_SCALE, seed: int | None = None, progress: Path | None = None) -> Result:
    """Runs a proof once, or the rest of it where its progress file is of an aborted run of this size.

    An exception within the proof becomes a failed check, so that the other proofs still run.
    """
    began, start = datetime.now(UTC), time.monotonic()
    chosen = _seed(scale, seed, progress)
    with run_folder() as folder:
        run = Run(folder, chosen, scale, progress)
        try:
            with _deadline(proof.minutes * 2 * max(scale, 0.5)):
                proof.run(run)
        except Exception as error:
            traceback.print_exc()
            run.checks.append(Check("the proof runs to its end", f"{type(error).__name__}: {error}"[:500], False))
    if progress is not None:
        progress.unlink(missing_ok=True)
    return Result(
        name=proof.name,
        title=proof.title,
        command=f"python -m trust {proof.name} --seed {chosen}"
        + (f" --scale {scale:g}" if scale != FULL_SCALE else ""),
        seed=chosen,
        scale=scale,
        began=began.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - start, 1),
        machine=machine(),
        description=run.description,
        figures=run.figures,
        checks=run.checks,
        tables=run.tables,
    )


def _seed(scale: float, seed: int | None, progress: Path | None) -> int:
    """Returns the seed of the run; removes a progress file of another run."""
    if progress is not None and progress.exists():
        aborted = msgspec.json.decode(progress.read_bytes(), type=Progress[msgspec.Raw])
        if aborted.scale == scale and seed in (None, aborted.seed):
            return aborted.seed
        progress.unlink()
    return random.SystemRandom().randrange(2**31) if seed is None else seed


@contextmanager
def _deadline(minutes: float) -> Iterator[None]:
    """Raises TimeoutError in the main thread when the time is up."""

    def expired(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"the proof is not finished after {minutes:g} minutes")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
