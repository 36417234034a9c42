"""docs/compute.md says of each table what the declarations say, and its examples are true."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from regulars.offline import schema
from regulars.offline.schema import TableSpec

PAGE = Path(__file__).parent.parent.parent / "docs" / "compute.md"


def rows(table: TableSpec) -> list[str]:
    """The rows of the page's table of columns."""
    return [
        f"| `{each.name}` | {each.type.input_format} | {'yes' if each.required else ''} |".replace("|  |", "| |")
        for each in table.columns
    ]


@pytest.mark.parametrize("table", schema.TABLES, ids=lambda table: table.name)
def test_every_column_is_documented_as_it_is_declared(table: TableSpec) -> None:
    (section,) = (part for part in PAGE.read_text().split("\n### ") if part.startswith(f"{table.name}\n"))
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows(table)


def test_the_example_in_python_runs_as_it_is_written() -> None:
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "pd." in code)
    made: dict[str, object] = {}
    exec(example, made)  # noqa: S102
    values = made["values"]
    assert isinstance(values, pa.Table)
    # What the page's comment says of them.
    spend_by_profile = dict(
        zip(values["profile_id"].to_pylist(), map(str, values["spend_12m"].to_pylist()), strict=True)
    )
    assert spend_by_profile == {"M1": "119.90", "M2": "15.50"}
    assert "# M1 119.90, M2 15.50" in example
