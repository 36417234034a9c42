"""Files of facts: every format and packing, and what is said of rows that can't be read."""

import gzip
import io
import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from regulars.facts.refusals import Refused
from regulars.ingest import decompression, entities, files, lines, together
from regulars.ingest.csv_rows import MOST_LINES
from regulars.ingest.decompression import Packing
from regulars.ingest.files import Format, Source, UnreadableFileError
from regulars.ingest.repeats import Sorting
from regulars.ingest.rows import Line, Rejection, Row

TRANSACTIONS = entities.columns_of("transactions")
PROFILES = entities.columns_of("profiles")

Write = Callable[[str, bytes], Path]

HEADER = b"external_id,profile,transacted_at,total\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


def read(path: Path, columns: Any = TRANSACTIONS, cut: bool = False) -> list[Row]:
    source = files.source(path)
    source.cut = cut
    return list(source.rows(columns))


def good(rows: Sequence[Row]) -> dict[int, Any]:
    return {row.number: msgspec.json.decode(row.content) for row in rows if isinstance(row, Line)}


def bad(rows: Sequence[Row]) -> dict[int, str]:
    return {row.line: row.reason for row in rows if isinstance(row, Rejection)}


# Formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("sales.csv", Format.CSV),
        ("sales.2026.CSV.gz", Format.CSV),
        ("sales.ndjson.zst", Format.NDJSON),
        ("sales.jsonl", Format.NDJSON),
        ("sales.json", Format.NDJSON),
        ("sales.parquet", Format.PARQUET),
    ],
)
def test_a_files_name_tells_its_format(name: str, form: Format) -> None:
    assert files.format_of(Path(name)) is form


@pytest.mark.parametrize("name", ["sales", "sales.gz", "sales.xlsx"])
def test_a_name_that_tells_no_format_asks_for_it(name: str) -> None:
    with pytest.raises(UnreadableFileError, match="give --format csv, ndjson or parquet"):
        files.format_of(Path(name))


def test_a_format_that_is_given_needs_no_name(write: Write) -> None:
    source = files.source(write("sales", b'{"external_id": "1"}\n'), Format.NDJSON)
    assert good(list(source.rows(TRANSACTIONS))) == {1: {"external_id": "1"}}


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="No such file"):
        files.source(tmp_path / "sales.csv")
    gone = Source(tmp_path / "sales.csv", Format.CSV, Packing.PLAIN, 0)
    with pytest.raises(UnreadableFileError, match="No such file"):
        list(gone.rows(TRANSACTIONS))


def test_how_far_a_file_is_read_is_known(write: Write) -> None:
    path = write("sales.csv", HEADER + b"1,,2026-01-01,1.00\n")
    source = files.source(path)
    assert (source.position, source.size) == (0, path.stat().st_size)
    list(source.rows(TRANSACTIONS))
    assert source.position == source.size
    list(source.rows(TRANSACTIONS))
    assert source.position == source.size


# CSV --------------------------------------------------------------------------------------------------------


def test_csv_rows_are_told_by_the_line_they_begin_at(write: Write) -> None:
    content = (
        b"\xef\xbb\xbf\n external_id , profile,transacted_at,total,unknown\r\n"
        b'1,M1,2026-01-01,10.00,x\r\n\r\n"2","M ""1"", the\r\nfirst",2026-01-02,5,\r\n3,,2026-01-03,1,'
    )
    assert good(read(write("sales.csv", content))) == {
        3: {"external_id": "1", "profile": "M1", "transacted_at": "2026-01-01", "total": "10.00", "unknown": "x"},
        5: {"external_id": "2", "profile": 'M "1", the\nfirst', "transacted_at": "2026-01-02", "total": "5"},
        7: {"external_id": "3", "transacted_at": "2026-01-03", "total": "1"},
    }


def test_cells_of_lists_and_objects_are_json(write: Write) -> None:
    header = b"external_id,profile,transacted_at,total,systems,items,tags,meta,location\n"
    rows = read(
        write(
            "sales.csv",
            header
            + b'1,,2026-01-01,1,pos;web,"[{""sku"": ""A""}]","[""a""]","{""till"": 1}",M10\n'
            + b'2,,2026-01-01,1,"[""pos""]",,"gift, late","note","{""id"": 1}"\n'
            + b'3,,2026-01-01,1,,"[{""sku"": ",,,\n',
        )
    )
    assert [
        {name: value for name, value in row.items() if name in ("systems", "items", "tags", "meta", "location")}
        for row in good(rows).values()
    ] == [
        {
            "systems": ["pos", "web"],
            "items": [{"sku": "A"}],
            "tags": ["a"],
            "meta": {"till": 1},
            "location": "M10",
        },
        {"systems": ["pos"], "tags": ["gift", "late"], "meta": "note", "location": {"id": 1}},
    ]
    assert bad(rows)[4].startswith("items is no JSON")


def test_cells_of_texts_stay_texts_whatever_they_look_like(write: Write) -> None:
    header = b"external_id,first_name,mobile_phone,favorite_stores,consents,birth_year\n"
    rows = read(write("members.csv", header + b'007,[Ola],0047,N1|N2,"{""sms_marketing"": true}",1980\n'), PROFILES)
    assert good(rows)[2] == {
        "external_id": "007",
        "first_name": "[Ola]",
        "mobile_phone": "0047",
        "favorite_stores": ["N1", "N2"],
        "consents": {"sms_marketing": True},
        "birth_year": "1980",
    }


def test_a_missing_column_is_named_with_those_that_are_there(write: Write) -> None:
    with pytest.raises(Refused) as raised:
        read(write("sales.csv", b"external_id,transacted_at,amount\n"))
    lacks = "is a required column, which the file lacks (it has: external_id, transacted_at, amount)"
    assert raised.value.errors == {"profile": lacks, "total": lacks}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"external_id,total,total\n", "total: is a column twice"),
        (b"external_id,\xff\n", "The header can't be read: it is not UTF-8"),
        (b'external_id,"total\n', "The header can't be read: line 1 has a quote that is never closed"),
    ],
)
def test_a_file_without_a_good_header_is_refused(write: Write, content: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said.replace("(", r"\(")):
        read(write("sales.csv", content))


def test_rows_that_are_no_good_are_told_and_the_others_kept(write: Write) -> None:
    rows = read(
        write(
            "sales.csv",
            HEADER
            + b"1,,2026-01-01,1.00\n"
            + b"2,,2026-01-01\n"
            + b"3\n"
            + b"4,,2026-01-01,\xff\n"
            + b"5,\0,2026-01-01,1.00\n"
            + b'6,"a"b,2026-01-01,1.00\n'
            + b'7,5" disc,2026-01-01,1.00\n',
        )
    )
    assert list(good(rows)) == [2, 8]
    assert good(rows)[8]["profile"] == '5" disc'
    assert bad(rows) == {
        3: "has 3 cells, the header has 4",
        4: "has 1 cell, the header has 4",
        5: "is not UTF-8",
        6: "holds a NUL character",
        7: "is no CSV: ',' expected after '\"'",
    }


def test_a_row_that_is_no_good_still_tells_what_it_was_a_part_of(write: Write) -> None:
    content = HEADER + b'1,"a"b,2026-01-01,1\n2,\xff,2026-01-01,1\n3,,2026-01-01\n,\xff,2026-01-01,1\n'
    rows = read(write("sales.csv", content))
    assert [row.external_id for row in rows if isinstance(row, Rejection)] == ["1", "2", "3", None]


@pytest.mark.parametrize("more", [1, MOST_LINES + 50])
def test_a_quote_that_is_never_closed_spoils_its_own_line_alone(write: Write, more: int) -> None:
    others = b"".join(b"%d,,2026-01-01,1.00\n" % number for number in range(2, 2 + more))
    rows = read(write("sales.csv", HEADER + b'1,"M1,2026-01-01,1.00\n' + others))
    assert bad(rows) == {2: "has a quote that is never closed"}
    assert [row["external_id"] for row in good(rows).values()] == [str(n) for n in range(2, 2 + more)]


def test_two_quotes_that_are_never_closed_spoil_their_two_lines(write: Write) -> None:
    content = HEADER + b'1,"M1,2026-01-01,1\n2,"""M2,2026-01-01,1\n3,,2026-01-01,1\n'
    rows = read(write("sales.csv", content))
    assert list(bad(rows)) == [2, 3]
    assert list(good(rows)) == [4]


def test_a_quote_that_the_next_rows_quote_would_close_leaves_that_row_alone(write: Write) -> None:
    content = HEADER + b'1,"M1,2026-01-01,1\n2,"M2",2026-01-01,1\n3,,2026-01-01,1\n'
    rows = read(write("sales.csv", content))
    assert list(bad(rows)) == [2]
    assert good(rows)[3]["profile"] == "M2"
    assert list(good(rows)) == [3, 4]


def test_where_a_quoted_cell_is_cut_off_the_break_is_told_too(write: Write) -> None:
    rows = read(write("sales.csv", HEADER + b'1,"M1\n'), cut=True)
    assert bad(rows) == {
        2: "has a quote that is never closed",
        3: "breaks off here: the connection was lost",
    }


# NDJSON -----------------------------------------------------------------------------------------------------


def test_ndjson_lines_are_objects_and_empty_lines_nothing(write: Write) -> None:
    rows = read(write("sales.ndjson", b'\xef\xbb\xbf{"external_id": 1}\r\n\n{"external_id": "2"}'))
    assert good(rows) == {1: {"external_id": 1}, 3: {"external_id": "2"}}


def test_ndjson_lines_that_can_not_be_text_are_told(write: Write) -> None:
    rows = read(write("sales.ndjson", b'{"external_id": "1", "name": "\xff"}\n{"external_id": "\0"}\n\xff\n'))
    assert bad(rows) == {1: "is not UTF-8", 2: "holds a NUL character", 3: "is not UTF-8"}
    assert [row.external_id for row in rows if isinstance(row, Rejection)] == ["1", None, None]


def test_a_line_that_is_too_long_is_left_out_without_being_held(write: Write) -> None:
    too_long = b'{"external_id": "' + b"1" * (lines.LONGEST + 200_000) + b'"}'
    rows = read(write("sales.ndjson", b'{"external_id": "0"}\n' + too_long + b'\n{"external_id": "2"}\n'))
    assert good(rows) == {1: {"external_id": "0"}, 3: {"external_id": "2"}}
    assert bad(rows) == {2: f"is longer than {lines.LONGEST} bytes"}
    assert bad(read(write("last.ndjson", too_long))) == {1: f"is longer than {lines.LONGEST} bytes"}


# Packings ---------------------------------------------------------------------------------------------------

CONTENT = HEADER + b"".join(b"%d,,2026-01-01,%d.00\n" % (number, number % 97) for number in range(20_000))


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content)


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzipped), (".zst", zstd)])
class TestPacked:
    def test_is_read_as_if_it_were_not(self, write: Write, ending: str, pack: Callable[[bytes], bytes]) -> None:
        assert len(good(read(write(f"sales.csv{ending}", pack(CONTENT))))) == 20_000

    def test_its_name_need_not_say_so(self, write: Write, ending: str, pack: Callable[[bytes], bytes]) -> None:
        assert len(good(read(write("sales.csv", pack(CONTENT))))) == 20_000

    def test_several_put_together_are_one(self, write: Write, ending: str, pack: Callable[[bytes], bytes]) -> None:
        packed = pack(CONTENT) + pack(b"a,,2026-01-01,1\n") + pack(b"b,,2026-01-01,1\n")
        rows = good(read(write("sales.csv", packed)))
        assert [row["external_id"] for row in list(rows.values())[-3:]] == ["19999", "a", "b"]

    def test_truncated_it_gives_the_rows_before_the_break_and_tells_of_it(
        self, write: Write, ending: str, pack: Callable[[bytes], bytes]
    ) -> None:
        packed = pack(CONTENT * 2)
        rows = read(write("sales.csv", packed[:-10]))
        assert rows[-1] == Rejection(
            rows[-1].line if isinstance(rows[-1], Rejection) else 0,
            {"": "breaks off here: the packed file is truncated"},
        )
        assert len(good(rows)) > 20_000
        # The line that is cut is never taken for a whole one.
        totals = {row["external_id"]: row["total"] for row in good(rows).values() if row["total"] != "total"}
        assert all(total == f"{int(number) % 97}.00" for number, total in totals.items())

    def test_damaged_it_gives_the_rows_before_the_damage(
        self, write: Write, ending: str, pack: Callable[[bytes], bytes]
    ) -> None:
        packed = bytearray(pack(CONTENT * 4))
        packed[-len(packed) // 4 :] = os.urandom(len(packed) // 4)
        rows = read(write("sales.csv", bytes(packed)))
        assert "breaks off here: the packed file is damaged" in list(bad(rows).values())[-1]
        assert len(good(rows)) > 0


def test_a_small_file_that_unpacks_to_much_is_given_in_pieces() -> None:
    packed = gzipped(b"\n" * 50_000_000)
    pieces = list(decompression.unpacked(io.BytesIO(packed), Packing.GZIP, lambda size: None))
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= 1024 * 1024


def test_a_file_that_is_known_to_be_cut_says_so_and_drops_the_line_that_is_cut(write: Write) -> None:
    rows = read(write("sales.csv", HEADER + b"1,,2026-01-01,1.00\n2,,2026-01-01,1"), cut=True)
    assert list(good(rows)) == [2]
    assert bad(rows) == {3: "breaks off here: the connection was lost"}


# Parquet ----------------------------------------------------------------------------------------------------


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
    assert good(read(path)) == {
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


def test_parquet_times_keep_their_offset_and_dates_are_bare(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "external_id": ["1", "2"],
        "joined_at": pyarrow.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2, pyarrow.timestamp("us", "Europe/Oslo")),
    }
    rows = good(read(parquet(tmp_path / "a.parquet", columns), PROFILES))
    assert datetime.fromisoformat(rows[1]["joined_at"]) == datetime(2026, 1, 1, tzinfo=UTC)
    columns["joined_at"] = pyarrow.array([date(2026, 1, 1)] * 2)
    assert good(read(parquet(tmp_path / "b.parquet", columns), PROFILES))[1]["joined_at"] == "2026-01-01"


def test_a_parquet_file_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as raised:
        read(parquet(tmp_path / "sales.parquet", {"external_id": ["1"]}))
    assert set(raised.value.errors) == {"profile", "transacted_at", "total"}


def test_a_damaged_parquet_file_gives_the_rows_before_the_damage(tmp_path: Path) -> None:
    count = 50_000
    ids = [f"{number}-{os.urandom(8).hex()}" for number in range(count)]
    path = parquet(tmp_path / "members.parquet", {"external_id": ids}, row_group_size=5_000, compression="gzip")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = os.urandom(20_000)
    path.write_bytes(bytes(content))
    rows = read(path, PROFILES)
    assert 0 < len(good(rows)) < count
    (line,) = bad(rows)
    assert line == len(good(rows)) + 1
    assert bad(rows)[line].startswith("is where the file breaks off: it is damaged")


def test_what_is_no_parquet_file_is_told_as_one_rejection(write: Write) -> None:
    rows = read(write("sales.parquet", b"PAR1 and nothing more"))
    assert list(bad(rows)) == [1]
    assert "it is no Parquet file, or damaged" in bad(rows)[1]


# Lines of one transaction -----------------------------------------------------------------------------------


def numbered(groups: Sequence[together.Group | Rejection]) -> list[list[int]]:
    return [
        [group.line]
        if isinstance(group, Rejection)
        else [row.number if isinstance(row, Line) else row.line for row in group]
        for group in groups
    ]


def test_lines_of_one_external_id_come_together_wherever_they_stand(write: Write) -> None:
    ids = b"a a b c a d b e".split()
    content = HEADER + b"".join(b"%s,,2026-01-01,1\n" % each for each in ids)
    source = files.source(write("sales.csv", content))
    groups = list(together.groups(lambda: source.rows(TRANSACTIONS)))
    assert numbered(groups) == [[5], [7], [9], [2, 3, 6], [4, 8]]


def test_rows_without_an_external_id_stand_alone(write: Write) -> None:
    content = b'{"total": 1}\n{"total": 2}\n[]\n\xff\n{"external_id": ""}\n{"external_id": "a", "x": "\xff"}\n'
    source = files.source(write("sales.ndjson", content))
    assert numbered(list(together.groups(lambda: source.rows(TRANSACTIONS)))) == [[1], [2], [3], [4], [5], [6]]


def test_rows_that_are_no_good_wait_with_the_others_of_their_transaction(write: Write) -> None:
    content = HEADER + b"a,,2026-01-01,1\nb,,2026-01-01,1\na,\xff,2026-01-01,1\n"
    source = files.source(write("sales.csv", content))
    groups = list(together.groups(lambda: source.rows(TRANSACTIONS)))
    assert numbered(groups) == [[3], [2, 4]]
    assert isinstance(groups[1], list)
    assert groups[1][1] == Rejection(4, {"": "is not UTF-8"}, "a")


def test_what_comes_again_is_found_on_disk_as_in_memory() -> None:
    texts = [str(number) for number in range(50)] + ["7", "7", "31"]
    for in_memory in (1_000, 10, 1):
        sorting = Sorting(in_memory)
        for text in texts:
            sorting.add(text)
        repeats = sorting.repeats()
        assert [text for text in texts[:50] if text in repeats] == ["7", "31"]
