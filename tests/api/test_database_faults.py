"""A database fault is 503 for every request: no row is rejected, and the same request succeeds afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
import structlog
from psycopg import connect

from clubs import Club, ManualClock, create_club
from ingest.provider_client import ProviderClient, verification_key
from postgres_servers import Servers, copy_migrated, of_database
from regulars.api import imports
from regulars.auth import tokens
from regulars.auth.tokens import NewToken
from regulars.ingest.providers.registry import PROVIDERS_BY_NAME
from regulars.model.community import NewCommunity
from regulars.rollups import partitions
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.errors import CommitStatusUnknownError
from regulars.storage.migrate import role_of
from regulars.web import errors

NAME = "faults"
WRITTEN = ("transactions", "sending_events", "rate_limits")


@dataclass
class Subject:
    """A club in its own database, in which faults are injected; `sale` is the number of the latest sale."""

    club: Club
    provided: ProviderClient
    owner: Any
    role: str
    reporting: str
    profile_id: str
    sale: int = 0

    async def settings(self, statement: str) -> None:
        """Changes settings of the role for all new connections, and replaces the existing ones."""
        await self.owner.execute(f"ALTER ROLE {self.role} IN DATABASE {NAME} {statement}")
        await self.club.database.pool.expire_connections()


@pytest_asyncio.fixture(scope="module")
async def subject(servers: Servers) -> AsyncIterator[Subject]:
    """The club."""
    urls = servers.urls("embedded")
    copy_migrated(urls[0], NAME)
    owner_url, app_url = (of_database(url, NAME) for url in urls)
    clock = ManualClock()
    owner = await asyncpg.connect(owner_url)
    new = NewCommunity(slug="club", name="Club", country="NO", timezone="UTC", currency="NOK")
    async with Database(app_url, 2, clock) as database:
        await retention.maintain_partitions(database, 7)
        await partitions.ensure(database)
        async for club in create_club(database, clock, new):
            provided = ProviderClient(club)
            await provided.set_up("sendgrid", verification_key())
            async with database.unscoped_connection() as connection:
                named = NewToken(club.community.organization_id, "reports", ("Reporting:*",))
                reporting = await tokens.create(connection, named, clock())
            answer = await club.http.post("/api/v3/profiles", json={"external_id": "M1"})
            profile_id = answer.json()["data"]["id"]
            yield Subject(club, provided, owner, role_of(app_url), reporting, profile_id)
    await owner.close()
    with connect(urls[0], autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)".encode())


# Requests ----------------------------------------------------------------------------------------------

SendRequest = Callable[[Subject], Awaitable[httpx.Response]]


async def _post(subject: Subject, path: str, body: object) -> httpx.Response:
    return await subject.club.http.post(f"/api/v3/transactions{path}", json=body)


async def post_one(subject: Subject) -> httpx.Response:
    at = {"transacted_at": "2026-10-01 12:00:00", "timezone": "UTC", "items": []}
    return await _post(subject, "", {"external_id": f"T{subject.sale}", "total": 1, **at})


async def post_batch(subject: Subject, path: str = "/batch.json") -> httpx.Response:
    at = {"transacted_at": "2026-10-01 12:00:00", "timezone": "UTC", "items": []}
    return await _post(subject, path, {"transactions": [{"external_id": f"T{subject.sale}", "total": 1, **at}]})


async def import_csv(subject: Subject) -> httpx.Response:
    content = f"external_id,profile,transacted_at,total\nT{subject.sale},M1,2026-10-01T12:00:00Z,1\n"
    headers = {"Content-Type": "text/csv"}
    return await subject.club.http.post("/v1/import/transactions", content=content, headers=headers)


async def import_ndjson(subject: Subject) -> httpx.Response:
    content = f'{{"external_id": "T{subject.sale}", "transacted_at": "2026-10-01T12:00:00Z", "total": 1}}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    return await subject.club.http.post("/v1/import/transactions", content=content, headers=headers)


async def webhook(subject: Subject) -> httpx.Response:
    event = subject.provided.sendgrid_event("open", sg_event_id=f"T{subject.sale}")
    return await subject.provided.sendgrid([event])


async def read(subject: Subject) -> httpx.Response:
    return await subject.club.http.get("/api/v3/transactions")


async def read_quickly(subject: Subject) -> httpx.Response:
    return await subject.club.http.get(f"/api/v3/profiles/{subject.profile_id}/aggregations")


async def report(subject: Subject) -> httpx.Response:
    headers = {"X-Client-Authorization": subject.reporting, "X-Customer": "all=all"}
    return await subject.club.http.post(
        "/v1/reporting/query", json={"report": "members_grouped_count"}, headers=headers
    )


_SALES = "SELECT count(*) FROM transactions WHERE external_id = $1"
_EVENTS = "SELECT count(*) FROM sending_events WHERE $1::text IS NOT NULL"
_NONE = "SELECT 1 WHERE $1::text IS NOT NULL"

WRITES: Mapping[SendRequest, str] = {
    post_one: _SALES,
    post_batch: _SALES,
    partial(post_batch, path="/queue"): _SALES,
    import_csv: _SALES,
    import_ndjson: _SALES,
    webhook: _EVENTS,
    report: _NONE,
}
"""Requests that write, and the statement that counts their rows."""

READS: Mapping[SendRequest, str] = {read: _NONE, read_quickly: _NONE}


# Faults --------------------------------------------------------------------------------------------------

Fault = Callable[[Subject], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def raising(subject: Subject, sqlstate: str) -> AsyncIterator[None]:
    """Each write fails as if the disk were full, memory exhausted or a page damaged."""
    await subject.owner.execute(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file "base/5/16384"' USING ERRCODE = '{sqlstate}'; END $$;
        """
        + "".join(
            f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION fail();" for table in WRITTEN
        )
    )
    yield
    await subject.owner.execute("DROP FUNCTION fail CASCADE")


@asynccontextmanager
async def read_only(subject: Subject) -> AsyncIterator[None]:
    """The database is read-only."""
    await subject.settings("SET default_transaction_read_only = on")
    yield
    await subject.settings("RESET ALL")


@asynccontextmanager
async def too_slow(subject: Subject) -> AsyncIterator[None]:
    """Statements exceed their timeout."""
    await subject.settings("SET statement_timeout = '100ms'")
    async with subject.owner.transaction():
        await subject.owner.execute(f"LOCK TABLE {', '.join(WRITTEN)}, profile_aggregations IN ACCESS EXCLUSIVE MODE")
        yield
    await subject.settings("RESET ALL")


@asynccontextmanager
async def revoked(subject: Subject) -> AsyncIterator[None]:
    """A privilege is revoked."""
    tables = f"{', '.join(WRITTEN)}, profile_aggregations"
    await subject.owner.execute(f"REVOKE ALL ON {tables} FROM {subject.role}")
    yield
    await subject.owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {subject.role}")


@asynccontextmanager
async def no_connections(subject: Subject) -> AsyncIterator[None]:
    """The database closes all connections and accepts none."""
    await subject.owner.execute(f"ALTER DATABASE {NAME} CONNECTION LIMIT 0")
    await subject.owner.execute(
        """
        SELECT pg_terminate_backend(pid, 5000)
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
        """
    )
    yield
    await subject.owner.execute(f"ALTER DATABASE {NAME} CONNECTION LIMIT -1")


OF_WRITES: Mapping[str, Fault] = {
    **{
        name: partial(raising, sqlstate=sqlstate)
        for name, sqlstate in {
            "disk full": "53100",
            "out of memory": "53200",
            "I/O error": "58030",
            "damaged page": "XX001",
            "no such column": "42703",
        }.items()
    },
    "read only": read_only,
}
OF_ALL: Mapping[str, Fault] = {"too slow": too_slow, "revoked": revoked, "no connections": no_connections}

CASES = [
    *((name, send) for name in OF_WRITES for send in WRITES),
    *((name, send) for name in OF_ALL for send in (*WRITES, *READS)),
]


def _id(value: object) -> str:
    if isinstance(value, partial):
        return "queue"
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize(("fault", "send"), CASES, ids=_id)
async def test_a_system_error_is_503_and_rejects_nothing(subject: Subject, fault: str, send: SendRequest) -> None:
    subject.sale += 1
    counting = {**WRITES, **READS}[send]
    before = await subject.owner.fetchval(counting, f"T{subject.sale}")
    async with AsyncExitStack() as disturbed:
        await disturbed.enter_async_context({**OF_WRITES, **OF_ALL}[fault](subject))
        with structlog.testing.capture_logs() as logged:
            answer = await send(subject)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert not {"errors", "rejections", "details"} & answer.json().keys()
    assert answer.json().get("rejected", 0) == 0
    (line,) = (each for each in logged if each["log_level"] == "error")
    assert line["event"] == "request.unavailable"
    assert line["reason"] not in answer.text
    answer = await send(subject)
    assert answer.is_success, answer.text
    assert not answer.json().get("rejected")
    # Again, as by a client that has not received the response.
    await send(subject)
    stored = await subject.owner.fetchval(counting, f"T{subject.sale}")
    assert stored == before + (counting is not _NONE)


@asynccontextmanager
async def refusing(subject: Subject, table: str, condition: str, sqlstate: str) -> AsyncIterator[None]:
    """The database refuses the rows of a table that satisfy a condition."""
    await subject.owner.execute(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'relation "{table}" fails' USING ERRCODE = '{sqlstate}', DETAIL = NEW::text; END $$;
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION fail();
        """
    )
    yield
    await subject.owner.execute("DROP FUNCTION fail CASCADE")


async def test_only_the_row_that_the_database_refuses_is_rejected(subject: Subject) -> None:
    products = [{"name": name, "brand": "Acme", "external_id": name} for name in ("good", "bad")]
    async with refusing(subject, "products", "NEW.external_id = 'bad'", "23514"):
        answer = await subject.club.http.post("/api/v3/products/batch.json", json={"products": products})
    (rejected,) = answer.json()["data"]["rejected"]
    assert (answer.status_code, answer.json()["data"]["accepted"], rejected["index"]) == (200, 1, 1)
    assert rejected["message"] == "The row violates a constraint of the data model"


async def test_a_request_whose_row_the_database_refuses_is_422(subject: Subject) -> None:
    async with refusing(subject, "profiles", "true", "22008"):
        answer = await subject.club.http.put(f"/api/v3/profiles/{subject.profile_id}", json={"first_name": "Kari"})
    assert answer.status_code == 422
    assert answer.json()["message"] == "The row holds a date or time that the database can't store"


async def test_a_rejected_event_is_not_retried(subject: Subject) -> None:
    async with refusing(subject, "sending_events", "true", "22021"):
        answer = await subject.provided.sendgrid([subject.provided.sendgrid_event("open")])
    assert answer.status_code == PROVIDERS_BY_NAME["sendgrid"].rejection_status
    assert answer.json()["message"] == "The row holds a character that the database can't store"


async def test_a_commit_with_unknown_status_is_503(subject: Subject) -> None:
    answer = errors.error_response(CommitStatusUnknownError())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert b"Idempotency-Key" in bytes(answer.body)


async def test_a_read_whose_connection_is_lost_is_503(subject: Subject) -> None:
    async with subject.owner.transaction():
        await subject.owner.execute("LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.create_task(read(subject))
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while (process_id := await subject.owner.fetchval(waiting)) is None:
            assert not reading.done()
        await subject.owner.execute("SELECT pg_terminate_backend($1, 5000)", process_id)
    answer = await reading
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


async def test_a_stopped_import_reports_its_line_and_can_be_resumed(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH_ROWS", 2)
    rows = "".join(f"S{number},M1,2026-10-01T12:00:00Z,{1 if number else 'x'}\n" for number in range(6))
    content = f"external_id,profile,transacted_at,total\n{rows}"

    async def load() -> httpx.Response:
        headers = {"Content-Type": "text/csv", "Idempotency-Key": "import"}
        return await subject.club.http.post("/v1/import/transactions", content=content, headers=headers)

    await subject.owner.execute(
        """
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON transactions FOR EACH ROW WHEN (NEW.external_id = 'S3')
        EXECUTE FUNCTION fail();
        """
    )
    answer = await load()
    await subject.owner.execute("DROP FUNCTION fail CASCADE")
    assert answer.status_code == 503
    progress = answer.json()
    assert progress.pop("message") == (
        "The load stopped at line 4 because the database is not available. Rows before it: 1 accepted, 0 unchanged, "
        "1 rejected. Load the same file again: rows that are stored already are unchanged, the others are loaded."
    )
    assert progress == {"line": 4, "accepted": 1, "unchanged": 0, "rejected": 1}
    answer = (await load()).json()
    assert (answer["accepted"], answer["unchanged"], answer["rejected"]) == (4, 1, 1)
