"""Faults of the database: every request gets 503, no row is rejected and no write is lost."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
import psycopg

from regulars.storage import embedded
from trust.clubs import create_club
from trust.run import Run
from trust.server import RunningServer, connect, serving
from trust.tenant import NDJSON, V3, Tenant, TenantRequest

Owner = psycopg.Connection[tuple[object, ...]]
Fault = Callable[[RunningServer], AbstractContextManager[None]]

TEXT = "fault text of the database"
"""Is part of the message of every error, and must not be in any response."""

SQLSTATES = {
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "54000": "program limit exceeded",
    "55000": "object not in prerequisite state",
    "57014": "query canceled",
    "57P04": "database dropped",
    "58030": "I/O error",
    "42501": "insufficient privilege",
    "42703": "undefined column",
    "0A000": "feature not supported",
    "XX000": "internal error",
    "XX001": "data corrupted",
}


def run(run: Run) -> None:
    """Sends every request during each fault, and the same requests afterwards."""
    faults = dict(list(_faults().items())[:: 1 if run.scale >= 1 else 5])
    run.describe(
        f"{len(faults)} faults of the database, one after the other: errors with {len(SQLSTATES)} codes from "
        "every table's writes, a read-only server, statement timeouts, revoked privileges, and a database that "
        "accepts no connections. During each, every kind of write is sent, and, if the fault affects reads as "
        "well, every kind of read. After the fault, the same writes are sent twice."
    )
    with serving(run.folder / "server", workers=2) as server:
        club = create_club(server)
        asyncio.run(_all(run, server, Tenant(club, "canary", 3, httpx.AsyncClient()), faults))


@dataclass
class _Findings:
    during: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    by_fault: dict[str, tuple[int, int]] = field(default_factory=dict)


async def _all(run: Run, server: RunningServer, tenant: Tenant, faults: Mapping[str, tuple[Fault, bool]]) -> None:
    findings = _Findings()
    limits = httpx.Limits(max_connections=4)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
        tenant = replace(tenant, http=http)
        await tenant.populate()
        for number, (name, (fault, stops_reads)) in enumerate(faults.items()):
            run.log(f"  {name}")
            await _one(server, tenant, name, fault, _writes(tenant, number), stops_reads, findings)
    sent = findings.during.total()
    run.figure("faults", len(faults))
    run.figure("requests during a fault", sent)
    run.figure("requests after a fault", sum(after for _, after in findings.by_fault.values()))
    run.check_none(
        "every request during a fault is answered with 503 and Retry-After", findings.wrong, sent, "requests"
    )
    run.check_none("no response quotes the database or rejects a row", findings.quoted, sent, "requests")
    run.check_none("the same write succeeds after the fault", findings.failed, len(faults), "faults")
    run.check_none(
        "each of these writes is stored once, although it was sent three times", findings.doubled, len(faults), "faults"
    )
    rows = [(name, during, after) for name, (during, after) in findings.by_fault.items()]
    run.table("Requests by fault", ("fault", "during", "after"), rows)
    run.table("Responses during a fault", ("status", "number"), sorted(findings.during.items()))


async def _one(
    server: RunningServer,
    tenant: Tenant,
    name: str,
    fault: Fault,
    writes: list[TenantRequest],
    stops_reads: bool,
    findings: _Findings,
) -> None:
    reads = [(sent, token) for sent, token in tenant.reads()] if stops_reads else []
    with fault(server):
        for sent, token in [*((each, "") for each in writes), *reads]:
            answer = await tenant.send(sent, token or None)
            _take(findings, f"{name}: {sent.method} {sent.path}", answer)
    await _recovered(tenant)
    for sent in [*writes, *writes]:
        answer = await tenant.send(sent)
        accepted = answer.status_code < 300 or (sent.method == "DELETE" and answer.status_code == 404)
        if not accepted or (answer.content and _rejected(answer)):
            findings.failed.append(f"{name}, over: {sent.method} {sent.path}: {answer.status_code} {answer.text[:200]}")
    findings.by_fault[name] = (len(writes) + len(reads), 2 * len(writes))
    findings.doubled += _doubled(server, tenant, name)


def _take(findings: _Findings, what: str, answer: httpx.Response) -> None:
    findings.during[str(answer.status_code)] += 1
    if answer.status_code != 503 or not answer.headers.get("retry-after"):
        findings.wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
    if TEXT in answer.text or _rejected(answer):
        findings.quoted.append(f"{what}: {answer.text[:200]}")


def _rejected(answer: httpx.Response) -> object:
    try:
        shown = answer.json()
    except ValueError:
        return None
    data = shown.get("data")
    return shown.get("rejected") or (isinstance(data, dict) and data.get("rejected"))


async def _recovered(tenant: Tenant) -> None:
    """Waits until the server has reconnected."""
    for _ in range(100):
        answer = await tenant.http.get("/api/health")
        if answer.status_code == 200:
            return
        await asyncio.sleep(0.1)


_REPEATED = """
SELECT receipt_ref, count(*) FROM transactions WHERE community_id = %s AND receipt_ref LIKE 'fault-%%'
GROUP BY receipt_ref HAVING count(*) <> 1
"""


def _doubled(server: RunningServer, tenant: Tenant, name: str) -> list[str]:
    with connect(server.owner_url) as connection:
        rows = connection.execute(_REPEATED, [tenant.club.id]).fetchall()
    return [f"{name}: {receipt} is stored {count} times" for receipt, count in rows]


def _writes(tenant: Tenant, number: int) -> list[TenantRequest]:
    """Returns a request of each kind of write, with new objects."""
    profile, transaction = tenant.ids["profiles id"][0], tenant.ids["transactions id"][0]
    names = iter(f"fault-{number}-{place}" for place in range(100))

    def key() -> dict[str, str]:
        return {"Idempotency-Key": next(names)}

    def sale(**more: object) -> dict[str, Any]:
        body = tenant.sale(next(names), profile) | more
        return {**body, "receipt_ref": next(names)}

    def unnamed() -> dict[str, Any]:
        return {name: value for name, value in sale().items() if name != "external_id"}

    def rows(entity: str, *bodies: dict[str, Any]) -> TenantRequest:
        content = b"".join(json.dumps(each).encode() + b"\n" for each in bodies)
        return TenantRequest("POST", f"/v1/import/{entity}", content, key() | {"Content-Type": NDJSON})

    def event(entity: str) -> TenantRequest:
        return rows(entity, tenant.files()[entity][0] | {"external_id": next(names)})

    sales = f"{V3}/transactions"
    csv = f"external_id,profile,transacted_at,total\n{next(names)},member-0,2026-06-01 12:00,1\n"
    item = {"name": "Thing", "quantity": 1, "price_current": 1, "price_sell": 1}
    return [
        TenantRequest("POST", sales, sale(), key()),
        TenantRequest("POST", sales, unnamed(), key()),
        TenantRequest("POST", f"{sales}/batch.json", {"transactions": [unnamed(), unnamed()]}, key()),
        TenantRequest("POST", f"{sales}/queue", {"transactions": [unnamed(), unnamed()]}, key()),
        TenantRequest("POST", f"{sales}/update-create", sale(), key()),
        TenantRequest("PUT", f"{sales}/{transaction}", {"total": 10 + number}),
        TenantRequest("POST", f"{sales}/{transaction}/items", item, key()),
        TenantRequest("POST", "/v1/import/transactions", csv.encode(), key() | {"Content-Type": "text/csv"}),
        rows("transactions", sale(), sale()),
        rows("profiles", {"external_id": next(names)}),
        rows("memberships", {"profile": "member-0", "type": "in", "at": "2026-01-01", "external_id": next(names)}),
        rows("locations", {"external_id": next(names), "name": "Store"}),
        rows("products", {"external_id": next(names), "name": "Thing"}),
        event("sending_events"),
        event("link_visits"),
        event("offer_events"),
        TenantRequest("POST", f"{V3}/profiles", {"external_id": next(names)}, key()),
        TenantRequest("PUT", f"{V3}/profiles/{profile}", {"last_name": next(names)}),
        TenantRequest(
            "POST", f"{V3}/profiles/batch.json", {"profiles": [{"email": f"{next(names)}@example.com"}]}, key()
        ),
        TenantRequest("POST", f"{V3}/profiles/{profile}/addresses", {"city": "Oslo"}, key()),
        TenantRequest("POST", f"{V3}/profiles/{profile}/identities", {"handle": next(names), "identifier": "1"}, key()),
        TenantRequest("POST", f"{V3}/locations", {"external_id": next(names)}, key()),
        TenantRequest("POST", f"{V3}/locations/batch.json", {"locations": [{"external_id": next(names)}]}, key()),
        TenantRequest("POST", f"{V3}/products", {"external_id": next(names), "name": "Thing"}, key()),
        TenantRequest(
            "POST", f"{V3}/products/batch.json", {"products": [{"external_id": next(names), "name": "Thing"}]}, key()
        ),
        TenantRequest("POST", f"{V3}/brands", {"name": next(names)}, key()),
        TenantRequest("POST", f"{V3}/webhooks", {"trigger": "aggregation.changed", "url": "https://a.example"}, key()),
    ]


# Faults -----------------------------------------------------------------------------------------------------


def _faults() -> dict[str, tuple[Fault, bool]]:
    """Returns each fault, and whether it affects reads as well."""
    return {
        **{f"{name} ({code}) on writes": (partial(_raising, code), False) for code, name in SQLSTATES.items()},
        "read-only": (_read_only, False),
        "statement timeout": (_too_slow, True),
        "privileges revoked": (_revoked, True),
        "no connections": (_no_connections, True),
    }


_TABLES = """
SELECT c.relname::text FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'community_id')
    AND c.relname <> 'tokens'
"""


def _tables(owner: Owner) -> list[str]:
    return [str(row[0]) for row in owner.execute(_TABLES).fetchall()]


def _run(owner: Owner, *statements: str) -> None:
    for each in statements:
        owner.execute(each.encode())


_WRITES = "INSERT OR UPDATE OR DELETE"


@contextmanager
def _raising(code: str, server: RunningServer) -> Iterator[None]:
    with connect(server.owner_url) as owner:
        tables = _tables(owner)
        _run(
            owner,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{TEXT}' USING ERRCODE = '{code}', DETAIL = '{TEXT}'; END $$",
            *(
                f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON {each} EXECUTE FUNCTION fail()"
                for each in tables
            ),
        )
        try:
            yield
        finally:
            _run(owner, "DROP FUNCTION fail CASCADE")


_END_CONNECTIONS = f"""
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{embedded.APP_ROLE}'
"""


@contextmanager
def _role(owner: Owner, setting: str) -> Iterator[None]:
    _run(owner, f"ALTER ROLE {embedded.APP_ROLE} SET {setting}", _END_CONNECTIONS)
    try:
        yield
    finally:
        _run(owner, f"ALTER ROLE {embedded.APP_ROLE} RESET ALL", _END_CONNECTIONS)


@contextmanager
def _read_only(server: RunningServer) -> Iterator[None]:
    with connect(server.owner_url) as owner, _role(owner, "default_transaction_read_only = on"):
        yield


@contextmanager
def _too_slow(server: RunningServer) -> Iterator[None]:
    with connect(server.owner_url) as owner, _role(owner, "statement_timeout = '50ms'"), owner.transaction():
        _run(owner, f"LOCK TABLE {', '.join(_tables(owner))} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def _revoked(server: RunningServer) -> Iterator[None]:
    with connect(server.owner_url) as owner:
        granted = {table: _granted(owner, table) for table in _tables(owner)}
        _run(owner, *(f"REVOKE ALL ON {table} FROM {embedded.APP_ROLE}" for table in granted))
        try:
            yield
        finally:
            given = {table: privileges for table, privileges in granted.items() if privileges}
            _run(
                owner, *(f"GRANT {', '.join(each)} ON {table} TO {embedded.APP_ROLE}" for table, each in given.items())
            )


def _granted(owner: Owner, table: str) -> list[str]:
    statement = "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = %s AND table_name = %s"
    return [str(row[0]) for row in owner.execute(statement, [embedded.APP_ROLE, table]).fetchall()]


@contextmanager
def _no_connections(server: RunningServer) -> Iterator[None]:
    with connect(server.owner_url) as owner:
        _run(owner, f"ALTER DATABASE {embedded.DATABASE_NAME} CONNECTION LIMIT 0", _END_CONNECTIONS)
        try:
            yield
        finally:
            _run(owner, f"ALTER DATABASE {embedded.DATABASE_NAME} CONNECTION LIMIT -1")
