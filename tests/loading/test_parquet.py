"""Parquet: columns of all types, and damaged files."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from clubs import Club
from loading.file_reading import PROFILES, WriteFile, parsed_rows, read_rows, rejection_reasons
from regulars.core.cells import CellFormat
from regulars.core.errors import ValidationError
from regulars.core.time_forms import forms_of
from regulars.loading import catalog
from regulars.loading.parquet_fast_path import SlowRows, read_plain_rows


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)
    return path


def test_parquet_columns_of_all_types_are_read(tmp_path: Path) -> None:
    at = datetime(2026, 1, 1, 12, 30, 0, 5)  # noqa: DTZ001 - a wall-clock time
    path = parquet(
        tmp_path / "sales.parquet",
        {
            "external_id": pyarrow.array([1, 2]),
            "profile": pyarrow.array(["M1", None]).dictionary_encode(),
            "transacted_at": pyarrow.array([at, None], pyarrow.timestamp("ns")),
            "total": pyarrow.array([Decimal("10.50"), Decimal("-3.00")], pyarrow.decimal128(10, 2)),
            "systems": pyarrow.array([["pos"], None]),
            "items": pyarrow.array([[{"sku": "A", "quantity": 2.5}], []]),
            "nothing_of_ours": pyarrow.array([1, 2]),
        },
    )
    assert parsed_rows(read_rows(path)) == {
        1: {
            "external_id": 1,
            "profile": "M1",
            "transacted_at": "2026-01-01T12:30:00.000005",
            "total": "10.50",
            "systems": ["pos"],
            "items": [{"sku": "A", "quantity": 2.5}],
        },
        2: {"external_id": 2, "total": "-3.00", "items": []},
    }


def test_parquet_times_keep_their_offset_and_dates_have_none(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "external_id": ["1", "2"],
        "joined_at": pyarrow.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2, pyarrow.timestamp("us", "Europe/Oslo")),
    }
    rows = parsed_rows(read_rows(parquet(tmp_path / "a.parquet", columns), PROFILES))
    assert datetime.fromisoformat(rows[1]["joined_at"]) == datetime(2026, 1, 1, tzinfo=UTC)
    columns["joined_at"] = pyarrow.array([date(2026, 1, 1)] * 2)
    assert parsed_rows(read_rows(parquet(tmp_path / "b.parquet", columns), PROFILES))[1]["joined_at"] == "2026-01-01"


def test_a_parquet_file_without_a_required_column_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as raised:
        read_rows(parquet(tmp_path / "sales.parquet", {"external_id": ["1"]}))
    assert set(raised.value.errors) == {"profile", "transacted_at", "total"}


def test_a_damaged_parquet_file_yields_the_rows_before_the_damage(tmp_path: Path) -> None:
    count, dice = 50_000, Random(7)
    ids = [f"{number}-{dice.randbytes(8).hex()}" for number in range(count)]
    path = parquet(tmp_path / "members.parquet", {"external_id": ids}, row_group_size=5_000, compression="gzip")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = dice.randbytes(20_000)
    path.write_bytes(bytes(content))
    rows = read_rows(path, PROFILES)
    assert 0 < len(parsed_rows(rows)) < count
    (line,) = rejection_reasons(rows)
    assert line == len(parsed_rows(rows)) + 1
    assert rejection_reasons(rows)[line].startswith("can't be read: the file is damaged")


def test_a_file_that_is_not_parquet_is_one_rejection(write_file: WriteFile) -> None:
    rows = read_rows(write_file("sales.parquet", b"PAR1 and nothing more"))
    assert list(rejection_reasons(rows)) == [1]
    assert "the file is not Parquet, or it is damaged" in rejection_reasons(rows)[1]


def test_texts_of_times_in_another_form_are_read_row_by_row(tmp_path: Path, club: Club) -> None:
    texts = {"external_id": ["1"], "profile": ["M1"], "transacted_at": ["31.12.2026"], "total": ["5.00"]}
    columns = replace(catalog.columns_of("transactions"), cell_format=CellFormat(forms_of("%d.%m.%Y")))
    with parquet(tmp_path / "sales.parquet", texts).open("rb") as file:
        tables = read_plain_rows(file, columns, club.community, 10, SlowRows(), lambda size: None)
        assert list(tables) == []
