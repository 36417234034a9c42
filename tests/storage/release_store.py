"""The populated store of the last release: how it is created, and what it answers."""

from __future__ import annotations

import itertools
import json
import lzma
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from clubs import FOLDER, Club, ManualClock, create_club
from regulars.api.app import create_app
from regulars.auth import tokens
from regulars.auth.organizations import update
from regulars.demo.mall import mall
from regulars.facts import maintenance
from regulars.facts.registry import FACT_TYPES
from regulars.jobs.refresh_due import refresh_community
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.reports.registry import REPORTS
from regulars.reports.report import Report, ReportFormat
from regulars.rollups import partitions, snapshots
from regulars.settings import Settings
from regulars.storage import embedded, retention
from regulars.storage.database import Database
from regulars.verify.verify import verify
from regulars.web.context import AppContext
from reports.club_fixture import ClubFixture

SCRIPT = Path(__file__).parent.parent / "data" / "release_store.sql.xz"
"""What pg_dump writes of the store's database, in SQL."""

ANSWERS = SCRIPT.with_name("release_store.answers.json.xz")
"""The requests that were sent to the store, and what it answered."""

AS_OF = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
"""The time in the store."""

MEMBERS = 16
ORGANIZATION = "Release"

QUERY = "/v1/reporting/query"

_RANGES = {
    "5m": timedelta(hours=4),
    "1h": timedelta(days=3),
    "1d": timedelta(days=40),
    "1w": timedelta(days=200),
    "1mo": timedelta(days=1100),
}
"""By interval: how far back a timeseries goes."""


# What is in it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenPair:
    """Tokens of the store: of its club, and of its organization for reports."""

    club: str
    reporting: str


async def prepare(database: Database) -> None:
    """Prepares a migrated database as the server does at its start, by the clock of the database."""
    await retention.maintain_partitions(database, 7)
    await partitions.ensure(database)
    await maintenance.repair(database)


async def populate(database: Database, clock: ManualClock) -> TokenPair:
    """Loads the members of a mall club with all they did, and changes some of it by requests.

    Part of the changes is compacted, part is not.
    """
    clock.at = AS_OF - timedelta(minutes=45)
    await prepare(database)
    new = NewCommunity(**mall.community(), organization=ORGANIZATION)
    async for club in create_club(database, clock, new):
        fixture = ClubFixture(club)
        tables = _tables()
        assert set(tables) >= {each.name for each in FACT_TYPES.loadable()}
        for entity, rows in tables.items():
            summary = await fixture.load(entity, rows)
            assert not summary.rejections, (entity, summary.rejections[:3])
        for _ in range(2):
            await snapshots.take(database, club.community.id)
            for fact_type in FACT_TYPES:
                if fact_type.compaction is not None:
                    await fact_type.compaction.compact(database, club.community.id)
            clock.advance(minutes=15)
        await _change(club)
        await refresh_community(database, club.community.id, lambda: False)
        clock.advance(minutes=15)
        await _change_again(club)
        async with database.unscoped_connection() as connection:
            token = tokens.NewToken(club.community.organization_id, "reports", ["Reporting:*"])
            reporting = await tokens.create(connection, token, clock())
            limits = {"reporting_burst": 1_000_000_000, "general_burst": 1_000_000_000}
            await update(connection, ORGANIZATION, limits)
        assert clock.at == AS_OF
        assert await differences(database) == []
        return TokenPair(club.token, reporting)
    raise AssertionError


def _tables() -> dict[str, list[Any]]:
    """The rows of the first members, by entity."""
    profiles = list(itertools.islice(mall.profiles(as_of=AS_OF), MEMBERS))
    members = {row["external_id"] for row in profiles}

    def theirs(rows: Iterable[Any]) -> Iterator[Any]:
        return (row for row in rows if row["profile"] in members)

    anonymous = (row for row in mall.transactions(as_of=AS_OF) if row["profile"] is None)
    tables: dict[str, Iterable[Any]] = {
        "locations": mall.locations(),
        "products": mall.products(),
        "profiles": profiles,
        "memberships": theirs(mall.memberships(as_of=AS_OF)),
        "transactions": itertools.chain(theirs(mall.transactions(as_of=AS_OF)), itertools.islice(anonymous, 20)),
        "sendings": mall.sendings(as_of=AS_OF),
        "sending_events": theirs(mall.sending_events(as_of=AS_OF)),
        "offer_collections": mall.offer_collections(),
        "offers": mall.offers(as_of=AS_OF),
        "offer_events": theirs(mall.offer_events(as_of=AS_OF)),
        "link_visits": theirs(mall.link_visits(as_of=AS_OF)),
    }
    return {entity: [_plain(row) for row in rows] for entity, rows in tables.items()}


def _plain(row: Any) -> Any:
    """A row as JSON has it."""
    return json.loads(
        json.dumps(row, default=lambda value: value.isoformat() if hasattr(value, "isoformat") else float(value))
    )


async def _change(club: Club) -> None:
    """Changes that are compacted: a profile changed, one merged, one anonymized and one purged; a claim, a webhook."""
    ids = [row["id"] for row in (await _get(club, "/api/v3/profiles"))["data"]]
    await _send(club, "PUT", f"/api/v3/profiles/{ids[0]}", {"gender": "female", "birth_year": 1980})
    await _send(club, "POST", "/api/v3/profiles/merge", {"source_profile_id": ids[1], "destination_profile_id": ids[2]})
    await _send(club, "POST", f"/api/v3/profiles/{ids[3]}/depersonalise", None)
    await _send(club, "DELETE", f"/api/v3/profiles/{ids[4]}/purge", None)
    await _send(club, "DELETE", f"/api/v3/profiles/{ids[5]}", None)
    webhook = {"trigger": "profile.updated", "url": "https://example.org/hook"}
    await _send(club, "POST", "/api/v3/webhooks", webhook)


async def _change_again(club: Club) -> None:
    """Changes that are still to be compacted: a new member, a purchase with an idempotency key, a change of a location."""
    profile = await _send(club, "POST", "/api/v3/profiles", {"external_id": "late", "gender": "male"})
    purchase = {
        "external_id": "LATE-1",
        "profile_id": profile["id"],
        "transacted_at": "2026-11-24T13:00:00",
        "timezone": "Europe/Oslo",
        "total": 99,
        "items": [{"name": "Tea", "quantity": 1, "price_sell": 99, "price_current": 99}],
    }
    await _send(club, "POST", "/api/v3/transactions", purchase, {"Idempotency-Key": "late"})
    location = (await _get(club, "/api/v3/locations"))["data"][0]
    await _send(club, "PUT", f"/api/v3/locations/{location['id']}", {"name": "Moved"})


async def _get(club: Club, path: str) -> Any:
    answer = await club.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _send(club: Club, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
    answer = await club.http.request(method, path, json=body, headers=headers)
    assert answer.status_code < 300, (path, answer.text)
    return answer.json().get("data") if answer.content else None


async def differences(database: Database) -> list[str]:
    """What `verify` reports of all communities."""
    async with database.unscoped_connection() as connection:
        every = await communities.list_all(connection)
    return [
        f"{each.slug}: {found}"
        for each in every
        async for found in verify(database, each.id)
        if not isinstance(found, int)
    ]


# What it answers --------------------------------------------------------------------------------------------


@asynccontextmanager
async def client(database: Database, pair: TokenPair) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server on the store, with the tokens of its club and its organization."""
    server = AppContext(Settings(data_dir=FOLDER), database)
    headers = {
        "Authorization": f"Bearer {pair.club}",
        "X-Client-Authorization": pair.reporting,
        "X-Customer": "all=all",
    }
    transport = httpx.ASGITransport(app=create_app(server, run_jobs=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
        yield http
    await server.close()


async def requests(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """The requests to record: every report, every profile with its values, every list."""
    sent = [{"method": "POST", "path": QUERY, "body": body} for report in REPORTS for body in _queries(report)]
    paths = [f"/api/v3/{name}" for name in ("profiles", "locations", "products", "brands", "webhooks")]
    for row in (await http.get("/api/v3/profiles")).json()["data"]:
        at = f"/api/v3/profiles/{row['id']}"
        paths += [at, f"{at}/aggregations", f"{at}/transactions", f"{at}/identities", f"{at}/addresses"]
    return sent + [{"method": "GET", "path": path, "body": None} for path in paths]


def _queries(report: Report) -> Iterator[dict[str, Any]]:
    """A report in every interval, and in one interval by each grouping."""
    if report.format is ReportFormat.RECORDS:
        spans: list[dict[str, Any]] = [{}]
    elif report.format is ReportFormat.STATISTICS:
        spans = [_range(length) for length in _RANGES.values()]
    else:
        spans = [{"interval": name, **_range(_RANGES[name])} for name in _intervals(report)]
    for span in spans:
        yield {"report": report.name, **span}
    for grouping in report.groupings_by_name:
        yield {"report": report.name, "aggregate_by": grouping, **spans[len(spans) // 2]}


def _intervals(report: Report) -> list[str]:
    return [name for name in _RANGES if name in {each.code for each in report.intervals}]


def _range(length: timedelta) -> dict[str, str]:
    return {"from": f"{AS_OF - length:%Y-%m-%dT%H:%M:%S}", "to": f"{AS_OF:%Y-%m-%dT%H:%M:%S}"}


async def answer(http: httpx.AsyncClient, request: Mapping[str, Any]) -> dict[str, Any]:
    """The status and body of the answer to a request, without the cursor of a next page."""
    found = await http.request(request["method"], request["path"], json=request["body"])
    body = found.json()
    body.pop("pagination", None)
    body.pop("links", None)
    return {"status": found.status_code, "body": body}


# Its files --------------------------------------------------------------------------------------------------


def write_script(owner_url: str, pg_dump: Path) -> None:
    """Writes the database to the file of the store."""
    command = [str(pg_dump), "--no-owner", "--no-privileges", owner_url]
    SCRIPT.write_bytes(lzma.compress(subprocess.run(command, check=True, capture_output=True).stdout, preset=9))


def restore_script(owner_url: str) -> None:
    """Restores the store into an empty database."""
    command = [str(embedded.binaries_folder() / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", owner_url]
    subprocess.run(command, input=lzma.decompress(SCRIPT.read_bytes()), check=True, stdout=subprocess.DEVNULL)


def write_answers(pair: TokenPair, recorded: list[dict[str, Any]]) -> None:
    """Writes what the store answers."""
    content = {"club_token": pair.club, "reporting_token": pair.reporting, "recorded": recorded}
    ANSWERS.write_bytes(lzma.compress(json.dumps(content, indent=0).encode(), preset=9))


def read_answers() -> tuple[TokenPair, list[dict[str, Any]]]:
    """The tokens of the store, and the requests with their answers."""
    content = json.loads(lzma.decompress(ANSWERS.read_bytes()))
    return TokenPair(content["club_token"], content["reporting_token"]), content["recorded"]
