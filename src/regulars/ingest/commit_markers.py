"""Commit markers: a row that a transaction writes about itself, which proves its commit after a lost connection."""

import asyncio
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import uuid_utils.compat

from regulars.storage.database import Database
from regulars.storage.errors import CommitStatusUnknownError, is_system_error

LOOKUP_TIMEOUT_SECONDS = 30.0
"""How long the outcome of a commit is looked up before it is reported as unknown."""

POLL_SECONDS = 0.05

# Not on a standby, where a missing row may only not be replayed yet.
_IS_COMMITTED = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN EXISTS (
    SELECT FROM commit_markers WHERE community_id = $1 AND day = $2 AND id = $3
) END
"""


@dataclass(frozen=True, slots=True)
class CommitMarker:
    """The marker of one attempt to commit; `day` selects its partition."""

    community_id: int
    day: date
    id: UUID

    @property
    def lock(self) -> str:
        """The statement that locks the marker until its transaction has ended, committed or not.

        It is the first of the transaction, so that a look-up waits for a backend that is still committing after its
        connection was lost.
        """
        key = int.from_bytes(self.id.bytes[8:], "big", signed=True)
        return f"SELECT pg_advisory_xact_lock({key})"

    @property
    def insert(self) -> str:
        """The statement that writes the marker, unless the transaction has written nothing."""
        return (
            "INSERT INTO commit_markers (community_id, day, id) "
            f"SELECT {int(self.community_id)}, DATE '{self.day.isoformat()}', UUID '{self.id}' "
            "WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
        )

    async def is_committed(self, database: Database) -> bool:
        """Waits for the end of the transaction; returns whether it was committed. Raises CommitStatusUnknownError."""
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_SECONDS):
                while True:
                    found = await self._look_up(database)
                    if found is not None:
                        return found
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise CommitStatusUnknownError from None

    async def _look_up(self, database: Database) -> bool | None:
        """As `is_committed`; None while the database is not available."""
        try:
            async with database.write_transaction(self.community_id, self.lock) as scope:
                found: bool | None = await scope.fetchval(_IS_COMMITTED, self.community_id, self.day, self.id)
        except Exception as error:
            if is_system_error(error):
                return None
            raise
        return found


def new_marker(community_id: int, day: date) -> CommitMarker:
    """Creates a unique marker. Markers are ordered by time, so that the index grows at its end."""
    return CommitMarker(community_id, day, uuid_utils.compat.uuid7())
