"""Builds and writes transactions, and queries what is stored."""

from collections.abc import Sequence
from typing import Any

import msgspec

from clubs import Club
from regulars.ingest.commit import commit
from regulars.ingest.transactions import TransactionWrite, WriteMode, WriteOutcome, write
from regulars.model.transactions import schema
from regulars.model.transactions.schema import TransactionIn
from regulars.model.unit_of_work import UnitOfWork


def transaction_write(
    club: Club, mode: WriteMode = WriteMode.UPSERT, *, local: bool = False, **fields: Any
) -> TransactionWrite:
    """A validated transaction to write, as from a file."""
    whole = {"total": 10, "transacted_at": "2026-10-01 12:00:00", "items": []} | fields
    transaction = msgspec.json.decode(msgspec.json.encode(whole), type=TransactionIn, strict=False)
    checked = schema.validate(transaction, club.community, allow_local=local)
    checked.fingerprint = schema.fingerprint(transaction)
    return TransactionWrite(checked, mode)


async def write_all(
    club: Club, writes: Sequence[TransactionWrite], *, create_profiles: bool = False
) -> list[WriteOutcome]:
    """Commits rows and returns their outcomes."""

    async def work(uow: UnitOfWork) -> list[WriteOutcome]:
        return await write(uow, writes, create_profiles=create_profiles)

    return await commit(club.database, club.community.id, work)


async def stored_rows(club: Club, columns: str, table: str = "transactions") -> list[tuple[Any, ...]]:
    """Columns of all stored rows, in order."""
    async with club.database.read_transaction(club.community.id) as scope:
        found = await scope.fetch(
            f"SELECT {columns} FROM {table} WHERE community_id = $1 ORDER BY 1", club.community.id
        )
    return [tuple(each.values()) for each in found]
