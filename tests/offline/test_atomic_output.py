"""Output replaces an existing file only after it is complete."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import regulars
from offline.purchase_tables import AS_OF, table, write_csv
from regulars.offline.atomic_output import atomic_replace, resolve_output
from regulars.offline.errors import InputNotFoundError, InvalidInputError


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "values.parquet"
    path.write_text("old")
    regulars.compute(table(), as_of=AS_OF, output=path)
    assert pq.read_table(path)["profile_id"].to_pylist() == ["M1"]
    assert [each.name for each in tmp_path.iterdir()] == ["values.parquet"]


def test_a_file_is_not_changed_if_the_computation_fails(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sales = write_csv(tmp_path / "in", *(f"T{n},M1,2026-10-01,5" for n in range(30_000)), "T,M1,2026-10-01,5,6")
    path = tmp_path / "values.csv"
    path.write_text("old")
    with pytest.raises(InvalidInputError, match="line 30002 has 5 fields, but the header has 4"):
        regulars.compute(sales, as_of=AS_OF, output=path)
    assert path.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "values.csv"]


def test_output_may_replace_the_input(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "T1,M1,2026-10-01,5")
    regulars.compute(path, as_of=AS_OF, output=path)
    assert path.read_text().splitlines()[1].startswith("M1,,5.00,5.00,")


def test_a_symbolic_link_is_preserved(tmp_path: Path) -> None:
    (tmp_path / "latest.csv").symlink_to(tmp_path / "values.csv")
    regulars.compute(table(), as_of=AS_OF, output=tmp_path / "latest.csv")
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "values.csv").read_text().count("\n") == 2


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "values"
    for content in ("first", "second"):
        with atomic_replace(str(target)) as temporary:
            temporary.mkdir()
            (temporary / "part-0.parquet").write_text(content)
        assert [(each.name, each.read_text()) for each in target.iterdir()] == [("part-0.parquet", content)]
    with pytest.raises(ZeroDivisionError), atomic_replace(str(target)) as temporary:
        temporary.mkdir(1 // 0)
    assert (target / "part-0.parquet").read_text() == "second"
    assert [each.name for each in tmp_path.iterdir()] == ["values"]


def test_a_folder_may_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "values").touch()
    with atomic_replace(str(tmp_path / "values")) as temporary:
        temporary.mkdir()
    assert (tmp_path / "values").is_dir()


def test_a_failed_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as error, atomic_replace(str(tmp_path / "values.csv")):
        pass
    assert str(error.value) == f"{tmp_path}/values.csv can't be written: No such file or directory."


@pytest.mark.parametrize(
    ("output", "may_be_folder", "message"),
    [
        ("-", False, "Unsupported output '-'. Use a file with the extension .csv or .parquet."),
        ("values", False, "Unsupported output 'values'. Use a file with the extension .csv or .parquet."),
        ("-", True, "Unsupported output '-'. Use a file with the extension .csv or .parquet, or a folder."),
        ("none/values.csv", False, "none/values.csv can't be written: folder none does not exist."),
        ("mine", True, "mine can't be written: it is a folder with other files."),
        ("mine.csv", True, "mine.csv can't be written: it is a folder with other files."),
        ("s3a://x/v.csv", True, "Spark writes a folder of Parquet files to s3a://x/v.csv. Use a name without .csv."),
    ],
)
def test_invalid_outputs_are_rejected_before_the_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, may_be_folder: bool, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    (tmp_path / "mine.csv").mkdir()
    with pytest.raises(InputNotFoundError) as error:
        resolve_output(output, may_be_folder=may_be_folder)
    assert str(error.value) == message


def test_a_folder_written_by_spark_may_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "values"
    folder.mkdir()
    for name in ("_SUCCESS", "._SUCCESS.crc", "part-00000-1.snappy.parquet"):
        (folder / name).touch()
    assert resolve_output(folder, may_be_folder=True) == str(folder)
    assert resolve_output(f"file://{folder}", may_be_folder=True) == str(folder)
    assert resolve_output("s3a://lake/values", may_be_folder=True) == "s3a://lake/values"
