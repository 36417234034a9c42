"""Transactions as ingest takes them, and what is kept of them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from clubs import Club
from regulars.facts import transactions
from regulars.facts.transactions import TransactionIn
from regulars.facts.writing import Writing
from regulars.ingest.commit import commit
from regulars.ingest.transactions import Mode, Outcome, Put, put


def row(club: Club, mode: Mode = Mode.UPSERT, *, local: bool = False, **fields: Any) -> Put:
    """A transaction to be put, as it would come in a file."""
    whole = {"total": 10, "transacted_at": "2026-10-01 12:00:00", "items": []} | fields
    given = msgspec.json.decode(msgspec.json.encode(whole), type=TransactionIn, strict=False)
    checked = transactions.checked(given, club.community, local=local)
    checked.fingerprint = transactions.fingerprint(given)
    return Put(checked, mode)


async def put_all(club: Club, puts: Sequence[Put], *, create_profiles: bool = False) -> list[Outcome]:
    """What became of rows that were committed."""

    async def work(writing: Writing) -> list[Outcome]:
        return await put(writing, puts, create_profiles=create_profiles)

    return await commit(club.database, club.community.id, work)


async def kept(club: Club, columns: str, table: str = "transactions") -> list[tuple[Any, ...]]:
    """Columns of all that is kept, in order."""
    async with club.database.reading(club.community.id) as scope:
        found = await scope.fetch(
            f"SELECT {columns} FROM {table} WHERE community_id = $1 ORDER BY 1", club.community.id
        )
    return [tuple(each.values()) for each in found]
