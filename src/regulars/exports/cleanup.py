"""Deletes exports that have expired, and files that no export refers to."""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from regulars.exports import export_table
from regulars.exports.export_table import Export
from regulars.exports.stores import FOLDER_LOCATION, PARTIAL_SUFFIX, StoreError, open_store
from regulars.settings import Settings
from regulars.storage.database import Database

ORPHAN_SECONDS = 3_600.0
"""Age from which a file is deleted that no export refers to."""

BATCH_EXPORTS = 500

_ORGANIZATION_FILE = re.compile(r"[0-9]+/")

_log = structlog.get_logger("regulars.exports")


async def delete_expired(database: Database, settings: Settings) -> int:
    """Deletes the exports of all organizations that have expired, with their files. Returns their number.

    An export whose file can't be deleted now stays, and is tried again the next time.
    """
    deleted = 0
    down: set[str] = set()
    for organization_id in await list_organizations(database):
        after: UUID | None = None
        while batch := await export_table.list_expired(database, organization_id, after, BATCH_EXPORTS):
            for export in batch:
                if export.location in down:
                    continue
                if await delete_export(database, settings, export):
                    deleted += 1
                elif export.location != FOLDER_LOCATION:
                    # Each attempt takes a minute, and exports in other stores must not wait for all of them.
                    down.add(export.location)
            after = batch[-1].id
    return deleted


async def delete_export(database: Database, settings: Settings, export: Export) -> bool:
    """Deletes a finished export and its file. Returns False if the file can't be deleted, and logs why.

    A file on another machine is deleted there as a file that no export refers to.
    """
    if not await delete_file(settings, export):
        return False
    await export_table.delete(database, export.organization_id, [export.id])
    return True


async def delete_file(settings: Settings, export: Export) -> bool:
    """Deletes the file of an export, if it is in the data folder or in what is or was the store of exports.

    Files that a schedule wrote to a target belong to the owner of that store, and stay: they are in no folder of the
    organization. Returns False if the store does not delete the file, and logs why.
    """
    if export.file_path is None or not export.folder:
        return True
    try:
        store = await asyncio.to_thread(open_store, settings, export.location)
        await asyncio.to_thread(store.delete, export.file_path)
    except StoreError as error:
        _log.warning("export.not_deleted", export=str(export.id), location=export.location, reason=str(error))
        return False
    return True


async def delete_orphans(database: Database, settings: Settings) -> int:
    """Deletes files that no export refers to and no attempt is writing, such as those of dead processes.

    Looks at the folders of organizations in the data folder of this machine and, if there is one, in the store of
    exports. What else is there, such as the files of a target, stays. Returns their number.
    """
    deleted = 0
    for location in {FOLDER_LOCATION, settings.export_store}:
        store = await asyncio.to_thread(open_store, settings, location)
        found = await asyncio.to_thread(store.list_files)
        old = [
            each.path
            for each in found
            if _ORGANIZATION_FILE.match(each.path) and time.time() - each.modified_at > ORPHAN_SECONDS
        ]
        if not old:
            continue
        # Read after the listing: a file that was completed since belongs to an export that is done by now.
        used = await _used_files(database, location)
        for path in old:
            if path.removesuffix(PARTIAL_SUFFIX) not in used:
                _log.info("export.orphan_deleted", path=path)
                await asyncio.to_thread(store.delete, path.removesuffix(PARTIAL_SUFFIX))
                deleted += 1
    return deleted


async def _used_files(database: Database, location: str) -> set[str]:
    """The files of a location that exports refer to or that running attempts write."""
    used: set[str] = set()
    for organization_id in await list_organizations(database):
        used |= await export_table.list_used_files(database, organization_id, location)
    return used


async def list_organizations(database: Database) -> Sequence[int]:
    """The ids of all organizations."""
    async with database.unscoped_connection() as connection:
        rows: list[Any] = await connection.fetch("SELECT id FROM organizations ORDER BY id")
    return [row["id"] for row in rows]
