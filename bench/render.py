"""Renders RESULTS.md from the last run of each benchmark."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench import against
from bench.against import Comparison
from bench.benchmark import BENCHMARKS
from bench.result import Figure, Machine, Result, Target, format_number

_OPENING = """\
# Results

Written by `python -m bench`; every line is a measurement of the last run of its benchmark. Load generator, server
and database share the machine, so figures in absolute terms are low and ratios are what counts. What is compared
takes turns in one run (A B A B ...). A figure is the median of its rounds, with the lowest and the highest in brackets.
"""


_CHARTED = {each.name: each for each in BENCHMARKS}


def render(results: Mapping[str, Result], comparisons: Mapping[str, Comparison] | None = None) -> str:
    """Renders the page, with comparisons with other commits; its charts are in a folder next to it."""
    selected = [results[each.name] for each in BENCHMARKS if each.name in results]
    parts = [_OPENING, *_overview(selected), *_machines(selected)]
    for result in selected:
        parts += _part(result)
        if comparison := (comparisons or {}).get(result.name):
            parts.append(against.render(comparison))
    return "\n".join(parts)


def _overview(results: Sequence[Result]) -> Iterator[str]:
    yield "## Targets\n"
    rows = [
        (claim_of(result, target), target.measured, _verdict(target), f"[{result.name}](#{result.name})")
        for result in results
        for target in result.targets
    ]
    yield _table(("target", "measured", "", "benchmark"), rows)
    missing = [each.name for each in BENCHMARKS if each.name not in {result.name for result in results}]
    if missing:
        yield f"Not run yet: {', '.join(missing)}.\n"


def claim_of(result: Result, target: Target) -> str:
    """The claim of a target; it says so if it was measured at a smaller size than that which it refers to."""
    return target.claim if result.scale == 1 else f"{target.claim} (at {result.scale:g} of the size: no proof)"


def _verdict(target: Target) -> str:
    return "met" if target.met else "**missed**"


def _machines(results: Sequence[Result]) -> Iterator[str]:
    machines: list[Machine] = []
    for result in results:
        if result.machine not in machines:
            machines.append(result.machine)
    yield "## Machine\n"
    for machine in machines:
        names = [result.name for result in results if result.machine == machine]
        if len(machines) > 1:
            yield f"For {', '.join(names)}:\n"
        yield f"- {machine.cores} cores, {machine.processor}; {machine.memory_gib:g} GiB; {machine.system}"
        yield f"- {_listed(machine.versions)}"
        yield f"- PostgreSQL: {_listed(machine.settings)}\n"


def _listed(items: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in items.items())


def _part(result: Result) -> Iterator[str]:
    yield f'## <a id="{result.name}"></a>{result.title}\n'
    yield f"`{result.command}`, {result.began}, {result.seconds / 60:.1f} minutes.\n"
    for text in result.how:
        yield f"- {text}"
    yield ""
    if result.targets:
        rows = [(target.claim, target.measured, _verdict(target)) for target in result.targets]
        yield _table(("target", "measured", ""), rows)
    if _CHARTED[result.name].chart_figures(result):
        yield f"![{result.title}](charts/{result.name}.png)\n"
    if result.figures:
        yield _table(("figure", "median", "spread"), [_figure(each) for each in result.figures])
    for table in result.tables:
        yield f"**{table.title}**\n"
        yield _table(table.columns, table.rows)


def _figure(figure: Figure) -> tuple[str, str, str]:
    spread = (
        ""
        if figure.rounds == 1
        else f"({format_number(figure.low)} to {format_number(figure.high)}, {figure.rounds} rounds)"
    )
    return figure.name, f"{format_number(figure.value)} {figure.unit}".strip(), spread


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
