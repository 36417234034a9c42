"""Records what commands change in the audit log, with the user of the operating system."""

from typing import Any

from regulars.auth import audit_log
from regulars.auth.audit_log import AuditEntry, command_actor
from regulars.auth.audit_rules import AuditAction
from regulars.clock import system_clock


async def record(
    connection: Any, organization_id: int, command: str, subject_type: str, subject_id: object, **details: object
) -> None:
    """Records a change of access by a command, in the connection's transaction."""
    await audit_log.insert(
        connection,
        AuditEntry(
            organization_id=organization_id,
            occurred_at=system_clock(),
            actor=command_actor(),
            action=AuditAction.ACCESS,
            subject_type=subject_type,
            operation=f"regulars {command}",
            subject_ids=[str(subject_id)],
            details=details,
        ),
    )
