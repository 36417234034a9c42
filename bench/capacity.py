"""How many machines so many members need, worked out from what the benchmarks measured: the table of docs/scale.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.result import Result

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
_BEGIN, _END = "<!-- capacity: written by `python -m bench --render` -->", "<!-- end of capacity -->"

MEMBERS = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
PURCHASES_A_YEAR = 12
READS_A_PURCHASE = 5
PEAK = 5
"""The busiest second of a day against its average."""
YEARS = 5

# Bytes on disk with indexes, of the tables that `bench bulk` fills: a transaction with two lines, a profile with its
# values and an address.
TRANSACTION_BYTES = 568 + 2 * 184
PROFILE_BYTES = 438 + 1_000 + 199

CORES, SHARE = 8, 0.5
"""A machine, and how much of it is to be in use at the peak."""
SHARD_BYTES = 4e12
"""What one server is to hold: a backup of more takes too long."""


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds of a purchase and of a read, in the server's processes and in PostgreSQL."""

    write_in_server: float
    write_in_postgresql: float
    read_in_server: float
    read_in_postgresql: float


def costs(results: Mapping[str, Result]) -> Costs:
    """What was measured with several processes. Raises KeyError where `writes` or `reads` was not run."""
    writes = {each.name: each.value / 1e6 for each in results["writes"].figures}
    reads = {each.name: each.value / 1e6 for each in results["reads"].figures}
    return Costs(
        writes["product, 4 processes, CPU of the server"],
        writes["product, 4 processes, CPU of PostgreSQL"],
        reads["CPU of the server for a read, 2 workers"],
        reads["CPU of PostgreSQL for a read, 2 workers"],
    )


def row(members: int, unit_costs: Costs) -> Sequence[str]:
    """A line of the table."""
    purchases_a_day = members * PURCHASES_A_YEAR / 365
    peak = PEAK * purchases_a_day / 86_400
    server_cores = peak * (unit_costs.write_in_server + READS_A_PURCHASE * unit_costs.read_in_server)
    database_cores = peak * (unit_costs.write_in_postgresql + READS_A_PURCHASE * unit_costs.read_in_postgresql)
    stored = members * (YEARS * PURCHASES_A_YEAR * TRANSACTION_BYTES + PROFILE_BYTES)
    shards = max(_round_up(database_cores / (CORES * SHARE)), _round_up(stored / SHARD_BYTES))
    return (
        f"{members:,}",
        f"{purchases_a_day:,.0f}",
        f"{peak:,.1f}",
        _cores(server_cores),
        _cores(database_cores),
        _size(stored),
        f"{_round_up(server_cores / (CORES * SHARE))}",
        f"{shards}",
    )


def _cores(number: float) -> str:
    return f"{number:.2f}" if number >= 0.01 else "<0.01"


def _round_up(number: float) -> int:
    return max(1, -(-number // 1).__int__())


def _size(bytes_: float) -> str:
    return f"{bytes_ / 1e12:,.1f} TB" if bytes_ >= 1e12 else f"{bytes_ / 1e9:,.0f} GB"


def table(results: Mapping[str, Result]) -> str:
    """The table as Markdown."""
    unit_costs = costs(results)
    header = (
        "members",
        "purchases a day",
        "a second at the peak",
        "API cores then",
        "PostgreSQL cores then",
        f"stored after {YEARS} years",
        "API machines",
        "PostgreSQL servers",
    )
    rows = [header, ("---:",) * len(header), *(row(members, unit_costs) for members in MEMBERS)]
    return "\n".join(f"| {' | '.join(line)} |" for line in rows)


def render_page(page: str, results: Mapping[str, Result]) -> str:
    """The page with its table as the results say."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table(results)}\n{_END}{after}"
