"""The server and DuckDB accept the same purchases and compute the same values of them, from texts of every form."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from clubs import START, Club
from engines.compute_fixtures import compute_on_duckdb
from hypothesis_settings import SEED, examples
from regulars.aggregations.serialization import aggregations_by_name
from regulars.offline import schema
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.errors import InvalidInputError
from regulars.offline.pipeline import ComputeSpec, build_values
from regulars.offline.registration import InputReading, register

Cells = dict[str, str]
"""The texts of a row by column; each row is a purchase of a profile of its own."""
Values = dict[str, dict[str, Any]]
"""Values by profile."""

NAMES = ["spend_all", "shop_count", "channel", "purchased_brands", "discount_avg", "latest_shop_date"]
PRODUCTS = pa.table({"external_id": ["P1"], "sku": ["P1"], "brand": ["P"]})
"""Products that are not bought; without any, DuckDB reads no skus."""

_exact = msgspec.json.Decoder(float_hook=Decimal)


# The two sides ----------------------------------------------------------------------------------------------


def as_csv(rows: Sequence[Cells]) -> str:
    """The rows as a CSV file."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def as_ndjson(rows: Sequence[Cells]) -> str:
    """The rows as objects without empty cells, with lists of items and systems."""
    lines = (", ".join(f'"{name}": {_as_json(name, cell)}' for name, cell in row.items() if cell) for row in rows)
    return "".join(f"{{{line}}}\n" for line in lines)


def _as_json(name: str, cell: str) -> str:
    if name == "items":
        return cell.replace("\n", " ") if cell.strip() else "null"
    if name == "systems" and not cell.startswith("["):
        return json.dumps([each.strip() for each in re.split("[,;|]", cell) if each.strip()])
    return cell if name == "systems" else json.dumps(cell)


async def values_on_server(club: Club, content: str, media_type: str) -> Values:
    """Imports a file; the values of the profiles of the rows that were accepted."""
    answer = await club.http.post(
        "/v1/import/transactions?create_profiles=1", content=content.encode(), headers={"Content-Type": media_type}
    )
    assert answer.status_code == 200, answer.text
    async with club.database.read_transaction(club.community.id) as scope:
        stored = await scope.fetch(
            "SELECT external_id, profile_id FROM profiles WHERE community_id = $1", scope.community_id
        )
    ids = {row["external_id"]: str(row["profile_id"]) for row in stored}
    values: list[dict[str, Any]] = []
    while len(values) < len(ids):
        query = {"profile_ids": list(ids.values())[len(values) :][:1_000], "names": NAMES}
        body = _exact.decode((await club.http.post("/api/v3/profiles/aggregations/query", json=query)).content)
        values += body["data"]
    return dict(zip(ids, values, strict=True))


def values_on_duckdb(build: Callable[[Sequence[Cells]], Any], rows: Sequence[Cells]) -> Values:
    """The values of the profiles of the rows that are accepted: those that remain without the rejected ones."""
    rejected = rejected_ids(build(rows))
    accepted = [row for row in rows if (row["external_id"].strip() or None) not in rejected]
    computed = compute_on_duckdb(build(accepted), products=PRODUCTS, as_of=START, values=NAMES)
    return {
        row["profile_id"]: {
            name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()
        }
        for row in computed.select(["profile_id", *NAMES]).to_pylist()
    }


def rejected_ids(transactions: Any) -> Collection[str | None]:
    """The ids of rejected purchases, None for one without an id."""
    engine = DuckDBEngine()
    tables = ((schema.TRANSACTIONS, transactions), (schema.PRODUCTS, PRODUCTS))
    inputs = {spec.name: register(engine, spec, table, InputReading()) for spec, table in tables}
    spec = ComputeSpec("UTC", None, START, aggregations_by_name(NAMES))
    try:
        build_values(engine, inputs, spec, lambda stage: None)
    except InvalidInputError:
        # The facts have a row for each invalid purchase.
        invalid = engine.fetch("SELECT external_id FROM fact_transactions WHERE error_no IS NOT NULL")
        assert invalid
        return {external_id for (external_id,) in invalid}
    return set()


def differences(name: str, computed: Values, expected: Values, rows: Iterable[Cells]) -> str:
    """The rows of which values differ, or which only one side accepts, with the values of both."""
    compared = [
        (row, _comparable(computed.get(row["profile"])), _comparable(expected.get(row["profile"]))) for row in rows
    ]
    differing = [f"{row}:\n  {name}: {one}\n  expected: {other}" for row, one, other in compared if one != other]
    return "\n".join(differing)


def _comparable(values: Mapping[str, Any] | None) -> object:
    if values is None:
        return None
    return {name: Decimal(value) if name.startswith("spend") else value for name in NAMES for value in (values[name],)}


async def assert_agreement(rows: Sequence[Cells], club: Club, other_club: Club, folder: Path) -> None:
    """Rows have the same values on both sides, in CSV as in JSON and in memory, or are rejected by all."""

    def write(some: Sequence[Cells]) -> Path:
        path = folder / "sales.csv"
        # DuckDB rejects a file with a NUL character as a whole, and the loader its rows.
        path.write_text(as_csv([row for row in some if "\0" not in "".join(row.values())]))
        return path

    from_csv = await values_on_server(club, as_csv(rows), "text/csv")
    from_json = await values_on_server(other_club, as_ndjson(rows), "application/x-ndjson")
    others = {
        "NDJSON": from_json,
        "CSV on DuckDB": values_on_duckdb(write, rows),
        "table on DuckDB": values_on_duckdb(pa.Table.from_pylist, rows),
    }
    problems = [text for name, values in others.items() if (text := differences(name, values, from_csv, rows))]
    assert not problems, "\n".join(problems)


def purchases(cells: Sequence[Cells]) -> list[Cells]:
    """A purchase for each of some cells."""
    return [
        {"external_id": f"T{n:03}", "profile": f"T{n:03}", "transacted_at": "2026-10-01", "total": "5", **each}
        for n, each in enumerate(cells)
    ]


# Items in JSON ----------------------------------------------------------------------------------------------

LONG = "\u00e5" * 256
PRICE = '"price_sell": 10, "price_current": 10'
ITEMS = [
    "", " ", "[]", " [ ] ", "[{}]", "[[]]", "[[1]]", "[null]", "[5]", '["x"]', "{}", "5", "x", '"[]"', "[{}]x",
    f'[{{"brand": "A", "brand": "B", {PRICE}}}]',
    f'[{{"brand": "A", {PRICE}, "price_current": 20, "discount": 1}}]',
    f'[{{"br\\u0061nd": "A", {PRICE}}}, {{"brand": "B"}}]',
    f'[{{"brand": "A", "meta": {{"brand": "B"}}, {PRICE}}}]',
    f'[{{"brand": "A", "x": "}}", "brand": "B", {PRICE}}}]',
    '[{"brand": "A"},]', '[{"brand": "A",}]', '[,{"brand": "A"}]', '[{"brand": "A"} {"brand": "B"}]',
    '[{"brand": 5}]', '[{"brand": 1.5}]', '[{"brand": true}]', '[{"brand": ["A"]}]', '[{"brand": null}]', '[{"brand": ""}]',
    '[{"brand": "A\\u0000"}]', f'[{{"brand": "{LONG}"}}]', f'[{{"brand": "{LONG[1:]}", {PRICE}}}]',
    '[{"brand": "\\ud83d\\ude00"}]', '[{"brand": "\\ud800"}]', '[{"brand": "A\\n"}]',
    '[{"sku": 5}]', '[{"sku": 5.5}]', '[{"sku": true}]', '[{"sku": "S\\u0000"}]', f'[{{"sku": "{LONG}"}}]',
    f'[{{"name": "{LONG}"}}]', f'[{{"name": "{LONG * 4}"}}]', '[{"name": "N\\u0000"}]', '[{"name": []}]',
    '[{"external_id": 5}]', '[{"external_id": 5.5}]', f'[{{"external_id": "{LONG}"}}]', '[{"tags": {}}]', '[{"tags": [1]}]',
    '[{"meta": 5}]', '[{"unknown": {"brand": [{"a": [1]}]}, "brand": "A"}]', '[{"unknown": NaN}]', '[{"Brand": 5}]',
    '[{"price_sell": ""}]', '[{"price_sell": " "}]', '[{"price_sell": " 5 "}]', '[{"price_sell": "1e2"}]',
    '[{"price_sell": 153.00000000000003}]', '[{"price_sell": 5.0000000000000001}]', '[{"price_sell": "0.1234567"}]',
    '[{"price_sell": NaN}]', '[{"price_sell": Infinity}]', '[{"price_sell": "NaN"}]', '[{"price_sell": true}]',
    '[{"price_sell": 01}]', '[{"price_sell": -0}]', '[{"price_sell": 1000000000000}]', '[{"price_sell": 1e999}]',
    '[{"price_current": 123456789012.123456, "discount": 12345678901.234567}]',
    '[{"price_current": 123456789012.123456, "discount": 12345678901.23456}]',
    '[{"quantity": 10000000, "price_sell": 1}]', '[{"quantity": 9999999.5, "price_current": 1, "discount": 7}]',
    '[{"quantity": 0.5, "price_current": 3, "discount": "1"}]', '[{"quantity": null, "price_current": 3, "discount": 1}]',
    *(f'[{{"is_void": {each}, {PRICE}, "brand": "A", "discount": 1}}]'
      for each in ("true", "false", "null", "0", "1", "2", '"true"', '"yes"', '"no"', '""', "[]")),
    *(f'[{{"discounts": {each}, {PRICE}, "discount": 2}}]'
      for each in ("[]", "null", '[{"amount": 1}]', '[{"amount": "1.5", "name": "x"}, {"name": {"a": []}, "amount": 2}]',
                   "[{}]", '[{"amount": 1, "amount": 3}]', '[{"amount": 1},]', "[1]", '{"amount": 1}', '"[]"', '[{"amount": ""}]',
                   '[{"amount": null}]', '[{"amount": 1, "name": "\\u0000"}]', '[{"x": 5}, {"amount": 1}]')),
    f"[{', '.join(['{}'] * 2_000)}]", f"[{', '.join(['{}'] * 2_001)}]",
]  # fmt: skip
"""Texts of the column items."""


async def test_lists_of_items_are_read_as_on_the_server(club: Club, other_club: Club, tmp_path: Path) -> None:
    random = Random(SEED)
    drawn = [random_items(random) for _ in range(examples(150))]
    rows = purchases([{"items": each} for each in (*ITEMS, *drawn)])
    await assert_agreement(rows, club, other_club, tmp_path)


_TEXTS = ['"A"', '" B "', '"\u00e9{}"', '"c\\"\\u00e9"', "null", '""']
_NUMBERS = ["1", "2.50", '"3.5"', "null", "7e0", '" 4"', "0", "-1", "1.000001", "123456789.5"]
_VALID = {
    **dict.fromkeys(("sku", "brand", "name", "external_id"), _TEXTS),
    **dict.fromkeys(("quantity", "price_sell", "price_current", "price_tax", "discount"), _NUMBERS),
    "is_void": ["true", "false", "false", "null", "0"],
    "discounts": ["[]", "null", '[{"amount": 1}]', '[ {"name": "x", "amount": "2.5"} , {"amount": 1} ]'],
    "tags": ["[]", '["a"]', "null"],
    "category": ['"x"', "5", "[1, 2]", '{"a": 1}', '{"a": {"b": []}}'],
}
_OTHERS = [
    "true",
    "5",
    "5.5",
    '"x"',
    "[]",
    "{}",
    "NaN",
    '""',
    '"a\\u0000"',
    "1.12345678",
    "[null]",
    "1e400",
    "99999999999999999999",
]


def random_items(random: Random) -> str:
    """A list of items of drawn members, most of them valid, some repeated."""
    space = random.choice(("", " ", "\n\t"))

    def item() -> str:
        names = random.sample(list(_VALID), random.randint(0, 5))
        names += random.sample(names, 1) if names and random.random() < 0.05 else []
        members = [
            f'"{name}":{space}{random.choice(_OTHERS if random.random() < 0.03 else _VALID[name])}' for name in names
        ]
        return "{" + f",{space}".join(members) + (",}" if random.random() < 0.01 else f"{space}}}")

    return f"[{space}" + f"{space},".join(item() for _ in range(random.choice((1, 1, 2, 3)))) + "]"


# Cells of columns -------------------------------------------------------------------------------------------

CELLS: list[Cells] = [
    *({"sku": each, "brand": "A"} for each in ("", " ", " S ", "S\0", LONG, LONG[1:])),
    *({"name": each} for each in (" ", "N\0", LONG, LONG[1:])),
    *({"brand": each, "price_current": "10", "discount": "1"} for each in (" ", " A ", "5", "A\0", LONG, LONG[1:])),
    *({"price_sell": each, "brand": "A"} for each in (" ", " 5 ", "x", "153.00000000000003", "0.1234567", "1e12", "1e2")),
    *({"quantity": each, "price_current": "10", "discount": "1"} for each in ("0", "-1", "1e7", "9999999.5", "x")),
    *({"status": each} for each in (" ", "Cancelled", " voided ", "void", "V\0", LONG, LONG[1:])),
    *({"is_void": each} for each in ("yes", "0", "on", " T ")),
    *({"systems": each} for each in (
        "pos", "POS,web", " web\u00a0; x", "my pos", "pos|my web", '["web"]', '["pos", "x"]', "poster", "[]", ";", "we b",
    )),
    *({"total": each} for each in ("", " ", "-5", "0", "153.00000000000003", "5.1234567", "1000000000000", "12,5", "x")),
    *({"total": "", "price_sell": each, "quantity": "2"} for each in ("1.5", "-0.0000005", "999999999999", "")),
]  # fmt: skip
"""Cells of a row of which one is unusual."""

_ITEM = {"sku": "S1", "brand": "B", "quantity": "1", "price_sell": "10", "price_current": "10", "discount": "0.5"}


IDS = ["", " ", "Y\0", LONG, LONG[1:], " X ", "x"]


@pytest.mark.parametrize("ids", [[], IDS], ids=["numbered", "not numbered"])
async def test_cells_are_read_as_on_the_server(
    club: Club, other_club: Club, tmp_path: Path, ids: Sequence[str]
) -> None:
    columns = dict.fromkeys(("status", "is_void", "systems", "name"), "") | _ITEM
    cells = [*CELLS, *({"external_id": each} for each in ids)]
    await assert_agreement(purchases([columns | each for each in cells]), club, other_club, tmp_path)
