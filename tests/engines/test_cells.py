"""Spark reads cells as DuckDB and the loader do; see tests/loading/test_cells.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from loading.cell_cases import COLUMNS, cases_of
from regulars.core.cells import ISO_CELLS
from regulars.offline import casting
from regulars.offline.casting import InputColumn, TypeFamily


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_spark_reads_the_same_values(kind: str, spark: Any) -> None:
    from regulars.offline.engines.spark import SparkEngine

    engine = SparkEngine(spark)
    # Years are checked beside the cast.
    cases = [each for each in cases_of(kind) if each.cell not in ("0000-10-01", "1899-12-31T23:59:59", "3000-01-01")]
    engine.create_lookup("cells", ("number", "cell"), [(str(n), each.cell) for n, each in enumerate(cases)])
    column = InputColumn("cell", TypeFamily.TEXT, cell_format=ISO_CELLS)
    cast = casting.cast(COLUMNS[kind][2], column, engine.dialect)
    if kind == "time":
        local = casting.local_time(column, engine.dialect)
        rows = engine.fetch(
            f"SELECT CAST({cast} AS STRING), CAST({local} AS STRING) FROM cells ORDER BY CAST(number AS INT)"
        )
        values: list[Any] = [
            datetime.fromisoformat(at).replace(tzinfo=UTC) if at else wall and datetime.fromisoformat(wall)
            for at, wall in rows
        ]
    else:
        values = [value for (value,) in engine.fetch(f"SELECT {cast} FROM cells ORDER BY CAST(number AS INT)")]
    assert dict(zip(cases, values, strict=True)) == {each: each.value for each in cases}
