"""The audit log: who read, exported, changed or erased what, and when. Entries are only appended."""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from regulars.auth.audit_rules import AuditAction
from regulars.auth.principals import Principal, PrincipalKind

MAX_SUBJECTS = 1_000
"""Maximum number of ids of an entry; the details of a longer list have their number."""

MAX_NAME_LENGTH = 200

ACTOR_TYPES = ("user", "token", "link", "command")
"""Kinds of actors: a person, an API token, a signed link to a file, and a command of the operator."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `id` is that of a user or token, `name` the name of a user or of a command's operating user."""

    type: str
    id: int | None = None
    name: str = ""


def actor_of(principal: Principal) -> Actor:
    """Returns the actor of a request. Tokens have no name here, because that of a member's token may be personal."""
    if principal.user_id is not None:
        return Actor("user", principal.user_id, principal.user_name[:MAX_NAME_LENGTH])
    if principal.kind is PrincipalKind.SIGNED_LINK:
        return Actor("link")
    return Actor("token", principal.token_id)


def command_actor() -> Actor:
    """Returns the actor of a command: the user of the operating system."""
    try:
        return Actor("command", None, getpass.getuser()[:MAX_NAME_LENGTH])
    except (KeyError, OSError):
        # A container may run with a user id that has no name.
        return Actor("command")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. `operation` is the method and path template of a request, or a command; `count` is that of equal denials.

    `subject_ids` and `details` have no personal data: ids, names of fields, numbers.
    """

    organization_id: int
    occurred_at: datetime
    actor: Actor
    action: AuditAction
    subject_type: str
    operation: str
    subject_ids: Sequence[str] = ()
    community_ids: Sequence[int] = ()
    address: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1


# Row-level security compares the setting of the organization. It is set for this statement's transaction, which may be
# that of a community.
_INSERT = """
WITH setting AS MATERIALIZED (SELECT set_config('regulars.organization_id', $1::int::text, true))
INSERT INTO audit_log (
    organization_id, occurred_at, actor_type, actor_id, actor_name, action, subject_type, subject_ids, community_ids,
    operation, address, details, count
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
FROM setting
"""


async def insert(connection: Any, entry: AuditEntry) -> None:
    """Appends an entry in the connection's transaction."""
    ids = [each.replace("\0", "") for each in entry.subject_ids]
    details = dict(entry.details)
    if len(ids) > MAX_SUBJECTS:
        details["subjects"] = len(ids)
    await connection.execute(
        _INSERT,
        entry.organization_id,
        entry.occurred_at,
        entry.actor.type,
        entry.actor.id,
        entry.actor.name,
        entry.action.value,
        entry.subject_type,
        ids[:MAX_SUBJECTS],
        list(entry.community_ids),
        entry.operation,
        entry.address,
        details,
        entry.count,
    )


async def is_repeated(connection: Any, entry: AuditEntry, idempotency_key: str) -> bool:
    """Whether an entry of the same actor within a day has this key in its details. Requests with one key wait for another."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('regulars.audit'), hashtext($1))", idempotency_key)
    repeated: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT
            FROM audit_log
            WHERE organization_id = $1 AND actor_type = $2 AND actor_id IS NOT DISTINCT FROM $3
              AND occurred_at > $4::timestamptz - interval '1 day' AND details ->> 'idempotency_key' = $5
        )
        """,
        entry.organization_id,
        entry.actor.type,
        entry.actor.id,
        entry.occurred_at,
        idempotency_key,
    )
    return repeated


async def delete_expired(connection: Any, organization_id: int, before: datetime) -> int:
    """Deletes the entries of an organization before a time, but none of the last 30 days; returns their number."""
    deleted: int = await connection.fetchval("SELECT delete_audit_entries($1, $2)", organization_id, before)
    return deleted


# Read -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Conditions of listed entries; those that are None are not applied. `since` is inclusive, `until` exclusive."""

    actor_type: str | None = None
    actor_id: int | None = None
    action: str | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    community_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    community_ids: Sequence[int] | None = None
    """The communities that the reader has access to; None is all of the organization."""


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry as it is listed; `actor_name` of a token is its present name."""

    id: int
    occurred_at: datetime
    actor_type: str
    actor_id: int | None
    actor_name: str
    action: str
    subject_type: str
    subject_ids: tuple[str, ...]
    community_ids: tuple[int, ...]
    operation: str
    address: str
    details: Mapping[str, Any]
    count: int


_SELECT = """
SELECT e.id, e.occurred_at, e.actor_type, e.actor_id,
       CASE WHEN e.actor_type = 'token' THEN coalesce(nullif(t.name, ''), t.hint, '') ELSE e.actor_name END AS actor_name,
       e.action, e.subject_type, e.subject_ids, e.community_ids, e.operation, e.address, e.details, e.count
FROM audit_log AS e
LEFT JOIN tokens AS t ON e.actor_type = 'token' AND t.id = e.actor_id
"""


async def list_entries(
    connection: Any, organization_id: int, chosen: AuditFilter, limit: int, after: tuple[datetime, int] | None = None
) -> list[ListedEntry]:
    """Returns entries in an organization's transaction, newest first, those after the key of the last page's last one."""
    conditions: list[str] = []
    values: list[object] = []
    for condition, *bound in _conditions(organization_id, chosen, after):
        if bound[0] is not None:
            conditions.append(condition.format(*(f"${len(values) + n}" for n in range(1, len(bound) + 1))))
            values += bound
    rows = await connection.fetch(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY e.occurred_at DESC, e.id DESC LIMIT {int(limit)}", *values
    )
    return [_parse(row) for row in rows]


def _conditions(
    organization_id: int, chosen: AuditFilter, after: tuple[datetime, int] | None
) -> Sequence[tuple[str, object] | tuple[str, object, object]]:
    def listed(value: object) -> object:
        return None if value is None else [value]

    return [
        ("e.organization_id = {}", organization_id),
        ("e.actor_type = {}", chosen.actor_type),
        ("e.actor_id = {}", chosen.actor_id),
        ("e.action = {}", chosen.action),
        ("e.subject_type = {}", chosen.subject_type),
        ("e.subject_ids @> {}::text[]", listed(chosen.subject_id)),
        ("e.community_ids @> {}::int[]", listed(chosen.community_id)),
        ("e.occurred_at >= {}", chosen.since),
        ("e.occurred_at < {}", chosen.until),
        # A reader who is limited to some communities sees the entries about these alone.
        (
            "e.community_ids <> '{{}}' AND e.community_ids <@ {}::int[]",
            None if chosen.community_ids is None else list(chosen.community_ids),
        ),
        ("(e.occurred_at, e.id) < ({}, {})", *((None, None) if after is None else after)),
    ]


def _parse(row: Any) -> ListedEntry:
    values = dict(row)
    values["subject_ids"], values["community_ids"] = tuple(values["subject_ids"]), tuple(values["community_ids"])
    values["details"] = msgspec.json.decode(values["details"])
    return ListedEntry(**values)
