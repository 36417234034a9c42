"""A client of the exports API, with a worker that runs what is queued."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from api.reporting_client import REPORTS, ReportingClient, reporting_client
from clubs import ManualClock
from regulars.exports import export_table
from regulars.exports.export_table import Export
from regulars.jobs.exports import QUEUE, export_job_type
from regulars.jobs.job_type import JobType
from regulars.jobs.queue import create_app, run_worker
from regulars.query.backends import Backends
from regulars.settings import Settings
from regulars.storage.database import Database

EXPORTS = "/v1/reporting/exports"
EXPORT = "/v1/reporting/query/export"
TENANTS_EXPORT = "/v1/reporting/tenants/query/export"

SAMPLES: dict[str, Any] = {"report": "samples", "format": "csv"}


@dataclass
class ExportClient:
    """Requests exports for the clubs of a client of reports, and runs them."""

    reporting: ReportingClient
    settings: Settings

    @property
    def database(self) -> Database:
        """The database of the server."""
        return self.reporting.database

    @property
    def organization_id(self) -> int:
        """The organization of the token."""
        return self.reporting.clubs[0].organization_id

    @property
    def job_type(self) -> JobType:
        """The type of jobs that runs exports, without delays before retries."""
        found = export_job_type(self.settings, Backends(self.database), REPORTS)
        return replace(found, retry_delays=(0, 0))

    async def request(self, body: Any = None, path: str = EXPORT, **more: Any) -> httpx.Response:
        """The response to a request for an export."""
        return await self.reporting.query(body or SAMPLES, path=path, **more)

    async def create(self, body: Any = None, path: str = EXPORT, **more: Any) -> dict[str, Any]:
        """Requests an export and returns it."""
        answer = await self.request(body, path, **more)
        assert answer.status_code == 202, answer.text
        export: dict[str, Any] = answer.json()["export"]
        return export

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        """The response to a GET below the exports."""
        sent = {"X-Client-Authorization": token or self.reporting.token, **headers}
        return await self.reporting.http.get(f"{EXPORTS}{path}", headers=sent)

    async def read(self, export: dict[str, Any]) -> dict[str, Any]:
        """An export as it is now."""
        answer = await self.get(f"/{export['id']}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["export"]
        return found

    async def delete(self, export: dict[str, Any]) -> httpx.Response:
        """The response to a DELETE of an export."""
        headers = {"X-Client-Authorization": self.reporting.token}
        return await self.reporting.http.delete(f"{EXPORTS}/{export['id']}", headers=headers)

    async def stored(self, export: dict[str, Any]) -> Export:
        """The row of an export."""
        found = await export_table.get(self.database, self.organization_id, UUID(export["id"]))
        assert found is not None
        return found

    async def run_all(self) -> None:
        """Runs the jobs that are due."""
        app = create_app(self.database, [self.job_type])
        async with app.open_async():
            await run_worker(app, queue=QUEUE)

    async def done(self, body: Any = None, path: str = EXPORT, **more: Any) -> dict[str, Any]:
        """Requests an export, runs it, and returns it."""
        export = await self.create(body, path, **more)
        await self.run_all()
        return await self.read(export)

    def files(self) -> list[str]:
        """The files in the data folder."""
        root = self.settings.data_dir / "exports"
        return sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())


@asynccontextmanager
async def export_client(database: Database, clock: ManualClock, **settings: Any) -> AsyncIterator[ExportClient]:
    """Creates clubs, a server, and an empty data folder."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        found = Settings(data_dir=Path(folder), **settings)
        async with reporting_client(database, clock, found) as reporting:
            client = ExportClient(reporting, found)
            yield client
            await _delete_all(client)


async def _delete_all(client: ExportClient) -> None:
    """Deletes the exports of the organization and their jobs, so that no other test runs them."""
    async with client.database.organization_transaction(client.organization_id) as connection:
        for table in ("exports", "export_schedules"):
            await connection.execute(f"DELETE FROM {table} WHERE organization_id = $1", client.organization_id)
        await connection.execute(
            "DELETE FROM procrastinate_jobs WHERE args ->> 'organization_id' = $1", str(client.organization_id)
        )
