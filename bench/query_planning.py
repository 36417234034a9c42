"""Cost of a report request before it is executed: parsing, validation, compilation, binding."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from bench.environment import BenchEnvironment
from bench.result import Findings
from bench.size import Size
from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.query.compiler import statements
from regulars.query.compiler.records import plan_records
from regulars.query.parser.request import parse_query
from regulars.reports.report import COMMUNITY_ID, Backend, Report, ReportField, ReportFormat, RowSource

ROUNDS = 15
MAX_MS = 0.3

_NOW = datetime(2026, 11, 24, tzinfo=UTC)
_CLUB = Tenant(7, 7, 7, 1, "club", "Club", "Europe/Oslo", "NOK", 2, {})

_REPORT = Report(
    name="planned",
    format=ReportFormat.RECORDS,
    description="Members with the fields that are used most.",
    cost=10,
    fields=(
        COMMUNITY_ID,
        ReportField("member_id", FieldType.INTEGER, "Number.", filterable=True),
        *(ReportField(f"text_{n}", FieldType.STRING, "A text.", filterable=True) for n in range(10)),
        *(ReportField(f"number_{n}", FieldType.INTEGER, "A number.", filterable=True) for n in range(10)),
        ReportField("spent", FieldType.MONEY, "An amount.", filterable=True),
        ReportField("group_ids", FieldType.INTEGER_LIST, "Groups.", filterable=True),
        ReportField(
            "consents",
            FieldType.FLAGS,
            "Consents.",
            filterable=True,
            flag_columns=("r.consents_true", "r.consents_false"),
        ),
        ReportField("properties", FieldType.OBJECT, "Properties.", filterable=True),
        ReportField("created_at", FieldType.TIMESTAMP, "When.", filterable=True),
    ),
    source=RowSource(Backend.POSTGRES, "SELECT * FROM members AS m WHERE m.community_id = $community AND m.is_member"),
    key=("community_id", "member_id"),
)
_REPORTS = {_REPORT.name: _REPORT}

Tree = dict[str, Any]


def _comparison(operation: str, field: str, value: object) -> Tree:
    return {"type": operation, "field": field, "value": value}


_EVERY_KIND = (
    _comparison("equal", "text_1", "a"),
    _comparison("between", "number_1", [1, 7]),
    _comparison("greater_than", "spent", 100.5),
    _comparison("in", "group_ids", [1, 2, 3]),
    _comparison("equal", "consents.sms_marketing", True),
    _comparison("equal", "properties.language", "no"),
    _comparison("less_than", "created_at", "2026-11-24T08:00:00Z"),
)


def _deep() -> Tree:
    """10 levels and 100 nodes."""
    tree: Tree = {"type": "or", "operations": [_EVERY_KIND[n % 7] for n in range(11)]}
    for level in range(8):
        kind = ("and", "or")[level % 2]
        tree = {"type": kind, "operations": [tree, *(_EVERY_KIND[(level + n) % 7] for n in range(10))]}
    return tree


_CASES: dict[str, Tree | None] = {
    "no filter": None,
    "one comparison": _EVERY_KIND[0],
    "a comparison of each kind": {"type": "and", "operations": list(_EVERY_KIND)},
    "10 levels, 100 nodes": _deep(),
    "a list of 1,000 values": _comparison("in", "number_1", list(range(1_000))),
}


def _plan(body: bytes) -> list[Any]:
    return plan_records(parse_query(body, _REPORTS), None).bind(_CLUB, _NOW, {"limit": 1_001})


def _plan_new(body: bytes) -> list[Any]:
    statements.clear_cache()
    return _plan(body)


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Every case again and again, by processor time."""
    repetitions = size.rows(200, 5)
    findings.describe(
        f"The product's own functions, from a body's bytes to a statement and its values: {repetitions:,} times in a round, "
        f"processor time of one, the median of {ROUNDS} rounds. Known: the shape was compiled before, as for all "
        f"requests of a shape but the first; new: it is compiled each time, of comparisons that were written before."
    )
    for name, tree in _CASES.items():
        body = msgspec.json.encode({"report": _REPORT.name, "filter": tree})
        for kind, plan in (("known", _plan), ("new", _plan_new)):
            median = findings.record(f"{name}, {kind}", _rounds(plan, body, repetitions, size.rounds(ROUNDS)), "ms")
            findings.target_at_most(
                f"A request is planned, {name}, {kind} shape: under {MAX_MS} ms", median, MAX_MS, "ms"
            )


def _rounds(plan: Callable[[bytes], object], body: bytes, repetitions: int, rounds: int) -> list[float]:
    plan(body)
    milliseconds = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(repetitions):
            plan(body)
        milliseconds.append(1_000 * (time.process_time() - began) / repetitions)
    return milliseconds
