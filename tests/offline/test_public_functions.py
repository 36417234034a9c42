"""What `import regulars` offers: inputs of every kind of table, one value by its name, metadata, and public errors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest

import regulars
from regulars.aggregations.fingerprint import FINGERPRINT

ROWS = pa.table(
    {
        "external_id": ["a", "b"],
        "profile": ["p", "q"],
        "transacted_at": ["2026-10-01T10:00:00Z", "2026-10-02T10:00:00Z"],
        "total": [12.5, 20],
    }
)


class Stream:
    """Another library's table, which has nothing but an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return ROWS.__arrow_c_stream__(requested_schema)


def compute(rows: Any = ROWS, **arguments: Any) -> pa.Table:
    return regulars.compute(rows, **{"values": "spend_all", "as_of": "2026-11-01", "currency": "EUR", **arguments})


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS.to_reader(),
        ROWS.to_pandas(),
        duckdb.connect().from_arrow(ROWS),
        polars.from_arrow(ROWS),
        polars.DataFrame(polars.from_arrow(ROWS)).lazy(),
        Stream(),
    ],
    ids=lambda rows: f"{type(rows).__module__.partition('.')[0]}.{type(rows).__name__}",
)
def test_a_table_of_any_library_is_an_input(rows: Any) -> None:
    assert compute(rows)["spend_all"].to_pylist() == [Decimal("12.50"), Decimal("20.00")]


def test_a_field_has_its_meaning_its_type_and_its_unit() -> None:
    schema = compute(values=["spend_all", "average_shop_days", "discount_avg"]).schema
    assert schema.field("spend_all").metadata == {
        b"meaning": b"Net spend of all time.",
        b"type": b"decimal",
        b"unit": b"EUR",
    }
    assert [schema.field(name).metadata[b"unit"] for name in ("average_shop_days", "discount_avg", "profile_id")] == [
        b"days",
        b"percent",
        b"",
    ]
    with_fingerprints = compute(values=None, with_fingerprints=True).schema
    assert with_fingerprints.field(FINGERPRINT.name).metadata is None


def test_money_is_exact_unless_floats_are_wanted() -> None:
    found = compute(money="float", values=["spend_all", "discount_avg"])
    assert found.schema.field("spend_all").type == found.schema.field("discount_avg").type == pa.float64()
    assert found["spend_all"].to_pylist() == [12.5, 20.0]


def test_the_values_are_listed_with_their_types_and_meanings() -> None:
    listed = {each.name: each for each in regulars.values()}
    assert listed["spend_12m"].type == "decimal"
    assert listed["spend_12m"].unit == "currency"
    assert listed["spend_12m"].meaning.startswith("Net spend")
    assert set(compute(values=None).column_names) >= set(listed)
    assert isinstance(regulars.values()[0], regulars.Value)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"values": ["spend"]}, "'spend'"),
        ({"values": 7}, "7"),
        ({"values": [7]}, "7"),
        ({"money": "cents"}, "'cents'"),
        ({"engine": "pandas"}, "'pandas'"),
        ({"as_of": "yesterday"}, "'yesterday'"),
        ({"as_of": 7}, "int"),
        ({"timezone": "Mars"}, "'Mars'"),
        ({"timezone": 7}, "7"),
        ({"currency": "XX"}, "'XX'"),
        ({"currency": 7}, "7"),
        ({"columns": 7}, "7"),
        ({"columns": {"buyer": "x"}}, "buyer"),
        ({"columns": {"profile": "customer"}}, "customer"),
        ({"output": "x.foo"}, "'x.foo'"),
        ({"date_format": "%Q"}, "'%Q'"),
        ({"delimiter": "xx"}, "'xx'"),
    ],
)
def test_an_error_is_public_and_names_the_rejected_value(arguments: dict[str, Any], found: str) -> None:
    with pytest.raises(regulars.InvalidInputError) as raised:
        compute(**arguments)
    assert found in str(raised.value)


def test_errors_are_public() -> None:
    with pytest.raises(regulars.InputNotFoundError):
        regulars.compute(7)
    with pytest.raises(regulars.InvalidParametersError):
        regulars.compute_report("members_count", profiles=pa.table({"external_id": ["a"]}), aggregate_by="by_nothing")
    assert issubclass(regulars.MissingDependencyError, RuntimeError)
    for name in regulars.__all__:
        assert getattr(regulars, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = regulars.nothing


def test_the_answer_of_a_report_can_be_drawn() -> None:
    profiles = pa.table({"external_id": ["a", "b"], "gender": ["female", None]})
    answer = regulars.compute_report("members_count", profiles=profiles, aggregate_by="by_gender")
    chart = answer.plot().chart
    assert sorted(chart.axis.places) == ["no gender", "women"]
    assert chart.panels[0].series[0].values == (1, 1)
    rows = regulars.compute_report("members", profiles=profiles)
    with pytest.raises(regulars.InvalidInputError, match="members has records, which are no chart"):
        rows.plot()
