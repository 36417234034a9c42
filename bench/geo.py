"""Towns: the cost of a search, of a thousand addresses, and the memory of a process."""

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
MAX_MS = 20
MAX_MIB = 64
SMALL_RUN_POPULATION = 15_000

_MEMORY = """
import sys
from pathlib import Path
from regulars.geo.towns.towns import Towns

def resident_memory():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
    return sizes["Rss"] / 1024, sizes["Anonymous"] / 1024

before = resident_memory()
towns = Towns(Path(sys.argv[1]))
for query in map(chr, range(97, 123)):
    towns.search(query, None, None, 100)
print(*(after - first for after, first in zip(resident_memory(), before, strict=True)))
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Names cut at any length, searched for as people type them."""
    min_population = MIN_POPULATION if size.scale == 1 else SMALL_RUN_POPULATION
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "towns"
        began = time.process_time()
        build(files, min_population)
        findings.record("files are made", time.process_time() - began, "s")
        content = sum(each.stat().st_size for each in files.iterdir()) / 2**20
        findings.record("files", content, "MiB")
        towns = Towns(files)
        findings.describe(
            f"{len(towns):,} towns of {min_population:,} people and more, processor time of the product's own functions. "
            f"Searches: the first 1 to 8 letters of towns drawn at random, ten results; every third within a "
            f"country, every second near a point. The seed is 7."
        )
        _searches(towns, size, findings)
        _addresses(files, size, findings)
        _memory(files, findings)
        _with_stores(environment, towns, size, findings)


def _searches(towns: Towns, size: Size, findings: Findings) -> None:
    generator = Random(7)
    sample = [_random_town(towns, generator) for _ in range(size.rows(2_000, 20))]
    latencies = []
    for number, town in enumerate(sample):
        query = town.name[: generator.randint(1, 8)]
        country = town.country if number % 3 == 0 else None
        near = Point(town.point.lat, town.point.lng) if number % 2 == 0 else None
        began = time.process_time()
        towns.search(query, country, near, 10)
        latencies.append(1_000 * (time.process_time() - began))
    findings.record("search, p50", statistics.median(latencies), "ms")
    p95 = findings.record("search, p95", statistics.quantiles(latencies, n=20)[-1], "ms")
    findings.target_at_most(f"A search of towns, p95: under {MAX_MS} ms", p95, MAX_MS, "ms")


def _with_stores(environment: BenchEnvironment, towns: Towns, size: Size, findings: Findings) -> None:
    count = size.rows(1_000, 50)
    store = environment.database()
    club = store.create_club("places")
    with store.app_connection(club) as connection:
        connection.execute(_STORES, [club.id, count])
    store.vacuum("locations")
    p95 = findings.record(
        f"search with {count:,} stores of one's own, p95, by the clock",
        asyncio.run(_search_percentiles(store.app_url, towns, size)),
        "ms",
    )
    findings.target_at_most(f"A search with {count:,} stores, p95: under {MAX_MS} ms", p95, MAX_MS, "ms")


_STORES = """
INSERT INTO locations (community_id, name, country, address, created_at, updated_at)
SELECT $1, 'Nørd ' || n, 'NO', jsonb_build_object('city', 'Oslo'), now(), now()
FROM generate_series(1, $2::int) AS n
"""


async def _search_percentiles(url: str, towns: Towns, size: Size) -> list[float]:
    """The 95th percentile of each round of searches, half of which find stores."""
    generator = Random(7)
    percentiles = []
    async with Database(url, 2) as database:
        async with database.unscoped_connection() as connection:
            tenants = await resolve_tenants(connection, TenantScope(), [], ["places"])
        locations = TenantLocationCache(Backends(database))
        await search_places(PlaceSearch("nord", None, None, 10), tenants, locations, towns)
        for _ in range(size.rounds(5)):
            latencies = []
            for number in range(size.rows(200, 20)):
                name = "nord" if number % 2 else _random_town(towns, generator).name
                search = PlaceSearch(name[: generator.randint(2, 8)], None, Point(59.91, 10.75), 10)
                began = time.perf_counter()
                await search_places(search, tenants, locations, towns)
                latencies.append(1_000 * (time.perf_counter() - began))
            percentiles.append(statistics.quantiles(latencies, n=20)[-1])
    return percentiles


def _random_town(towns: Towns, generator: Random) -> Town:
    return towns[generator.randrange(len(towns))]


def _addresses(files: Path, size: Size, findings: Findings) -> None:
    generator, towns = Random(7), Towns(files)
    sample = [_random_town(towns, generator) for _ in range(MAX_ADDRESSES)]
    # Kosovo has no code in ISO 3166, which identifies countries here.
    requests = [GeoAddress(each.country, each.name) for each in sample if each.country != "XK"]
    latencies = []
    for _ in range(size.rounds(ROUNDS)):
        towns = Towns(files)
        began = time.process_time()
        coordinates = geocode(requests, towns)["coordinates"]
        latencies.append(1_000 * (time.process_time() - began))
        assert None not in coordinates
    findings.record(f"{MAX_ADDRESSES:,} addresses, each of another town", latencies, "ms")


def _memory(files: Path, findings: Findings) -> None:
    program = [sys.executable, "-c", _MEMORY, str(files)]
    output = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    resident, private = map(float, output.split())
    findings.record("resident memory of a process more, with all that it shares", resident, "MiB")
    findings.record("of that its own", private, "MiB")
    findings.target_at_most(f"Memory for towns: under {MAX_MIB} MB a process, shared by all", resident, MAX_MIB, "MiB")
