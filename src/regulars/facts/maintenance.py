"""Periodic maintenance of what is derived from all fact types."""

from regulars.facts.registry import FACT_TYPES
from regulars.rollups import empty_counts, partitions
from regulars.storage.database import Database


async def drop_expired(database: Database, community_id: int) -> int:
    """Deletes expired buckets and rows of a community; returns how many rows beside buckets."""
    tables = [table for each in FACT_TYPES for table in each.rollup_tables]
    await partitions.delete_expired_buckets(database, community_id, tables)
    return sum([await each.drop_expired(database, community_id) for each in FACT_TYPES if each.drop_expired])


async def delete_empty_counts(database: Database, community_id: int) -> int:
    """Deletes counts of 0 in a community with an erasure within the last two days; returns how many."""
    statements = [statement for each in FACT_TYPES for statement in each.empty_counts]
    return await empty_counts.delete(database, community_id, statements)


async def repair(database: Database) -> int:
    """Resets watermarks after a restore to lower transaction ids; returns how many were reset."""
    return sum([await each.compaction.repair(database) for each in FACT_TYPES if each.compaction])


async def measure_fact_types(database: Database) -> dict[str, int]:
    """The metrics of all fact types by name, each summed over all communities."""
    metrics = [each for fact_type in FACT_TYPES for each in fact_type.metrics]
    totals = {each.name: 0 for each in metrics}
    async with database.unscoped_connection() as connection:
        community_ids = [row["id"] for row in await connection.fetch("SELECT id FROM communities ORDER BY id")]
    for community_id in community_ids:
        async with database.read_transaction(community_id) as scope:
            for each in metrics:
                totals[each.name] += await each.measure(scope)
    return totals
