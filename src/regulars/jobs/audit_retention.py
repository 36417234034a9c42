"""Deletes the entries of the audit log after their retention time."""

from datetime import timedelta

import structlog

from regulars.auth import audit_log, organizations
from regulars.settings import Settings
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.jobs")


async def delete_expired(database: Database, settings: Settings) -> int:
    """Deletes the expired entries of every organization; returns their number."""
    before = database.clock() - timedelta(days=settings.audit_retention_days)
    async with database.unscoped_connection() as connection:
        owners = [each.id for each in await organizations.list_all(connection)]
    total = 0
    for organization_id in owners:
        async with database.organization_transaction(organization_id) as connection:
            total += await audit_log.delete_expired(connection, organization_id, before)
    if total:
        _log.info("audit.expired", entries=total)
    return total
