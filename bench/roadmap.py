"""Writes the targets that benchmarks miss into ROADMAP.md: `python -m bench.roadmap`."""

from pathlib import Path

from bench import result
from bench.render import claim_of

ROADMAP = Path(__file__).parent.parent / "ROADMAP.md"
_BEGIN, _END = "<!-- missed targets: begin -->\n", "<!-- missed targets: end -->\n"


def missed_targets() -> str:
    """The table of missed targets, in Markdown, ordered by benchmark."""
    lines = ["| benchmark | target | measured |", "|---|---|---|"]
    for name, each in sorted(result.load_results(result.FOLDER).items()):
        missed = (target for target in each.targets if not target.met)
        lines += [f"| {name} | {claim_of(each, target)} | {target.measured} |" for target in missed]
    return "\n".join(lines) + "\n"


def with_missed_targets(page: str) -> str:
    """The page with its table replaced by today's."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + missed_targets() + _END + after


def write() -> None:
    """Writes the missed targets of the stored results into the page."""
    ROADMAP.write_text(with_missed_targets(ROADMAP.read_text()))


if __name__ == "__main__":
    write()
