"""Lines of one transaction are grouped, wherever they are in the file."""

from collections.abc import Sequence

from loading.file_reading import HEADER, TRANSACTIONS, WriteFile
from regulars.loading import group_lines
from regulars.loading.group_lines import DuplicateFinder
from regulars.loading.readers import files
from regulars.loading.readers.rows import RawRow, RejectedRow


def numbered(groups: Sequence[group_lines.LineGroup | RejectedRow]) -> list[list[int]]:
    return [
        [group.line]
        if isinstance(group, RejectedRow)
        else [row.number if isinstance(row, RawRow) else row.line for row in group]
        for group in groups
    ]


def test_lines_of_one_external_id_are_grouped_wherever_they_are(write_file: WriteFile) -> None:
    ids = b"a a b c a d b e".split()
    content = HEADER + b"".join(b"%s,,2026-01-01,1\n" % each for each in ids)
    source = files.inspect_file(write_file("sales.csv", content))
    groups = list(group_lines.group_lines(lambda: source.rows(TRANSACTIONS)))
    assert numbered(groups) == [[5], [7], [9], [2, 3, 6], [4, 8]]


def test_rows_without_external_id_are_not_grouped(write_file: WriteFile) -> None:
    content = b'{"total": 1}\n{"total": 2}\n[]\n\xff\n{"external_id": ""}\n{"external_id": "a", "x": "\xff"}\n'
    source = files.inspect_file(write_file("sales.ndjson", content))
    assert numbered(list(group_lines.group_lines(lambda: source.rows(TRANSACTIONS)))) == [[1], [2], [3], [4], [5], [6]]


def test_invalid_rows_are_grouped_with_their_transaction(write_file: WriteFile) -> None:
    content = HEADER + b"a,,2026-01-01,1\nb,,2026-01-01,1\na,\x81,2026-01-01,1\n"
    source = files.inspect_file(write_file("sales.csv", content))
    groups = list(group_lines.group_lines(lambda: source.rows(TRANSACTIONS)))
    assert numbered(groups) == [[3], [2, 4]]
    assert isinstance(groups[1], list)
    assert groups[1][1] == RejectedRow(4, {"": "is not UTF-8 (--encoding states another encoding)"}, "a")


def test_messages_of_lines_that_are_buffered_on_disk_can_be_stored_without_the_values_that_they_quote(
    write_file: WriteFile,
) -> None:
    content = HEADER + b"a,,2026-01-01,1\nb,,2026-01-01,1\na,,2026-01-01,x\n"
    source = files.inspect_file(write_file("sales.csv", content))
    *_, group = group_lines.group_lines(lambda: source.rows(TRANSACTIONS))
    assert isinstance(group, list)
    rejected = group[1]
    assert isinstance(rejected, RejectedRow)
    expected = "must be a decimal with at most 6 decimal places, below 10^12 in absolute value"
    assert rejected.errors == {"total": f"{expected}, not 'x'"}
    assert rejected.unquoted().errors == {"total": expected}


def test_duplicates_are_found_on_disk_as_in_memory() -> None:
    texts = [str(number) for number in range(50)] + ["7", "7", "31"]
    for in_memory in (1_000, 10, 1):
        sorting = DuplicateFinder(in_memory)
        for text in texts:
            sorting.add(text)
        repeats = sorting.find()
        assert [text for text in texts[:50] if text in repeats] == ["7", "31"]
