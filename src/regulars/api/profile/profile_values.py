"""Profiles filtered and sorted by their values: `filter[aggregations.spend_12m][gte]=100`, `sort=-aggregations.shop_count`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.definitions import REGISTRY
from regulars.core.field_type import FieldType
from regulars.model.profiles.profiles import PROFILES
from regulars.model.resource import Resource, ResourceField
from regulars.segments.member_rows import alpha_3_sql
from regulars.storage.database import Scope
from regulars.web.errors import RETRY_AFTER_HEADER, ApiError

PREFIX = "aggregations."

MAX_COMPUTED_PROFILES = 2_000
"""Most profiles whose values a list computes from the facts, because their stored values are outdated."""

_TYPES = {
    FieldType.MONEY: FieldType.NUMBER,
    FieldType.PERCENT: FieldType.NUMBER,
    FieldType.ENUM: FieldType.STRING,
    FieldType.COUNTRY_ALPHA_3: FieldType.STRING,
    FieldType.LOCATION: FieldType.INTEGER,
    FieldType.LOCATION_LIST: FieldType.INTEGER,
    FieldType.STRING_LIST: FieldType.STRING,
}
"""What a value is compared as: locations by their ids, lists by each element."""


def _field(of: Aggregation) -> ResourceField:
    column = f"v.{of.name}"
    sql = {
        FieldType.MONEY: f"{column} / power(10::numeric, home.minor_digits)",
        FieldType.PERCENT: f"{column} / 100",
        FieldType.COUNTRY_ALPHA_3: alpha_3_sql(column),
        FieldType.LOCATION_LIST: f"SELECT unnest({column})",
        FieldType.STRING_LIST: f"SELECT unnest({column})",
    }.get(of.type, column)
    return ResourceField(
        f"{PREFIX}{of.name}",
        _TYPES.get(of.type, of.type),
        sql,
        is_visible=False,
        is_multivalued=of.type in (FieldType.LOCATION_LIST, FieldType.STRING_LIST),
    )


_COLUMNS = ", ".join(each.name for each in REGISTRY.stored)

PROFILES_WITH_VALUES = replace(
    PROFILES,
    from_clause=f"""{PROFILES.from_clause}
    JOIN communities AS home ON home.id = r.community_id
    LEFT JOIN profile_aggregations AS v ON v.community_id = r.community_id AND v.profile_id = r.profile_id""",
    fields=(*PROFILES.fields, *map(_field, REGISTRY.stored)),
)
"""Profiles with the filters of their values, as they are stored."""


@cache
def _with_computed_values() -> Resource:
    """Profiles with their values: those of the profiles $2 computed as of $3, the others as they are stored."""
    stored = f"""
        SELECT profile_id, {_COLUMNS}
        FROM profile_aggregations
        WHERE community_id = $1 AND profile_id <> ALL ($2::uuid[])
        UNION ALL
        SELECT profile_id, {_COLUMNS}
        FROM ({values_statement()}) AS computed"""
    return replace(
        PROFILES_WITH_VALUES,
        from_clause=f"""{PROFILES.from_clause}
    JOIN communities AS home ON home.id = r.community_id
    LEFT JOIN ({stored}
    ) AS v ON v.profile_id = r.profile_id""",
    )


_OUTDATED = """
SELECT profile_id
FROM profile_aggregations
WHERE community_id = $1
  AND (
      next_change_at <= $2
      OR values_version < (SELECT values_version FROM cache_versions WHERE community_id = $1)
  )
LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class ListedProfiles:
    """The profiles of a list, and the values of its parameters from $2 on."""

    resource: Resource
    bound: Sequence[object] = ()


def uses_values(query: Mapping[str, str]) -> bool:
    """Whether a query filters or sorts by values."""
    return f"filter[{PREFIX}" in "".join(query) or PREFIX in query.get("sort", "")


async def listed_profiles(scope: Scope, query: Mapping[str, str]) -> ListedProfiles:
    """The profiles of a list, with their current values if the query uses them.

    Raises ApiError, 503, if too many values are being recomputed.
    """
    if not uses_values(query):
        return ListedProfiles(PROFILES)
    rows: list[Any] = await scope.fetch(_OUTDATED, scope.community_id, scope.now, MAX_COMPUTED_PROFILES + 1)
    if not rows:
        return ListedProfiles(PROFILES_WITH_VALUES)
    if len(rows) > MAX_COMPUTED_PROFILES:
        raise ApiError(
            503,
            f"The values of more than {MAX_COMPUTED_PROFILES:,} profiles are being recomputed. Try again later.",
            headers=RETRY_AFTER_HEADER,
        )
    outdated = [row["profile_id"] for row in rows]
    return ListedProfiles(_with_computed_values(), (outdated, [scope.now] * len(outdated)))
