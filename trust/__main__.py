"""`python -m trust [NAME...] [--scale 0.1] [--seed N]`: runs proofs, stores their results, writes docs/trust.md.

A run that was aborted goes on after its last finished part when it is started again.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from trust import page, result
from trust.registry import PROOFS, run_proof


def main() -> int:
    """Runs the proofs named. Exit code 1 where a check fails."""
    names = [each.name for each in PROOFS]
    parser = argparse.ArgumentParser(prog="python -m trust", description="Tests every claim of safety at length.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones; all by default: {', '.join(names)}")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the run; 1 is the full size")
    parser.add_argument("--seed", type=int, help="repeats the random choices of an earlier run")
    parser.add_argument("--results", type=Path, default=result.FOLDER, help="folder of the stored results")
    parser.add_argument("--render", action="store_true", help="only write docs/trust.md from the stored results")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"there is no proof {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    signal.signal(signal.SIGTERM, _stop)
    held = True
    for proof in () if options.render else PROOFS:
        if options.names and proof.name not in options.names:
            continue
        _say(f"{proof.name}: {proof.title}, about {proof.minutes * min(options.scale, 1):.0f} minutes")
        progress = options.results / f"{proof.name}.progress"
        found = run_proof(proof, options.scale, options.seed, progress)
        result.store(found, options.results)
        for figure in found.figures:
            _say(f"  {figure.name}: {result.number(figure.value)} {figure.unit}".rstrip())
        for check in found.checks:
            _say(f"  {'holds' if check.holds else 'FAILS'}: {check.claim}: {check.measured}")
        _say(f"  {found.seconds:.0f} s")
        held = held and found.holds
    if options.results == result.FOLDER:
        page.PAGE.write_text(page.render(result.load_all()))
        _say(f"written: {page.PAGE}")
    return 0 if held else 1


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
