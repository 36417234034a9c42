"""Runs an export: each attempt writes a file of its own, from one snapshot, that is not visible before it is complete."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, cast
from uuid import UUID

import structlog

from regulars.auth.tenants import Tenant, get_tenants
from regulars.core.uninterrupted import uninterrupted
from regulars.exports import export_table
from regulars.exports.export import ExportSummary, write_export
from regulars.exports.export_table import CompleteFile, Export, OnEnd
from regulars.exports.request import RequestedExport, parse_export_parameters
from regulars.exports.stores import ExportStore, PartialFile, StoreError, open_store
from regulars.query.backends import Backends
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import ReportRegistry
from regulars.segments import definitions
from regulars.settings import Settings

PROGRESS_SECONDS = 1.0
"""Interval at which a running export stores its progress, and sees that it was cancelled."""

_log = structlog.get_logger("regulars.exports")


class ExportRefusedError(Exception):
    """An export can't run, and no retry can help. The message says why."""


class ExportSupersededError(Exception):
    """The export was cancelled, or another process has taken it over."""


def host_name() -> str:
    """The name of this machine, by which others know where a file in the data folder is."""
    return socket.gethostname()


def file_path(export: Export, request: RequestedExport) -> str:
    """The path of the file of an attempt in the store. Each attempt has its own."""
    assert export.requested_at is not None  # noqa: S101 - the export is stored
    at = (export.scheduled_for or export.requested_at).astimezone(UTC)
    attempt = "" if export.attempt <= 1 else f"-{export.attempt}"
    name = f"{request.query.report.name}-{at:%Y%m%dT%H%M%SZ}-{str(export.id)[:8]}{attempt}"
    file_name = request.file.format.file_name(name, request.file.compression)
    return f"{export.folder}/{file_name}" if export.folder else file_name


class _HashingFile:
    """Hashes what is written to a file."""

    def __init__(self, file: PartialFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        """Appends data and returns its length in bytes."""
        written = self._file.write(data)
        self._hash.update(data)
        self.bytes += written
        return written

    def flush(self) -> None:
        """Flushes the file."""
        self._file.flush()

    @property
    def sha256(self) -> str:
        """The hash of all that was written, in hexadecimal."""
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class ExportRunner:
    """Runs exports in this process. `on_end` is called in the transaction that records that an export is done."""

    settings: Settings
    backends: Backends
    reports: ReportRegistry
    on_end: OnEnd

    async def run(self, organization_id: int, export_id: UUID) -> Export | None:
        """Runs one attempt of an export and returns the export once it is done; None if there was nothing to do.

        Raises ExportRefusedError where no retry can help, StoreError, and errors of the database.
        """
        database = self.backends.database
        export = await export_table.start(database, organization_id, export_id, host_name())
        if export is None:
            return None
        tenants = await self._tenants(export)
        request = await self._parse(export, tenants)
        store = await asyncio.to_thread(open_store, self.settings, export.location)
        if export.file_path is not None:
            # What an attempt left whose process died, if it was on this machine. Otherwise it is deleted as an orphan.
            with suppress(StoreError):
                await asyncio.to_thread(store.delete, export.file_path)
        path = file_path(export, request)
        try:
            if not await export_table.set_file(database, export, path):
                raise ExportSupersededError
            async with _created_file(store, path) as partial:
                file = await self._write(export, request, tenants, partial)
        except ExportSupersededError:
            _log.info("export.superseded", export=str(export.id), attempt=export.attempt)
            return None
        return await uninterrupted(self._finish(export, file, store, path))

    async def _finish(self, export: Export, file: CompleteFile, store: ExportStore, path: str) -> Export | None:
        """Records that the export is done, or deletes its file if it was cancelled or superseded meanwhile."""
        database = self.backends.database
        expires_at = database.clock() + timedelta(days=self.settings.export_retention_days)
        done = await export_table.finish(database, export, file, expires_at, self.on_end)
        if done is None:
            await asyncio.to_thread(store.delete, path)
        return done

    async def _parse(self, export: Export, tenants: tuple[Tenant, ...]) -> RequestedExport:
        segments = await definitions.filters_of(self.backends.database, tenants)
        try:
            return parse_export_parameters(dict(export.request), self.reports, segments)
        except InvalidParametersError as error:
            # The report or a segment may have changed since the request.
            raise ExportRefusedError(f"The request is no longer valid: {error}") from None

    async def _tenants(self, export: Export) -> tuple[Tenant, ...]:
        """The customers of the export, if the organization still has all of them."""
        async with self.backends.database.unscoped_connection() as connection:
            tenants = await get_tenants(connection, export.organization_id, export.community_ids)
        if len(tenants) != len(export.community_ids):
            missing = sorted(set(export.community_ids) - {each.community_id for each in tenants})
            raise ExportRefusedError(
                f"The organization no longer has the communities {', '.join(map(str, missing))} of this export."
            )
        return tenants

    async def _write(
        self, export: Export, request: RequestedExport, tenants: tuple[Tenant, ...], partial: PartialFile
    ) -> CompleteFile:
        file = _HashingFile(partial)
        now = self.backends.database.clock()
        try:
            summary = await self._write_rows(export, request, tenants, file, now)
        except InvalidParametersError as error:
            raise ExportRefusedError(f"The request is not valid for its customers: {error}") from None
        await uninterrupted(asyncio.to_thread(partial.complete))
        return CompleteFile(summary.rows, file.bytes, file.sha256, now)

    async def _write_rows(
        self,
        export: Export,
        request: RequestedExport,
        tenants: tuple[Tenant, ...],
        file: _HashingFile,
        now: datetime,
    ) -> ExportSummary:
        """Writes all rows, and stores every second how many. Raises ExportSupersededError if it must not go on."""
        rows = 0

        def on_progress(written: int) -> None:
            nonlocal rows
            rows = written

        writing = asyncio.create_task(
            write_export(
                request.query,
                tenants,
                self.backends,
                request.file.format,
                cast(BinaryIO, file),
                compression=request.file.compression,
                with_customer_columns=export.has_customer_columns,
                now=now,
                on_progress=on_progress,
            )
        )
        try:
            while not (await asyncio.wait([writing], timeout=PROGRESS_SECONDS))[0]:
                if not await export_table.record_progress(self.backends.database, export, rows):
                    raise ExportSupersededError
            return await writing
        finally:
            # When the task has ended, nothing writes to the file any more.
            writing.cancel()
            await uninterrupted(asyncio.wait([writing]))


@asynccontextmanager
async def _created_file(store: ExportStore, path: str) -> AsyncIterator[PartialFile]:
    """Creates a file, which is gone before another attempt starts if the block raises or is cancelled at any moment."""
    creation = asyncio.create_task(asyncio.to_thread(store.create, path))
    try:
        yield await asyncio.shield(creation)
    except BaseException:
        await uninterrupted(_discard(creation))
        raise


async def _discard(creation: asyncio.Task[PartialFile]) -> None:
    with suppress(StoreError):
        partial = await creation
        await asyncio.to_thread(partial.discard)
