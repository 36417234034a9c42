"""Writes the targets that benchmarks miss into ROADMAP.md: `python -m bench.roadmap`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ROADMAP = ROOT / "ROADMAP.md"
_BEGIN, _END = "<!-- missed targets: begin -->\n", "<!-- missed targets: end -->\n"


def missed_targets() -> str:
    """The table of missed targets, in Markdown, ordered by benchmark."""
    lines = ["| benchmark | target | measured |", "|---|---|---|"]
    for path in sorted((ROOT / "bench" / "results").glob("*.json")):
        targets = _targets(json.loads(path.read_text()))
        lines += [f"| {path.stem} | {each['claim']} | {each['measured']} |" for each in targets if not each["met"]]
    return "\n".join(lines) + "\n"


def with_missed_targets(page: str) -> str:
    """The page with its table replaced by today's."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + missed_targets() + _END + after


def _targets(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "met" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _targets(each)


def write() -> None:
    """Writes the missed targets of the stored results into the page."""
    ROADMAP.write_text(with_missed_targets(ROADMAP.read_text()))


if __name__ == "__main__":
    write()
