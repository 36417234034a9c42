"""Towns: how long a search takes, how long a thousand addresses, and what memory a process holds."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from bench.environment import BenchEnvironment
from bench.result import Findings
from bench.size import Size
from regulars.auth.tenants import TenantScope, resolve_tenants
from regulars.geo.requests import MAX_ADDRESSES, GeoAddress, PlaceSearch
from regulars.geo.search import geocode, search_places
from regulars.geo.tenant_locations import TenantLocationCache
from regulars.geo.towns.build import MIN_POPULATION, build
from regulars.geo.towns.ranking import Point
from regulars.geo.towns.towns import Town, Towns
from regulars.query.backends import Backends
from regulars.storage.database import Database

ROUNDS = 15
MOST_MS = 20
MOST_MIB = 64
FEWER = 15_000

_MEMORY = """
import sys
from pathlib import Path
from regulars.geo.towns.towns import Towns

def held():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
    return sizes["Rss"] / 1024, sizes["Anonymous"] / 1024

before = held()
towns = Towns(Path(sys.argv[1]))
for query in map(chr, range(97, 123)):
    towns.search(query, None, None, 100)
print(*(after - first for after, first in zip(held(), before, strict=True)))
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Names cut at any length, searched for as people type them."""
    least = MIN_POPULATION if size.scale == 1 else FEWER
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "towns"
        began = time.process_time()
        build(files, least)
        findings.record("files are made", time.process_time() - began, "s")
        content = sum(each.stat().st_size for each in files.iterdir()) / 2**20
        findings.record("files", content, "MiB")
        towns = Towns(files)
        findings.describe(
            f"{len(towns):,} towns of {least:,} people and more, processor time of the product's own functions. "
            f"Searches: the first 1 to 8 letters of towns drawn at random, ten results; every third within a "
            f"country, every second near a point. The seed is 7."
        )
        _searches(towns, size, findings)
        _addresses(files, size, findings)
        _memory(files, findings)
        _with_stores(environment, towns, size, findings)


def _searches(towns: Towns, size: Size, findings: Findings) -> None:
    dice = Random(7)
    drawn = [_drawn(towns, dice) for _ in range(size.rows(2_000, 20))]
    took = []
    for number, town in enumerate(drawn):
        query = town.name[: dice.randint(1, 8)]
        country = town.country if number % 3 == 0 else None
        near = Point(town.point.lat, town.point.lng) if number % 2 == 0 else None
        began = time.process_time()
        towns.search(query, country, near, 10)
        took.append(1_000 * (time.process_time() - began))
    findings.record("search, p50", statistics.median(took), "ms")
    slow = findings.record("search, p95", statistics.quantiles(took, n=20)[-1], "ms")
    findings.target_at_most(f"A search of towns, p95: under {MOST_MS} ms", slow, MOST_MS, "ms")


def _with_stores(environment: BenchEnvironment, towns: Towns, size: Size, findings: Findings) -> None:
    count = size.rows(1_000, 50)
    store = environment.database()
    club = store.create_club("places")
    with store.app_connection(club) as connection:
        connection.execute(_STORES, [club.id, count])
    store.vacuum("locations")
    slow = findings.record(
        f"search with {count:,} stores of one's own, p95, by the clock",
        asyncio.run(_search_percentiles(store.app_url, towns, size)),
        "ms",
    )
    findings.target_at_most(f"A search with {count:,} stores, p95: under {MOST_MS} ms", slow, MOST_MS, "ms")


_STORES = """
INSERT INTO locations (community_id, name, country, address, created_at, updated_at)
SELECT $1, 'Nørd ' || n, 'NO', jsonb_build_object('city', 'Oslo'), now(), now()
FROM generate_series(1, $2::int) AS n
"""


async def _search_percentiles(url: str, towns: Towns, size: Size) -> list[float]:
    """The 95th percentile of each round of searches, half of which find stores."""
    dice = Random(7)
    percentiles = []
    async with Database(url, 2) as database:
        async with database.unscoped_connection() as connection:
            customers = await resolve_tenants(connection, TenantScope(), [], ["places"])
        locations = TenantLocationCache(Backends(database))
        await search_places(PlaceSearch("nord", None, None, 10), customers, locations, towns)
        for _ in range(size.rounds(5)):
            took = []
            for number in range(size.rows(200, 20)):
                name = "nord" if number % 2 else _drawn(towns, dice).name
                requests = PlaceSearch(name[: dice.randint(2, 8)], None, Point(59.91, 10.75), 10)
                began = time.perf_counter()
                await search_places(requests, customers, locations, towns)
                took.append(1_000 * (time.perf_counter() - began))
            percentiles.append(statistics.quantiles(took, n=20)[-1])
    return percentiles


def _drawn(towns: Towns, dice: Random) -> Town:
    return towns[dice.randrange(len(towns))]


def _addresses(files: Path, size: Size, findings: Findings) -> None:
    dice, towns = Random(7), Towns(files)
    drawn = [_drawn(towns, dice) for _ in range(MAX_ADDRESSES)]
    # Kosovo has no code in ISO 3166, which identifies countries here.
    requests = [GeoAddress(each.country, each.name) for each in drawn if each.country != "XK"]
    took = []
    for _ in range(size.rounds(ROUNDS)):
        towns = Towns(files)
        began = time.process_time()
        coordinates = geocode(requests, towns)["coordinates"]
        took.append(1_000 * (time.process_time() - began))
        assert None not in coordinates
    findings.record(f"{MAX_ADDRESSES:,} addresses, each of another town", took, "ms")


def _memory(files: Path, findings: Findings) -> None:
    program = [sys.executable, "-c", _MEMORY, str(files)]
    answer = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    resident, private = map(float, answer.split())
    findings.record("resident memory of a process more, with all that it shares", resident, "MiB")
    findings.record("of that its own", private, "MiB")
    findings.target_at_most(
        f"Memory for towns: under {MOST_MIB} MB a process, shared by all", resident, MOST_MIB, "MiB"
    )
