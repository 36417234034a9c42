"""Pages of the dashboard: the cost of each entry page, and purchases while pages are opened."""

import asyncio
import itertools
import time
import urllib.request
from collections.abc import Iterator

from bench import load_generator
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.load_generator import Load, Request
from bench.requests import writes
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.serving import UNLIMITED_REPORTS, RunningServer, serve
from bench.size import Size
from regulars.auth import passwords, roles, sessions, users
from regulars.auth.users import NewUser
from regulars.dashboard.registry import PAGES
from regulars.storage.database import Database

MAX_MS = 100
PURCHASES = 100
PAGES_PER_SECOND = 4
CONNECTIONS = 32
_PENDING = b"copied into memory"
"""In a page that does not wait for members."""

ENTRIES = [each for each in PAGES if each.is_entry]


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The entry pages of the navigation, signed in as an administrator."""
    members = size.rows(3_000_000, 2_000)
    findings.describe(
        f"{members:,} members with as many purchases. Each page of the navigation is opened by one client, without its "
        f"files, which browsers store, until nothing is left out any more, and then again and again. Then {PURCHASES} "
        f"purchases a second alone, and with {PAGES_PER_SECOND} pages a second of all kinds in turn, in the same process."
    )
    store = environment.database()
    club = store.create_club("pages")
    seed_database(store, club, members, members)
    with store.owner_connection() as connection:
        connection.execute(sql("fill_members").replace("$1", str(club.id)).encode())
    store.vacuum("members")
    secret = asyncio.run(_sign_in(store, club))
    with serve(environment, store, 1, data_dir=str(environment.folder / "served"), **UNLIMITED_REPORTS) as server:
        for entry in ENTRIES:
            _measure(server, entry.path, secret, size, findings)
        _measure_purchases(server, club, secret, members, size, findings)


async def _sign_in(store: BenchDatabase, club: BenchClub) -> str:
    """Creates an administrator and returns the secret of a session."""
    async with Database(store.app_url, 1) as database:
        async with database.unscoped_connection() as connection:
            organization_id = await connection.fetchval(
                "SELECT organization_id FROM communities WHERE id = $1", club.id
            )
        async with database.organization_transaction(organization_id) as connection:
            role = await roles.create(connection, organization_id, roles.ADMINISTRATOR, database.clock())
            new = NewUser("bench@pages.example", "Bench", role.id, passwords.hash_password(passwords.generate()))
            user = await users.create(connection, organization_id, new, database.clock())
        return await sessions.create(database, organization_id, user_id=user.id)


def _page_request(path: str, secret: str) -> Request:
    head = f"GET {path} HTTP/1.1\r\nhost: bench\r\ncookie: regulars_session={secret}\r\n\r\n"
    return "page", head.encode()


def _html(call: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(call, timeout=120) as response:  # noqa: S310 - of this machine
        content: bytes = response.read()
    return content


def _measure(server: RunningServer, path: str, secret: str, size: Size, findings: Findings) -> None:
    """Opens a page again and again, after once: the first time has members copied into memory."""
    began = time.perf_counter()
    call = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}", headers={"Cookie": f"regulars_session={secret}"}
    )
    html = _html(call)
    findings.record(f"{path}: first time", 1000 * (time.perf_counter() - began), "ms")
    while _PENDING in html:
        html = _html(call)
    findings.record(f"{path}: complete after", 1000 * (time.perf_counter() - began), "ms")
    before = server.cpu_seconds()
    load = load_generator.closed_loop(
        server.port, itertools.repeat(_page_request(path, secret)), 1, size.seconds(5)
    ).require(200)
    used = 1000 * (server.cpu_seconds() - before) / load.responses
    findings.record(f"{path}: CPU of the server", used, "ms")
    median = findings.record(f"{path}: p50", load.percentile(50), "ms")
    findings.record(f"{path}: HTML", len(html) / 1000, "kB")
    findings.target_at_most(f"{path} in under {MAX_MS} ms on the server", median, MAX_MS, "ms")


def _measure_purchases(
    server: RunningServer, club: BenchClub, secret: str, members: int, size: Size, findings: Findings
) -> None:
    seconds = size.seconds(20)
    load_alone = _purchase(server, club, (), members, seconds)
    load_with_pages = _purchase(server, club, [_page_request(each.path, secret) for each in ENTRIES], members, seconds)
    findings.record("a purchase, alone: p99", load_alone.percentile(99, "purchase"), "ms")
    findings.record("a purchase beside pages: p99", load_with_pages.percentile(99, "purchase"), "ms")
    findings.record("a page beside purchases: p50", load_with_pages.percentile(50, "page"), "ms")
    findings.record("a page beside purchases: p99", load_with_pages.percentile(99, "page"), "ms")
    findings.record(
        "pages beside purchases", len(load_with_pages.latencies["page"]) / load_with_pages.seconds, "a second"
    )


def _purchase(
    server: RunningServer, club: BenchClub, pages: tuple[()] | list[Request], members: int, seconds: float
) -> Load:
    """Purchases at a fixed rate, with pages among them at theirs."""
    number = int(PURCHASES * seconds) + CONNECTIONS
    purchases = writes(club, "/api/v3/transactions", range(1, min(members, 100_000) + 1), number, "purchase")

    def requests() -> Iterator[Request]:
        turns = itertools.cycle(pages)
        for count, purchase in enumerate(purchases):
            yield purchase
            if pages and count % (PURCHASES // PAGES_PER_SECOND) == 0:
                yield next(turns)

    rate = PURCHASES + (PAGES_PER_SECOND if pages else 0)
    return load_generator.open_loop(server.port, requests(), CONNECTIONS, seconds, rate).require(200, 201)
