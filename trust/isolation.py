"""Two organizations with the same keys: no response to one contains data of the other."""

import asyncio
import itertools
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from trust.clubs import create_club
from trust.run import Run
from trust.server import RunningServer, command, connect, environment, free_port, serving
from trust.tenant import Tenant, TenantRequest, populate_all
from trust.without_tenant_conditions import COUNTS

CLIENTS = 4
"""Number of concurrent clients per organization."""
ROUNDS = 12
MEMBERS = (30, 47)
"""Number of members per organization; they differ, so that a mixed count is detected."""
SERVER_WORKERS = 2

FACTS = (
    *("brands", "locations", "products", "product_variants", "webhooks"),
    *("profiles", "identities", "addresses", "memberships", "members"),
    *("transactions", "transaction_items", "transaction_claims", "purchases"),
    *("sendings", "sending_dispatches", "sending_events", "offers", "offer_events", "link_visits"),
    *("idempotency_keys", "import_batches"),
)
"""Tables that change by requests only; background jobs change the others at any time."""


@dataclass
class _Answers:
    """The responses, and those that contain data of the other organization."""

    tenants: tuple[Tenant, Tenant]
    count: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    crossings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, tenant: Tenant, kind: str, what: str, answer: httpx.Response) -> None:
        """Searches a response to one organization for the canary and ids of the other."""
        (other,) = (each for each in self.tenants if each is not tenant)
        text = answer.text + str(answer.headers)
        self.count[kind] += 1
        self.statuses[kind, answer.status_code] += 1
        self.own[kind] += tenant.canary.lower() in text.lower()
        sent = answer.request.url.raw_path.decode() + answer.request.content.decode()
        seen = [each for each in (other.canary, *other.ids.get("profiles id", ())) if each.lower() in text.lower()]
        if crossed := [each for each in seen if each not in sent]:
            self.crossings.append(f"{what}: {answer.status_code} holds {crossed[:3]}")
        if answer.status_code >= 500:
            self.faults.append(f"{what}: {answer.status_code} {answer.text[:200]}")


def run(run: Run) -> None:
    """Runs requests of both concurrently, requests with ids of the other, and reads without conditions."""
    workers = run.scaled_count(SERVER_WORKERS, 1)
    members = [run.scaled_count(each, least) for each, least in zip(MEMBERS, (3, 5), strict=True)]
    run.describe(
        f"Two organizations of {members[0]} and {members[1]} members have the same external ids, e-mails, card "
        "numbers, Idempotency-Keys and import files; every text of each organization contains a unique canary. "
        f"{CLIENTS} clients of each concurrently send every read of the API, every report with each of its "
        f"aggregations, the values of every field, imports and writes, to the same {workers} processes. "
        "Every response is searched for the canary and the profile ids of the other organization."
    )
    run.describe(
        "Then each organization sends every request with an id with the ids of the other, and names the other's "
        "customers in reports. Finally, the same reads are sent to a server whose statements have the condition "
        "`community_id = $n` removed, so that only row-level security isolates the organizations."
    )
    with serving(run.folder / "server", workers=workers, **UNLIMITED) as server:
        asyncio.run(_with_server(run, server, members))


UNLIMITED = {f"{kind}_{name}": 10_000_000 for kind in ("general", "reporting") for name in ("burst", "rate_per_second")}
"""Settings without effective rate limits."""


async def _with_server(run: Run, server: RunningServer, members: list[int]) -> None:
    clubs = [await asyncio.to_thread(create_club, server, slug, slug) for slug in ("nord", "syd")]
    async with _client(server.url) as http:
        marks = [f"canary{run.random.getrandbits(48):012x}" for _ in clubs]
        nord, syd = (Tenant(*each, http) for each in zip(clubs, marks, members, strict=True))
        await populate_all(nord, syd)
        answers = _Answers((nord, syd))
        rounds = run.scaled_count(ROUNDS, 1)
        await _interleave(run, answers, rounds)
        run.log(f"  {sum(answers.count.values()):,} answers while interleaved")
        await _counts_are_own(run, answers)
        changed = await _cross(answers, server)
        run.log(f"  {answers.count['request with ids of the other organization']:,} requests with ids of the other")
    bare = await asyncio.to_thread(_without_conditions, run, server, nord, syd)
    _record(run, answers, changed, bare)
    verified = (await asyncio.to_thread(command, server.folder, "verify")).splitlines()
    holds = len(verified) == 2 and all(line.endswith(" 0 differences") for line in verified)
    run.check("`regulars verify` finds no differences in either organization", "; ".join(verified), holds)


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=4 * CLIENTS))


# Interleaved ------------------------------------------------------------------------------------------------


async def _interleave(run: Run, answers: _Answers, rounds: int) -> None:
    for round_ in range(rounds):
        await asyncio.gather(
            *(
                _client_round(answers, each, number, random.Random(f"{run.seed}-{round_}-{number}"), _share(run))
                for each in answers.tenants
                for number in range(CLIENTS)
            )
        )


def _share(run: Run) -> int:
    """Returns every n-th request, or all of them in a full run."""
    return 1 if run.scale >= 0.02 else 10


async def _client_round(answers: _Answers, tenant: Tenant, number: int, draw: random.Random, share: int) -> None:
    """Sends the share of one client of all requests, in random order."""
    work = [partial(_sent, answers, tenant, "read", sent, token) for sent, token in tenant.reads()]
    work += [partial(_queried, answers, tenant, path, body) for path, body in tenant.queries()]
    work += [partial(_sent, answers, tenant, "import", sent) for sent in tenant.imports()]
    profile = tenant.ids["profiles id"][0]
    name = f"interleaved-{draw.getrandbits(32)}"
    # The key is the same in both organizations, since their clients draw the same numbers.
    sale = TenantRequest("POST", "/api/v3/transactions", tenant.sale(name, profile), {"Idempotency-Key": name})
    change = TenantRequest("PUT", f"/api/v3/profiles/{profile}", {"last_name": tenant.canary})
    work += [partial(_sent, answers, tenant, "write", sent) for sent in (sale, sale, change)]
    mine = work[number::CLIENTS]
    draw.shuffle(mine)
    for each in mine[::share]:
        await each()


async def _sent(answers: _Answers, tenant: Tenant, kind: str, sent: TenantRequest, token: str = "") -> None:
    answer = await tenant.send(sent, token or None)
    answers.take(tenant, kind, f"{sent.method} {sent.path} of {tenant.club.slug}", answer)
    if kind != "read" and answer.status_code >= 400:
        answers.faults.append(
            f"{sent.method} {sent.path} of {tenant.club.slug}: {answer.status_code} {answer.text[:200]}"
        )


async def _queried(answers: _Answers, tenant: Tenant, path: str, body: dict[str, Any]) -> None:
    answer = await tenant.report(body, path=path)
    answers.take(tenant, "report", f"{path} {body} of {tenant.club.slug}", answer)


async def _counts_are_own(run: Run, answers: _Answers) -> None:
    """Checks that each organization gets its own number of members."""
    wrong = []
    for tenant in answers.tenants:
        answer = await tenant.report({"report": "members_count"}, **{"X-Customer": "all=all"})
        answers.take(tenant, "report", "members_count of all", answer)
        counted = answer.json()["records"][0]["members_count"] if answer.status_code == 200 else answer.text
        # The profile of the batch is a member too.
        if counted != tenant.members + 1:
            wrong.append(f"{tenant.club.slug}: {counted} members, {tenant.members + 1} are its own")
    run.check_none("`members_count` of all customers counts an organization's own members", wrong, 2, "organizations")


# Ids of the other -------------------------------------------------------------------------------------------


async def _cross(answers: _Answers, server: RunningServer) -> list[str]:
    """Sends requests with ids of the other; returns the tables in which the other's rows changed."""
    changed = []
    for tenant, other in itertools.permutations(answers.tenants, 2):
        before = await asyncio.to_thread(_rows, server, other)
        for sent in tenant.cross_tenant_requests(other):
            answer = await tenant.send(sent)
            what = f"{sent.method} {sent.path} of {tenant.club.slug}"
            answers.take(tenant, "request with ids of the other organization", what, answer)
        for sent in tenant.cross_tenant_exports(other):
            answer = await tenant.send(sent, tenant.club.report_token)
            what = f"{sent.method} {sent.path} of {tenant.club.slug}"
            answers.take(tenant, "request with ids of the other organization", what, answer)
            if answer.status_code != 404:
                answers.crossings.append(f"{what}: {answer.status_code}")
        for headers in tenant.cross_tenant_headers(other):
            answer = await tenant.report({"report": "members"}, **headers)
            answers.take(tenant, "request with ids of the other organization", f"report of {headers}", answer)
            if answer.status_code not in (403, 471):
                answers.crossings.append(f"report of {headers} to {tenant.club.slug}: {answer.status_code}")
        after = await asyncio.to_thread(_rows, server, other)
        changed += [f"{table} of {other.club.slug}" for table in before if before[table] != after.get(table)]
    return changed


def _rows(server: RunningServer, tenant: Tenant) -> dict[str, str]:
    """Returns a hash of an organization's rows in each table of facts."""
    found = {}
    with connect(server.owner_url) as connection:
        for table in FACTS:
            digest = "md5(string_agg(t::text, ',' ORDER BY t::text))"
            statement = f"SELECT {digest} FROM {table} AS t WHERE community_id = %s"
            found[table] = str(connection.execute(statement.encode(), [tenant.club.id]).fetchone())
    return found


# Without conditions -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bare:
    """The responses of the server without conditions."""

    answers: _Answers
    statements: int
    conditions: int


def _without_conditions(run: Run, server: RunningServer, nord: Tenant, syd: Tenant) -> _Bare:
    with _bare_server(server) as url:
        return asyncio.run(_read_all(run, url, nord, syd))


async def _read_all(run: Run, url: str, nord: Tenant, syd: Tenant) -> _Bare:
    async with _client(url) as http:
        tenants = [
            Tenant(each.club, each.canary, each.members, http, each.ids, each.member_token) for each in (nord, syd)
        ]
        answers = _Answers((tenants[0], tenants[1]))
        await asyncio.gather(*(_read_one(answers, each, _share(run)) for each in tenants))
        counts = (await http.get(COUNTS)).json()
    return _Bare(answers, counts["statements"], counts["conditions"])


async def _read_one(answers: _Answers, tenant: Tenant, share: int) -> None:
    for sent, token in tenant.reads():
        await _sent(answers, tenant, "read", sent, token)
    for path, body in list(tenant.queries())[::share]:
        await _queried(answers, tenant, path, body)


@contextmanager
def _bare_server(server: RunningServer) -> Iterator[str]:
    """Runs a second server with one process on the same database."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "trust.without_tenant_conditions:app"]
    variables = environment(server.folder, database_url=server.app_url, workers=1, log_level="warning", **UNLIMITED)
    root = Path(__file__).parents[1]
    variables["PYTHONPATH"] = f"{root / 'src'}:{root}"
    with (server.folder / "without_tenant_conditions.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=server.folder, env=variables, stdout=log, stderr=log)
    try:
        _await_health(process, f"http://127.0.0.1:{port}", server.folder / "without_tenant_conditions.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _await_health(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the server without conditions did not come up: {log.read_text()[-2_000:]}")


# Figures ----------------------------------------------------------------------------------------------------


def _record(run: Run, answers: _Answers, changed: list[str], bare: _Bare) -> None:
    sent = sum(answers.count.values())
    run.figure("responses searched", sent + sum(bare.answers.count.values()))
    run.figure("of these, with the organization's own canary", (answers.own + bare.answers.own).total())
    run.figure("statements whose condition was removed", bare.statements)
    run.figure("conditions removed from them", bare.conditions)
    run.check_none("no response contains data of the other organization", answers.crossings, sent, "responses")
    run.check_none("no request with ids of the other organization changes its rows", changed, 2, "organizations")
    run.check_none("every request gets a response, and every write is accepted", answers.faults, sent, "responses")
    total = sum(bare.answers.count.values())
    run.check_none(
        "without conditions, no response contains data of the other organization either",
        bare.answers.crossings,
        total,
        "responses",
    )
    run.check("conditions were removed", f"{bare.conditions} from {bare.statements} statements", bare.conditions > 0)
    reads, own = answers.count["read"], answers.own["read"]
    claim = "the search finds the organization's own canary in at least a third of all reads"
    run.check(claim, f"in {own:,} of {reads:,} reads", own * 3 > reads)
    run.table(
        "Responses searched",
        ("request", "status", "number"),
        [(kind, status, number) for (kind, status), number in sorted(answers.statuses.items())],
    )
