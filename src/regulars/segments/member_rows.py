"""The members of a community in PostgreSQL, as the rows `r` that filters of members are compiled against."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.definitions import REGISTRY
from regulars.core.countries import alpha_3, codes_by_name
from regulars.core.field_type import FieldType
from regulars.query.compiler import filter_sql
from regulars.query.compiler.conditions import indent
from regulars.query.query import FilterNode
from regulars.reports.report import Backend

_VALUES = {each.name: each for each in REGISTRY.stored}


@cache
def alpha_3_sql(code: str) -> str:
    """The expression of a country's code of three letters."""
    codes = sorted(set(codes_by_name().values()))
    listed, results = (", ".join(f"'{each}'" for each in found) for found in (codes, map(alpha_3, codes)))
    return f"(ARRAY[{results}])[array_position(ARRAY[{listed}], {code})]"


def _column(name: str) -> str:
    """The expression of a column of `r`: one of the member `m` or of the values `v`."""
    value = _VALUES.get(name)
    if value is None:
        return f"m.{name}"
    is_country = value.type is FieldType.COUNTRY_ALPHA_3
    return f"{alpha_3_sql(f'v.{name}')} AS {name}" if is_country else f"v.{name}"


_COLUMN = re.compile(r"\br\.(\w+)")


def columns_used(expressions: Iterable[str]) -> list[str]:
    """The columns of `r` that expressions use."""
    return sorted({name for each in expressions for name in _COLUMN.findall(each)} - {"profile_id", "is_member"})


def stored_rows(columns: Sequence[str]) -> str:
    """The stored rows of the profiles `requested`; `is_dirty` says that a load has yet to compute the values."""
    return f"""
SELECT {", ".join(("m.profile_id", "m.is_member", *map(_column, columns)))},
       coalesce(v.values_version < 0, FALSE) AS is_dirty
FROM requested
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE community_id = $community AND profile_id = requested.profile_id OFFSET 0
) AS m
LEFT JOIN LATERAL (
    SELECT * FROM profile_aggregations WHERE community_id = $community AND profile_id = requested.profile_id OFFSET 0
) AS v ON TRUE"""


@cache
def _computed_values() -> str:
    """The values of the profiles $profiles at $instants, in the syntax of named parameters."""
    names = {"$1": "$community", "$2": "$profiles", "$3": "$instants"}
    return re.sub(r"\$[123]\b", lambda found: names[found[0]], values_statement())


def exact_rows(columns: Sequence[str]) -> str:
    """The rows of the profiles $profiles at $now, with values and memberships computed from the facts."""
    return f"""
SELECT {", ".join(("m.profile_id", "m.member_id AS number", *map(_column, columns)))},
       m.groups <> '{{}}' AND coalesce(
           (
               SELECT type = 'in'
               FROM memberships
               WHERE community_id = $community AND profile_id = m.profile_id AND is_effective AND occurred_at <= $now
               ORDER BY occurred_at DESC, id DESC
               LIMIT 1
           ),
           FALSE
       ) AS is_member
FROM members AS m
LEFT JOIN (
{indent(_computed_values())}
) AS v ON v.profile_id = m.profile_id
WHERE m.community_id = $community AND m.profile_id = ANY ($profiles)"""


# Conditions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CombinedConditions:
    """The conditions of several filters in one statement, their values numbered through. Compared by identity."""

    conditions: tuple[str, ...]
    nodes: tuple[FilterNode, ...]

    def values(self, minor_digits: int) -> list[object]:
        """The values of $v1, $v2, ... in a currency with these decimals."""
        return [each for node in self.nodes for each in bound_values(node, minor_digits)]


def bound_values(node: FilterNode, minor_digits: int) -> list[object]:
    """The values of one filter."""
    return filter_sql.bound_values(node, Backend.POSTGRES, minor_digits)


_VALUE = re.compile(r"\$v(\d+)")


def _renumber(sql: str, offset: int) -> str:
    return _VALUE.sub(lambda found: f"$v{int(found[1]) + offset}", sql)


def combine(nodes: Sequence[FilterNode]) -> CombinedConditions:
    """Compiles filters, without references to segments, to conditions over `r` in PostgreSQL."""
    conditions: list[str] = []
    offset = 0
    for node in nodes:
        sql = filter_sql.condition(node, Backend.POSTGRES).sql
        conditions.append(_renumber(sql, offset))
        offset += len(bound_values(node, 0))
    return CombinedConditions(tuple(conditions), tuple(nodes))
