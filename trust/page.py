"""Renders docs/trust.md from the last run of each proof."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from trust.registry import PROOFS
from trust.result import Figure, Machine, Result, number

PAGE = Path(__file__).parents[1] / "docs" / "trust.md"

_OPENING = """\
# Trust

Claims about safety and fault tolerance, and their measurements. `make trust` (`python -m trust`) generates this page: it
attacks and crashes a real server with its own processes and PostgreSQL, by requests over the network.
`python -m trust NAME` repeats one proof, `--seed` uses the same random choices, and `--scale 0.1` runs a tenth. Short forms
of the proofs are part of `make test-slow`.
"""


def render(results: dict[str, Result]) -> str:
    """Returns the page."""
    found = [results[each.name] for each in PROOFS if each.name in results]
    parts = [_OPENING, *_overview(found), *_machines(found)]
    for result in found:
        parts += _section(result)
    return "\n".join(parts).rstrip() + "\n"


def _overview(results: Sequence[Result]) -> Iterator[str]:
    yield "## Overview\n"
    if results:
        rows = [
            (f"[{result.title}](#{result.name})", _held(result), result.began[:10], f"`{result.command}`")
            for result in results
        ]
        yield _table(("proof", "checks that hold", "date", "command"), rows)
    names = {result.name for result in results}
    missing = [each.title for each in PROOFS if each.name not in names]
    if missing:
        yield f"Not run yet: {'; '.join(missing)}.\n"


def _held(result: Result) -> str:
    held = sum(check.holds for check in result.checks)
    text = f"{held} of {len(result.checks)}{_size(result)}"
    return text if result.holds else f"**{text}**"


def _size(result: Result) -> str:
    return "" if result.scale == 1 else f" (at {result.scale:g} of the full size)"


def _machines(results: Sequence[Result]) -> Iterator[str]:
    if not results:
        return
    machines: list[Machine] = []
    for result in results:
        if result.machine not in machines:
            machines.append(result.machine)
    yield "## Machine\n"
    for machine in machines:
        if len(machines) > 1:
            yield f"For {', '.join(result.name for result in results if result.machine == machine)}:\n"
        yield f"- {machine.cores} cores, {machine.processor}; {machine.memory_gib:g} GiB; {machine.system}"
        yield f"- {', '.join(f'{name} {version}' for name, version in machine.versions.items())}\n"


def _section(result: Result) -> Iterator[str]:
    yield f'## <a id="{result.name}"></a>{result.title}\n'
    yield f"`{result.command}`, {result.began}, {result.seconds / 60:.1f} minutes{_size(result)}.\n"
    for text in result.description:
        yield f"- {text}"
    if result.description:
        yield ""
    if result.checks:
        rows = [(check.claim, check.measured, "holds" if check.holds else "**fails**") for check in result.checks]
        yield _table(("claim", "measured", ""), rows)
    if result.figures:
        yield _table(("figure", "value"), [_figure(each) for each in result.figures])
    for table in result.tables:
        yield f"**{table.title}**\n"
        yield _table(table.columns, table.rows)


def _figure(figure: Figure) -> tuple[str, str]:
    return figure.name, f"{number(figure.value)} {figure.unit}".strip()


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
