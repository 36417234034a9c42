"""Records requests in the audit log, by the rule that their endpoint declares."""

import asyncio
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import msgspec
import structlog
from starlette.responses import Response

from regulars.auth import audit_log
from regulars.auth.audit_log import AuditEntry, actor_of
from regulars.auth.audit_rules import AuditAction, AuditRule
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.settings import SettingError, Settings
from regulars.storage.database import Database
from regulars.storage.errors import DATABASE_ERRORS, is_system_error
from regulars.web.errors import RETRY_AFTER_HEADER, ApiError

_OF_THE_LOG_ITSELF = "42"
"""The class of SQLSTATEs of a missing table or privilege."""

_log = structlog.get_logger("regulars.audit")

_ID = re.compile(r"[0-9]{1,18}|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

UNAVAILABLE = (
    "The audit log can't be written, so the request was not completed. Send it again in a few seconds; a write with the "
    "same Idempotency-Key or external_id is stored once."
)


AUDITED_TOKEN_REQUESTS = ("sensitive", "all")
"""The values of the setting audit_tokens."""


def audits_all_tokens(settings: Settings) -> bool:
    """Whether every request of a token that has an audit rule is recorded. Raises SettingError."""
    if settings.audit_tokens not in AUDITED_TOKEN_REQUESTS:
        allowed = ", ".join(AUDITED_TOKEN_REQUESTS)
        raise SettingError(f"audit_tokens is {settings.audit_tokens!r}. Allowed: {allowed}.")
    return settings.audit_tokens == "all"


@dataclass(slots=True)
class RequestAudit:
    """The entry of one request in the audit log, if its rule applies to the caller.

    Handlers may replace the rule, set `subject_ids`, and add `details` without personal data. They insert the entry in
    their own transaction where they have one; otherwise it is written before the response is sent.
    """

    database: Database
    principal: Principal
    rule: AuditRule
    operation: str
    address: str
    path: Mapping[str, str]
    includes_all_tokens: bool = False
    community_ids: Sequence[int] = ()
    subject_ids: Sequence[str] = ()
    details: dict[str, Any] = field(default_factory=dict)
    is_written: bool = False

    @property
    def is_required(self) -> bool:
        """Whether an entry is still to be written."""
        return not self.is_written and self.rule.applies_to(
            self.principal, includes_all_tokens=self.includes_all_tokens
        )

    async def require_first(self, connection: Any, idempotency_key: str) -> None:
        """Raises ApiError, 409, if the caller has sent a request with this key before, within a day.

        Its response is not stored, because it may have a secret that is shown once.
        """
        if not self.is_required:
            return
        key = hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]
        if await audit_log.is_repeated(connection, self._entry(None), key):
            raise ApiError(409, "This request was completed before: its Idempotency-Key was used. Nothing was changed.")
        self.details["idempotency_key"] = key

    async def insert(self, connection: Any, value: object = None) -> None:
        """Inserts the entry in the connection's transaction. `value` is the response, which has the ids of new objects."""
        if not self.is_required:
            return
        try:
            await audit_log.insert(connection, self._entry(value))
        except asyncpg.PostgresError as error:
            if is_system_error(error):
                # The caller's transaction is repeated, or its request gets 503.
                raise
            raise self._unavailable() from error

    async def insert_subject(self, connection: Any, subject_id: object) -> None:
        """Inserts the entry in the connection's transaction, with the id of its subject."""
        self.subject_ids = [str(subject_id)]
        await self.insert(connection)

    async def write(self, value: object = None) -> None:
        """Writes the entry in a transaction of its own. Raises ApiError, 503, if it can't be written."""
        if not self.is_required:
            return
        assert self.principal.organization_id is not None  # noqa: S101 - no rule applies to other callers
        try:
            async with self.database.organization_transaction(self.principal.organization_id) as connection:
                await audit_log.insert(connection, self._entry(value))
        except DATABASE_ERRORS as error:
            if (getattr(error, "sqlstate", None) or "").startswith(_OF_THE_LOG_ITSELF):
                raise self._unavailable() from error
            # The request gets 503 as for every other statement while the database is not available.
            raise
        self.is_written = True

    def _unavailable(self) -> ApiError:
        _log.exception("audit.not_written", operation=self.operation)
        return ApiError(503, UNAVAILABLE, headers=RETRY_AFTER_HEADER)

    def _entry(self, value: object) -> AuditEntry:
        assert self.principal.organization_id is not None  # noqa: S101 - no rule applies to other callers
        assert self.rule.action is not None  # noqa: S101 - there is no entry without an action
        return AuditEntry(
            organization_id=self.principal.organization_id,
            occurred_at=self.database.clock(),
            actor=actor_of(self.principal),
            action=self.rule.action,
            subject_type=self.rule.subject_type,
            operation=self.operation,
            subject_ids=self.subject_ids or self._ids(value),
            community_ids=self.community_ids or _community(self.principal),
            address=self.address,
            details=self.details,
        )

    def _ids(self, value: object) -> Sequence[str]:
        text = self.path.get(self.rule.parameter, "")
        if (_NAME if self.rule.is_named else _ID).fullmatch(text):
            return [text]
        return list(_ids_of(value))


def _ids_of(value: object) -> Iterator[str]:
    """The ids of the object or the objects in the envelope of a response."""
    if isinstance(value, Response) and value.media_type == "application/json":
        value = msgspec.json.decode(value.body)
    rows = value.get("data") if isinstance(value, dict) else None
    for each in rows if isinstance(rows, list) else [rows]:
        if isinstance(each, dict):
            text = str(each.get("id", ""))
            if _ID.fullmatch(text):
                yield text


def _community(principal: Principal) -> Sequence[int]:
    return () if principal.community_id is None else (principal.community_id,)


# Denied requests ------------------------------------------------------------------------------------------------------


MAX_PENDING_DENIALS = 1_000
"""Maximum number of different denied requests that wait to be written; further ones are counted in the last."""

DENIAL_INTERVAL_SECONDS = 2.0
"""Equal requests that are denied within this time are one entry with a count, so that a flood does not fill the log."""


class DenialRecorder:
    """Records denied requests of callers whose organization is known. A crash loses those of the last seconds."""

    def __init__(self, database: Database, interval_seconds: float = DENIAL_INTERVAL_SECONDS) -> None:
        self._database = database
        self._seconds = interval_seconds
        self._pending: dict[tuple[object, ...], AuditEntry] = {}
        self._task: asyncio.Task[None] | None = None
        self._flush_now = asyncio.Event()

    def record(self, audit: RequestAudit, denied: AccessDenied) -> None:
        """Records a request that was denied with 403."""
        organization_id = audit.principal.organization_id
        if denied.status != 403 or organization_id is None:
            return
        actor = actor_of(audit.principal)
        key: tuple[object, ...] = (organization_id, actor, audit.operation, denied.message)
        if key not in self._pending and len(self._pending) >= MAX_PENDING_DENIALS:
            key = next(reversed(self._pending))
        if (pending := self._pending.get(key)) is not None:
            self._pending[key] = replace(pending, count=min(pending.count + 1, 2**31 - 1))
        else:
            self._pending[key] = AuditEntry(
                organization_id=organization_id,
                occurred_at=self._database.clock(),
                actor=actor,
                action=AuditAction.DENY,
                subject_type=audit.rule.subject_type,
                operation=audit.operation,
                community_ids=audit.community_ids or _community(audit.principal),
                address=audit.address,
                details={"reason": denied.message},
            )
        if self._task is None:
            self._task = asyncio.create_task(self._flush_later())

    async def close(self) -> None:
        """Writes the denied requests that are not written yet."""
        self._flush_now.set()
        if self._task is not None:
            await self._task
        self._flush_now.clear()

    async def _flush_later(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._flush_now.wait()
        except TimeoutError:
            pass
        self._task = None
        entries, self._pending = list(self._pending.values()), {}
        try:
            for entry in entries:
                async with self._database.organization_transaction(entry.organization_id) as connection:
                    await audit_log.insert(connection, entry)
        except DATABASE_ERRORS as error:
            _log.warning("audit.denials_not_written", error=type(error).__name__, entries=len(entries))
