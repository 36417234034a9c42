"""Saved views of reports: requests with a name, of one person or shared in an organization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MAX_VIEWS = 1_000
"""Saved views of an organization."""


@dataclass(frozen=True, slots=True)
class NewView:
    """A view to save. `user_id` is None for a token. `period` replaces the range of `query`, such as 30d."""

    name: str
    report: str
    query: Mapping[str, Any]
    period: str | None
    is_shared: bool
    user_id: int | None


@dataclass(frozen=True, slots=True)
class SavedView:
    """A saved view. `saved_by` is the name of the person who saved it, empty for a token."""

    id: int
    name: str
    report: str
    query: Mapping[str, Any]
    period: str | None
    is_shared: bool
    user_id: int | None
    saved_by: str
    created_at: datetime


class TooManyViewsError(Exception):
    """The organization has as many views as are allowed."""


_LIST = """
SELECT v.id, v.name, v.report, v.query, v.period, v.is_shared, v.user_id, coalesce(u.name, '') AS saved_by, v.created_at
FROM saved_views AS v
LEFT JOIN users AS u ON u.organization_id = v.organization_id AND u.id = v.user_id
WHERE v.organization_id = $1 AND (v.is_shared OR v.user_id = $2)
ORDER BY v.name, v.id
"""

# Requests of an organization wait for each other, so that together they save no more than are allowed.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('regulars.saved_views'), $1)"

_INSERT = """
INSERT INTO saved_views (organization_id, user_id, name, report, query, period, is_shared, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE (SELECT count(*) FROM saved_views WHERE organization_id = $1) < $9
RETURNING id
"""

_DELETE = """
DELETE FROM saved_views
WHERE organization_id = $1 AND id = $2 AND user_id IS NOT DISTINCT FROM $3
RETURNING id
"""


async def list_visible(connection: Any, organization_id: int, user_id: int | None) -> Sequence[SavedView]:
    """The views that are shared, and those of a user, by name."""
    return [SavedView(**row) for row in await connection.fetch(_LIST, organization_id, user_id)]


async def insert(connection: Any, organization_id: int, view: NewView, now: datetime) -> int:
    """Saves a view and returns its id. Raises TooManyViewsError."""
    await connection.execute(_LOCK, organization_id)
    new_id: int | None = await connection.fetchval(
        _INSERT,
        organization_id,
        view.user_id,
        view.name,
        view.report,
        view.query,
        view.period,
        view.is_shared,
        now,
        MAX_VIEWS,
    )
    if new_id is None:
        raise TooManyViewsError
    return new_id


async def delete(connection: Any, organization_id: int, view_id: int, user_id: int | None) -> bool:
    """Deletes a view that the user, or a token if it is None, has saved. Returns whether there was one."""
    return await connection.fetchval(_DELETE, organization_id, view_id, user_id) is not None
