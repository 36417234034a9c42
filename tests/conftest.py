"""Shared fixtures: servers for the whole run, and a community and a manual clock for each test."""

import coverage_measurement  # isort: skip  # before anything of the package is imported
import gc
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path

import psycopg
import psycopg.conninfo
import pytest
import pytest_asyncio

from clubs import Club, ManualClock, create_club
from demo_sites import DemoSite, run_demo
from hypothesis_settings import SEED
from postgres_servers import Servers, copy_migrated, create_database, is_earlier_copy, of_database
from regulars.geo.towns.files import TownFiles
from regulars.model.community import NewCommunity
from regulars.rollups import partitions
from regulars.storage import retention
from regulars.storage.database import Database

SLOW_TESTS = (
    "bench",
    "cli/test_backup.py",
    "cli/test_deployment.py",
    "cli/test_upgrading_docs.py",
    "dashboard/in_chromium",
    "demo/test_mall_loads.py",
    "deployment",
    "documentation/test_commands.py",
    "ingest/test_crashes.py",
    "loading/test_large_loads.py",
    "loading/test_precomputed_values.py",
    "segments/test_random_segments.py",
    "reports/test_random_offers.py",
    "storage/test_embedded.py",
    "storage/test_upgrade.py",
    "system",
    "trust",
)
"""Folders and modules whose tests are all slow. They run what other tests cover, in programs of its own or with more rows."""

IN_ONE_PROCESS = (
    "api/test_database_faults.py",
    "demo",
    "deployment/test_nginx.py",
    "documentation",
    "engines",
    "exports",
    "ingest/test_crashes.py",
    "offline/test_object_stores.py",
    "system/test_connections.py",
    "system/test_raw_requests.py",
    "system/test_serve.py",
)
"""Folders and modules whose tests share what takes long to start, so that one process of a run has all of them."""

_TESTS = Path(__file__).parent
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--long`, which also runs the long form of some tests."""
    parser.addoption("--long", action="store_true", help="run the tests marked long as well")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the measurement of coverage in `make test`."""
    if coverage_measurement.plugin is not None:
        config.pluginmanager.register(coverage_measurement.plugin)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the slow tests, groups those that run in one process, and deselects the long ones."""
    marks = {path: list(_marks_of(path.relative_to(_TESTS))) for path in {item.path for item in items}}
    for item in items:
        for mark in marks[item.path]:
            item.add_marker(mark)
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[each for each in items if each.get_closest_marker("long")])
        items[:] = [each for each in items if not each.get_closest_marker("long")]


def _marks_of(path: Path) -> Iterator[pytest.MarkDecorator]:
    """The marks of all tests of a module."""
    if any(path.is_relative_to(each) for each in SLOW_TESTS):
        yield pytest.mark.slow
    for each in IN_ONE_PROCESS:
        if path.is_relative_to(each):
            yield pytest.mark.xdist_group(each)


def pytest_collection_finish() -> None:
    """Exempts modules and collected tests from garbage collection, and has it run seldom: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def pytest_report_header() -> str:
    """Prints the seed that repeats the run."""
    return f"REGULARS_SEED={SEED}"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of the run."""
    with Servers() as running:
        yield running


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[DemoSite]:
    """A running demo; a tiny one if the run is not long."""
    size = "small" if request.config.getoption("--long") else "tiny"
    with run_demo(tmp_path_factory.mktemp("demo") / "data", size) as demo:
        yield demo


@pytest.fixture
def database_urls(servers: Servers, request: pytest.FixtureRequest) -> tuple[str, str]:
    """The URLs of the owner and of the app's role; see postgres_servers.on_both_servers."""
    return servers.shared_urls(getattr(request, "param", "embedded"))


@pytest.fixture(scope="session")
def towns_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of towns, which are created once per run: the processes of a run share it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "towns"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def atlas(towns_folder: Path) -> TownFiles:
    """The towns with 15,000 people or more, which are created in seconds."""
    return TownFiles(towns_folder, 15_000)


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for a database of one test. The user of the database has no access to pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        yield Path(folder)


@pytest.fixture
def empty_urls(database_urls: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """The URLs of the owner and of the app's role of an empty database."""
    name = f"own_{next(_numbers)}"
    create_database(database_urls[0], name)
    yield of_database(database_urls[0], name), of_database(database_urls[1], name)
    with psycopg.connect(database_urls[0], autocommit=True) as owner:
        owner.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def migrated_urls(empty_urls: tuple[str, str]) -> tuple[str, str]:
    """The URLs of that database, migrated."""
    copy_migrated(empty_urls[0], psycopg.conninfo.conninfo_to_dict(empty_urls[0])["dbname"])  # type: ignore[arg-type]
    return empty_urls


@pytest_asyncio.fixture
async def own_database(migrated_urls: tuple[str, str], clock: ManualClock) -> AsyncIterator[Database]:
    """A migrated database that no other test uses, with the app's role."""
    async with Database(migrated_urls[1], 4, clock) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the test's server."""
    return ManualClock()


@pytest_asyncio.fixture(scope="session")
async def pools() -> AsyncIterator[dict[str, Database]]:
    """One pool per server for the whole run, so that statements are planned once."""
    opened: dict[str, Database] = {}
    yield opened
    for each in opened.values():
        await each.close()


@pytest_asyncio.fixture
async def database(
    database_urls: tuple[str, str], clock: ManualClock, pools: dict[str, Database]
) -> AsyncIterator[Database]:
    """The database with the app's role and the clock of the test."""
    url = database_urls[1]
    if url not in pools:
        for outdated in [each for each in pools if is_earlier_copy(each, url)]:
            await pools.pop(outdated).close()
        pools[url] = Database(url, 4)
        await pools[url].open()
    database = Database(url, 4, clock)
    database.pool = pools[url].pool
    await _ensure_partitions(url, database)
    yield database


_partitions: dict[tuple[str, date], list[int]] = {}


async def _ensure_partitions(url: str, database: Database) -> None:
    """Creates the partitions of the clock's day, unless they are there since the last test of that day.

    A test with a later clock drops them.
    """
    key = url, database.clock().date()
    expected = _partitions.get(key, [])
    async with database.unscoped_connection() as connection:
        there = await connection.fetchval("SELECT count(*) FROM pg_inherits WHERE inhrelid = ANY ($1)", expected)
        if expected and there == len(expected):
            return
        await retention.maintain_partitions(database, 7)
        await partitions.ensure(database)
        rows = await connection.fetch("SELECT inhrelid FROM pg_inherits ORDER BY inhrelid")
    _partitions[key] = [row["inhrelid"] for row in rows]


@pytest_asyncio.fixture
async def club(database: Database, clock: ManualClock) -> AsyncIterator[Club]:
    """A new community in Norway with a token and a client of the API."""
    new = NewCommunity(slug=f"club-{next(_numbers)}", name="Club", country="NO", timezone="UTC", currency="NOK")
    async for made in create_club(database, clock, new):
        yield made


@pytest_asyncio.fixture
async def other_club(database: Database, clock: ManualClock) -> AsyncIterator[Club]:
    """Another community in the same database."""
    new = NewCommunity(slug=f"club-{next(_numbers)}", name="Other", country="SE", timezone="UTC", currency="SEK")
    async for made in create_club(database, clock, new):
        yield made
