"""Files: formats, folders, NDJSON, and the documented columns."""

import re
from pathlib import Path

import pytest

from loading.file_reading import HEADER, TRANSACTIONS, WriteFile, parsed_rows, read_rows, rejection_reasons
from regulars.file_dialects.compression import Compression
from regulars.file_dialects.limits import MAX_LINE_BYTES
from regulars.loading import catalog
from regulars.loading.readers import files
from regulars.loading.readers.files import FileFormat, FileSource, UnreadableFileError
from regulars.loading.readers.rows import RejectedRow


@pytest.mark.parametrize(
    ("name", "file_format"),
    [
        ("sales.csv", FileFormat.CSV),
        ("sales.2026.CSV.gz", FileFormat.CSV),
        ("sales.ndjson.zst", FileFormat.NDJSON),
        ("sales.jsonl", FileFormat.NDJSON),
        ("sales.json", FileFormat.NDJSON),
        ("sales.parquet", FileFormat.PARQUET),
    ],
)
def test_the_format_is_detected_by_the_suffix(name: str, file_format: FileFormat) -> None:
    assert files.detect_format(Path(name)) is file_format


@pytest.mark.parametrize("name", ["sales", "sales.gz", "sales.xls"])
def test_an_unknown_suffix_is_an_error(name: str) -> None:
    with pytest.raises(UnreadableFileError, match="Add --format csv, ndjson, parquet or xlsx"):
        files.detect_format(Path(name))


def test_a_given_format_needs_no_suffix(write_file: WriteFile) -> None:
    source = files.inspect_file(write_file("sales", b'{"external_id": "1"}\n'), FileFormat.NDJSON)
    assert parsed_rows(list(source.rows(TRANSACTIONS))) == {1: {"external_id": "1"}}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="No such file"):
        files.inspect_file(tmp_path / "sales.csv")
    gone = FileSource(tmp_path / "sales.csv", FileFormat.CSV, Compression.NONE, 0)
    with pytest.raises(UnreadableFileError, match="No such file"):
        list(gone.rows(TRANSACTIONS))


def test_the_position_in_a_file_is_known(write_file: WriteFile) -> None:
    path = write_file("sales.csv", HEADER + b"1,,2026-01-01,1.00\n")
    source = files.inspect_file(path)
    assert (source.position, source.size) == (0, path.stat().st_size)
    list(source.rows(TRANSACTIONS))
    assert source.position == source.size
    list(source.rows(TRANSACTIONS))
    assert source.position == source.size


def test_empty_lines_of_ndjson_are_skipped(write_file: WriteFile) -> None:
    rows = read_rows(write_file("sales.ndjson", b'\xef\xbb\xbf{"external_id": 1}\r\n\n{"external_id": "2"}'))
    assert parsed_rows(rows) == {1: {"external_id": 1}, 3: {"external_id": "2"}}


NO_TEXT = "is not UTF-8 (--encoding states another encoding)"


def test_ndjson_lines_that_are_not_text_are_reported(write_file: WriteFile) -> None:
    rows = read_rows(write_file("sales.ndjson", b'{"external_id": "1", "name": "\x81"}\n{"external_id": "\0"}\n\x81\n'))
    assert rejection_reasons(rows) == {
        1: NO_TEXT,
        2: "holds a NUL character",
        3: NO_TEXT,
    }
    assert [row.external_id for row in rows if isinstance(row, RejectedRow)] == ["1", None, None]


def test_a_line_that_is_too_long_is_skipped_without_being_buffered(write_file: WriteFile) -> None:
    too_long = b'{"external_id": "' + b"1" * (MAX_LINE_BYTES + 200_000) + b'"}'
    rows = read_rows(write_file("sales.ndjson", b'{"external_id": "0"}\n' + too_long + b'\n{"external_id": "2"}\n'))
    assert parsed_rows(rows) == {1: {"external_id": "0"}, 3: {"external_id": "2"}}
    assert rejection_reasons(rows) == {2: f"is longer than {MAX_LINE_BYTES} bytes"}
    assert rejection_reasons(read_rows(write_file("last.ndjson", too_long))) == {
        1: f"is longer than {MAX_LINE_BYTES} bytes"
    }


def test_a_folder_stands_for_its_files_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/_temporary/1.parquet", "b/1.parquet", "a.parquet", ".a.parquet.crc", "_SUCCESS"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files.list_files(tmp_path) == [tmp_path / "a.parquet", tmp_path / "b/1.parquet"]
    assert files.list_files(tmp_path / "a.parquet") == [tmp_path / "a.parquet"]
    (tmp_path / "none").mkdir()
    with pytest.raises(UnreadableFileError, match="holds no files"):
        files.list_files(tmp_path / "none")


@pytest.mark.parametrize("entity", catalog.loadable_names())
def test_every_column_is_documented(entity: str) -> None:
    pages = (Path(__file__).parent.parent.parent / "docs" / "files.md").read_text().split("\n## ")
    (section,) = (page for page in pages if page.startswith(f"{entity}\n"))
    documented = set(re.findall(r"`(\w+)`", section))
    assert {each for each in catalog.columns_of(entity).encodings if each not in documented} == set()
