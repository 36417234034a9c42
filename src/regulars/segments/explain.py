"""Explains for one member which conditions of a segment hold, and lists the segments of profiles, exactly at an instant."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from regulars.core.errors import NotFoundError
from regulars.core.field_type import FieldType
from regulars.query.compiler.conditions import indent
from regulars.query.compiler.statements import CompiledStatement, number_parameters
from regulars.query.dialects.engines import POSTGRESQL, operand, render_sql
from regulars.query.encoders import encoder_for, format_timestamp
from regulars.query.parser.request import decode_value
from regulars.query.query import Comparison, FilterNode, SegmentReference
from regulars.reports.report import Backend
from regulars.segments import member_rows
from regulars.segments.definitions import CommunitySegments, Segment
from regulars.segments.membership import bind, compile_batches, instant_parameters, matching_numbers
from regulars.storage.database import Scope


@dataclass(frozen=True, slots=True)
class Currency:
    """The time zone and the decimals of the currency that conditions of a community are evaluated with."""

    timezone: str
    minor_digits: int


# Segments of profiles -----------------------------------------------------------------------------------------


async def segments_of(
    scope: Scope, segments: CommunitySegments, profile_ids: Sequence[UUID], currency: Currency
) -> dict[UUID, list[str]]:
    """The names of the segments that each profile is in at the instant of the scope, computed from the facts."""
    found: dict[UUID, list[str]] = {each: [] for each in profile_ids}
    for batch in compile_batches(segments):
        statement = _matching_statement(batch.conditions)
        values = batch.conditions.values(currency.minor_digits)
        rows = await scope.fetch(statement.sql, *bind(statement, values, _parameters(scope, profile_ids, currency)))
        for row in rows:
            found[row["profile_id"]] += (batch.segments[number - 1].name for number in row["numbers"])
    return {profile_id: sorted(names) for profile_id, names in found.items()}


@lru_cache(maxsize=100)
def _matching_statement(conditions: member_rows.CombinedConditions) -> CompiledStatement:
    rows = member_rows.exact_rows(member_rows.columns_used(conditions.conditions))
    numbers = indent(matching_numbers(conditions.conditions))
    return number_parameters(
        f"SELECT r.profile_id, {numbers} AS numbers\nFROM ({indent(rows)}\n) AS r\nWHERE r.is_member"
    )


def _parameters(scope: Scope, profile_ids: Sequence[UUID], currency: Currency) -> dict[str, object]:
    return {
        **instant_parameters(scope, currency.timezone, scope.now),
        "profiles": list(profile_ids),
        "instants": [scope.now] * len(profile_ids),
    }


# Explanations -------------------------------------------------------------------------------------------------

_BY_MEMBER_ID = "SELECT profile_id FROM profiles WHERE community_id = $1 AND member_id = $2"


async def find_profile(scope: Scope, member_id: int) -> UUID:
    """The profile of a member's id. Raises NotFoundError."""
    found: UUID | None = await scope.fetchval(_BY_MEMBER_ID, scope.community_id, member_id)
    if found is None:
        raise NotFoundError(f"There is no member {member_id}.")
    return found


async def explain(
    scope: Scope, segments: CommunitySegments, segment: Segment, profile_id: UUID, currency: Currency
) -> dict[str, Any]:
    """Which conditions of a segment hold for a profile, with its values, computed from the facts.

    The filter of the segment must be valid. Raises NotFoundError for an unknown profile.
    """
    node = segments.filters[segment.name].filter
    assert node is not None, "the filter is invalid"  # noqa: S101
    leaves = list(_leaves(node, scope.community_id))
    conditions = member_rows.combine(leaves)
    values = _Values(leaves)
    rows = member_rows.exact_rows(
        [*member_rows.columns_used((*conditions.conditions, *values.expressions))],
    )
    holds = ",\n".join(indent(f"({each}) IS TRUE") for each in conditions.conditions)
    statement = number_parameters(
        f"SELECT r.number, r.is_member,\nARRAY[\n{holds}\n] AS holds,\n"
        f"ARRAY[\n{values.sql}\n] AS actual\nFROM ({indent(rows)}\n) AS r"
    )
    parameters = {**_parameters(scope, [profile_id], currency), **values.parameters}
    row = await scope.fetchrow(statement.sql, *bind(statement, conditions.values(currency.minor_digits), parameters))
    if row is None or row["number"] is None:
        raise NotFoundError(f"There is no profile {profile_id}.")
    actual = [_encode(leaf, value, currency) for leaf, value in zip(leaves, row["actual"], strict=True)]
    outcomes = iter(zip(row["holds"], actual, strict=True))
    explanation = _explained(segment.tree, node, segments, outcomes)
    return {
        "segment": segment.name,
        "member_id": row["number"],
        "profile_id": profile_id,
        "is_member": row["is_member"],
        "in_segment": row["is_member"] and explanation["holds"],
        "explanation": explanation,
        "at": format_timestamp(scope.now),
    }


def _leaves(node: FilterNode, community_id: int) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
    elif isinstance(node, SegmentReference):
        yield from _leaves(node.filters[community_id], community_id)
    else:
        for each in node.nodes:
            yield from _leaves(each, community_id)


def _explained(
    tree: Mapping[str, Any], node: FilterNode, segments: CommunitySegments, outcomes: Iterator[tuple[bool, Any]]
) -> dict[str, Any]:
    """The filter as it was sent, with what holds and with the values of the member."""
    if isinstance(node, Comparison):
        holds, actual = next(outcomes)
        return {**tree, "actual": actual, "holds": holds}
    if isinstance(node, SegmentReference):
        other = segments.segments[node.name]
        found = _explained(other.tree, node.filters[segments.community_id], segments, outcomes)
        return {**tree, "filter": found, "holds": found["holds"]}
    operands = [tree["operation"]] if node.type == "not" else tree["operations"]
    found_all = [
        _explained(each, operand_node, segments, outcomes)
        for each, operand_node in zip(operands, node.nodes, strict=True)
    ]
    holding = [each["holds"] for each in found_all]
    if node.type == "not":
        return {**tree, "operation": found_all[0], "holds": not holding[0]}
    return {**tree, "operations": found_all, "holds": all(holding) if node.type == "and" else any(holding)}


class _Values:
    """The expressions of the fields of comparisons, as JSON, with the keys of objects as parameters."""

    def __init__(self, leaves: Sequence[Comparison]) -> None:
        self.parameters: dict[str, object] = {}
        self.expressions = [self._expression(each) for each in leaves]
        self.sql = ",\n".join(indent(f"to_jsonb({each})") for each in self.expressions)

    def _expression(self, leaf: Comparison) -> str:
        field, dialect = leaf.field, POSTGRESQL.dialect
        if leaf.object_key is None:
            return render_sql(field.expression, Backend.POSTGRES)
        name = f"key{len(self.parameters)}"
        self.parameters[name] = leaf.object_key
        key = f"CAST(${name} AS TEXT)"
        if field.type is not FieldType.FLAGS:
            return dialect.object_value(operand(field, Backend.POSTGRES), key)
        trues, falses = (render_sql(each, Backend.POSTGRES) for each in field.flag_columns or ())
        is_true, is_false = dialect.contains(trues, key), dialect.contains(falses, key)
        return f"CASE WHEN {is_true} THEN TRUE WHEN {is_false} THEN FALSE END"


def _encode(leaf: Comparison, value: msgspec.Raw | None, currency: Currency) -> Any:
    found = None if value is None else decode_value(bytes(value))
    if found is None or leaf.object_key is not None:
        return found
    if leaf.field.type is FieldType.TIMESTAMP:
        return format_timestamp(datetime.fromisoformat(found))
    encode = encoder_for(leaf.field.type, currency.minor_digits)
    return found if encode is None or leaf.field.type is FieldType.DATE else encode(found)
