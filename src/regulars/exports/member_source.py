"""Rows of members in PostgreSQL, for reports whose rows are in the columnar replica otherwise.

A replica holds all members of a community in memory and may be later than a snapshot. An export reads the same rows from
the tables, in its own snapshot: members as of now, and values that are stored and current, or computed from the facts.
"""

from dataclasses import replace
from functools import lru_cache

from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.definitions import REGISTRY
from regulars.core.field_type import FieldType
from regulars.query.replica.columns import ALPHA_3_CODES, MEMBER_COLUMNS
from regulars.reports.report import Backend, PreAggregation, Report, ReportField, RowSource

_COMPUTED_AT_ONCE = 2_000
"""Profiles whose values are computed together, which bounds the memory of the database."""

_LIST_TYPES = (FieldType.INTEGER_LIST, FieldType.STRING_LIST, FieldType.LOCATION_LIST)


@lru_cache(maxsize=64)
def exported_report(report: Report) -> Report:
    """The report with all rows in PostgreSQL."""
    if report.source.backend is Backend.POSTGRES:
        return report
    with_values = RowSource(Backend.POSTGRES, _members_with_values())
    if any("r." in each.sql for each in report.measures):
        return replace(report, source=with_values)
    plain = tuple(each.name for each in report.fields if not _is_value(each))
    return replace(
        report,
        source=with_values,
        pre_aggregations=(PreAggregation(plain, RowSource(Backend.POSTGRES, _MEMBERS)),),
    )


def _is_value(field: ReportField) -> bool:
    return field.expression.removeprefix("r.") in _VALUE_EXPRESSIONS


# Members ------------------------------------------------------------------------------------------------------

_MEMBER_COLUMNS = ",\n    ".join(
    f"coalesce(m.{each.name}, '{{}}') AS {each.name}" if each.element_type else f"m.{each.name}"
    for each in MEMBER_COLUMNS
)

# A membership that begins or ends by the clock is stored a little later.
_MEMBERS = f"""
SELECT
    {_MEMBER_COLUMNS}
FROM members AS m
WHERE m.community_id = $community
    AND CASE
        WHEN m.next_change_at <= $now THEN m.groups <> '{{}}' AND coalesce(
            (
                SELECT type = 'in'
                FROM memberships
                WHERE memberships.community_id = $community
                    AND memberships.profile_id = m.profile_id
                    AND memberships.is_effective
                    AND memberships.occurred_at <= $now
                ORDER BY occurred_at DESC, id DESC
                LIMIT 1
            ),
            FALSE
        )
        ELSE m.is_member
    END
"""

# Values -------------------------------------------------------------------------------------------------------

_ALPHA_3 = "'{" + ", ".join(f'"{two}": "{three}"' for two, three in ALPHA_3_CODES.items()) + "}'::jsonb"

_MAX_DIGITS = 36
"""Larger numbers are null, as in the replica."""


def _value_expression(name: str, type_: FieldType) -> str:
    if type_ is FieldType.COUNTRY_ALPHA_3:
        return f'({_ALPHA_3} ->> v.{name}) COLLATE "C" AS {name}'
    if type_ is FieldType.PERCENT:
        return f"CASE WHEN abs(v.{name}) < 1e{_MAX_DIGITS} THEN v.{name} END AS {name}"
    return f"coalesce(v.{name}, '{{}}') AS {name}" if type_ in _LIST_TYPES else f"v.{name}"


_VALUE_EXPRESSIONS = {each.name: _value_expression(each.name, each.type) for each in REGISTRY.stored}

# Values are current where they are neither due by the clock nor older than the facts that many profiles share.
_IS_CURRENT = """stored.values_version >= (SELECT values_version FROM cache_versions WHERE community_id = $community)
    AND (stored.next_change_at IS NULL OR stored.next_change_at > $now)"""


def _members_with_values() -> str:
    """Members with their values: stored ones, and computed ones in parts of some thousand profiles."""
    columns = ", ".join(_VALUE_EXPRESSIONS)
    computed = (
        values_statement()
        .replace("$1", "$community")
        .replace("$2::uuid[]", "parts.profile_ids")
        .replace("$3::timestamptz[]", "parts.instants")
    )
    shown = ",\n    ".join(_VALUE_EXPRESSIONS.values())
    return f"""
WITH present AS NOT MATERIALIZED (
{_MEMBERS}
)
SELECT
    m.*,
    {shown}
FROM present AS m
LEFT JOIN (
    SELECT stored.profile_id, {columns}
    FROM profile_aggregations AS stored
    WHERE stored.community_id = $community AND {_IS_CURRENT}
    UNION ALL
    SELECT computed.profile_id, {columns}
    FROM (
        SELECT
            array_agg(profile_id) AS profile_ids,
            array_agg(CAST($now AS timestamptz)) AS instants
        FROM (
            SELECT m.profile_id, row_number() OVER () / {_COMPUTED_AT_ONCE} AS part
            FROM present AS m
            LEFT JOIN profile_aggregations AS stored
                ON stored.community_id = $community AND stored.profile_id = m.profile_id
            WHERE ({_IS_CURRENT}) IS NOT TRUE
        ) AS stale
        GROUP BY part
    ) AS parts
    CROSS JOIN LATERAL (
{computed}
    ) AS computed
) AS v ON v.profile_id = m.profile_id
"""
