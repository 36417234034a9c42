"""Finds the profiles whose memberships must be evaluated, other than those that a commit has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from regulars.model.member_dimensions import AGE_GROUP_STARTS
from regulars.model.unit_of_work import UnitOfWork
from regulars.query.compiler.conditions import indent
from regulars.query.compiler.statements import CompiledStatement, number_parameters
from regulars.segments import member_rows
from regulars.segments.membership import SegmentBatch, bind, instant_parameters, matching_numbers
from regulars.storage.database import Scope

MAX_PROFILES = 5_000
"""Members that one statement evaluates."""


@dataclass(frozen=True, slots=True)
class MemberRange:
    """Members after a profile: those that match any of the segments, and the last one that was evaluated, if any."""

    matching: list[UUID]
    last: UUID | None


# A lateral join for each member, as in the statement that stores memberships.
_RANGE = """
WITH requested AS MATERIALIZED (
    SELECT profile_id
    FROM members
    WHERE community_id = $community AND profile_id > CAST($after AS UUID) AND is_member
    ORDER BY profile_id
    LIMIT $limit
),
r AS (
{rows}
)
SELECT ARRAY(SELECT profile_id FROM r WHERE cardinality(
{numbers}
) > 0) AS matching,
       (SELECT profile_id FROM requested ORDER BY profile_id DESC LIMIT 1) AS last
"""


@lru_cache(maxsize=100)
def _range_statement(batch: SegmentBatch) -> CompiledStatement:
    conditions = batch.conditions.conditions
    rows = member_rows.stored_rows(member_rows.columns_used(conditions))
    return number_parameters(_RANGE.format(rows=indent(rows), numbers=indent(matching_numbers(conditions))))


async def next_members(uow: UnitOfWork, batches: Sequence[SegmentBatch], after: UUID, at: datetime) -> MemberRange:
    """The next members in the order of their ids, evaluated without a lock."""
    matching: set[UUID] = set()
    last: UUID | None = None
    parameters = {
        **instant_parameters(uow, uow.community.timezone, at),
        "after": after,
        "limit": MAX_PROFILES,
    }
    for batch in batches:
        statement = _range_statement(batch)
        row = await uow.fetchrow(
            statement.sql, *bind(statement, batch.conditions.values(uow.community.minor_digits), parameters)
        )
        matching.update(row["matching"])
        last = row["last"]
    return MemberRange(sorted(matching), last)


# Both dates are numbers such as 20261124, so a difference of 10000 is a year.
_AGE_CHANGES = """
SELECT DISTINCT found.profile_id
FROM unnest($2::int[]) AS boundary (age)
CROSS JOIN LATERAL (
    SELECT profile_id
    FROM members
    WHERE community_id = $1 AND is_member
      AND birth_date > $3::int - 10000 * boundary.age AND birth_date <= $4::int - 10000 * boundary.age
) AS found
ORDER BY found.profile_id
"""

_AGES = [each for each in AGE_GROUP_STARTS.values() if each is not None]


async def age_changes(scope: Scope, last_day: int, day: int) -> list[UUID]:
    """The members whose age group changes after `last_day` up to `day`, both numbers such as 20261124."""
    rows = await scope.fetch(_AGE_CHANGES, scope.community_id, _AGES, last_day, day)
    return [row["profile_id"] for row in rows]
