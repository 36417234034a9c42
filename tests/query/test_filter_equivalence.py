"""A filter lets the same rows through in PostgreSQL, in DuckDB, and in plain Python."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from clubs import START, Club
from hypothesis_settings import SEED, examples
from postgres_servers import on_both_servers
from query.filter_oracle import matches
from query.sample_reports import REGISTRY
from query.sample_rows import (
    ANYTHING,
    DAYS,
    DECIMALS,
    NAMES,
    NUMBERS,
    TEXTS,
    TIMES,
    Row,
    SampleStore,
    create_samples,
    random_rows,
)
from regulars.core.field_type import FieldType
from regulars.query.formats.records import records
from regulars.query.parser.filter_values import OPERATIONS
from regulars.query.parser.request import parse_query

pytestmark = on_both_servers

_encoder = msgspec.json.Encoder(decimal_format="number")

REPORTS = ("samples", "samples_in_duckdb")

_VALUES: dict[FieldType, Sequence[Any]] = {
    FieldType.STRING: TEXTS,
    FieldType.INTEGER: NUMBERS[1:],
    FieldType.NUMBER: DECIMALS[1:],
    FieldType.MONEY: (0, 1, 0.05, 1.01, 1.005, -1, 123.45, 0.001),
    FieldType.PERCENT: (0, 1, 0.05, 1.01, 1.005, -1),
    FieldType.BOOLEAN: (True, False),
    FieldType.DATE: [each.isoformat() for each in DAYS if each],
    FieldType.TIMESTAMP: [each.isoformat() for each in TIMES if each],
    FieldType.INTEGER_LIST: (1, 2, 3, 4),
    FieldType.STRING_LIST: ("a", "é", "'", "x"),
    FieldType.FLAGS: (True, False),
    FieldType.OBJECT: ANYTHING[1:],
}


def tree(chance: random.Random, level: int = 1) -> Any:
    """A filter of at most five levels."""
    kind = chance.choice(("and", "or", "not", "leaf", "leaf", "leaf")) if level < 5 else "leaf"
    if kind == "not":
        return {"type": "not", "operation": tree(chance, level + 1)}
    if kind in ("and", "or"):
        return {"type": kind, "operations": [tree(chance, level + 1) for _ in range(chance.randint(1, 3))]}
    return leaf(chance)


def leaf(chance: random.Random) -> Any:
    """A comparison of any field by any operation that it allows."""
    field = chance.choice([each for each in REGISTRY["samples"].fields if each.filterable and not each.is_tenant_field])
    dotted = field.type in (FieldType.FLAGS, FieldType.OBJECT)
    name = f"{field.name}.{chance.choice(NAMES)}" if dotted else field.name
    kind = chance.choice(OPERATIONS[field.type])
    texts = kind in ("starts_with", "contains")
    choices = [each.name for each in field.values] if field.values and not texts else _VALUES[field.type]
    if field.type is FieldType.OBJECT and texts:
        choices = [each for each in choices if isinstance(each, str)]
    elif field.type is FieldType.OBJECT and kind not in ("equal", "not_equal", "in", "not_in"):
        choices = (0, 1, 2.5)
    if kind in ("in", "not_in"):
        value: Any = [chance.choice((None, *choices)) for _ in range(chance.randint(0, 3))]
    elif kind == "between":
        value = [chance.choice(choices), chance.choice(choices)]
    elif kind in ("equal", "not_equal"):
        is_list = field.type in (FieldType.INTEGER_LIST, FieldType.STRING_LIST)
        value = None if is_list or chance.random() < 0.2 else chance.choice(choices)
    else:
        value = chance.choice(choices)
    return {"type": kind, "field": name, "value": value}


async def ids(of: SampleStore, report: str, filter_: Any) -> list[int]:
    """The rows that a report gives, by number."""
    body = _encoder.encode({"report": report, "filter": filter_, "limit": 10_000})
    answer = await records(parse_query(body, REGISTRY), [of.tenant], of.backends, START)
    return sorted(each["id"] for each in answer["records"])


async def test_random_filters_mean_what_plain_python_says(club: Club) -> None:
    chance = random.Random(SEED)
    of, rows = create_samples(club, club.database), random_rows(chance, 120)
    await of.insert(rows)
    for _ in range(examples(60)):
        filter_ = tree(chance)
        expected = [row["id"] for row in rows if matches(filter_, with_lists(row))]
        for report in REPORTS:
            assert await ids(of, report, filter_) == expected, (report, filter_)


def with_lists(row: Row) -> Row:
    """A row whose lists are never null, which is the same as empty."""
    return {**row, "marks": row["marks"] or [], "tags": row["tags"] or []}
