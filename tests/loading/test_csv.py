"""CSV: cells, columns, and the reasons of rejected rows."""

import gzip
import re

import pytest

from loading.file_reading import HEADER, PROFILES, WriteFile, parsed_rows, read_rows, rejection_reasons
from regulars.core.errors import ValidationError
from regulars.loading import transaction_lines
from regulars.loading.readers import text
from regulars.loading.readers.rows import RejectedRow
from regulars.loading.readers.text import MAX_LINES_PER_ROW


def test_csv_rows_have_the_number_of_their_first_line(write_file: WriteFile) -> None:
    content = (
        b"\xef\xbb\xbf\n external_id , profile,transacted_at,total,unknown\r\n"
        b'1,M1,2026-01-01,10.00,x\r\n\r\n"2","M ""1"", the\r\nfirst",2026-01-02,5,\r\n3,,2026-01-03,1,'
    )
    assert parsed_rows(read_rows(write_file("sales.csv", content))) == {
        3: {"external_id": "1", "profile": "M1", "transacted_at": "2026-01-01", "total": "10.00"},
        5: {"external_id": "2", "profile": 'M "1", the\nfirst', "transacted_at": "2026-01-02", "total": "5"},
        7: {"external_id": "3", "transacted_at": "2026-01-03", "total": "1"},
    }


def test_cells_of_lists_and_objects_are_json(write_file: WriteFile) -> None:
    header = b"external_id,profile,transacted_at,total,systems,items,tags,meta,location\n"
    rows = read_rows(
        write_file(
            "sales.csv",
            header
            + b'1,,2026-01-01,1,pos;web,"[{""sku"": ""A""}]","[""a""]","{""till"": 1}",M10\n'
            + b'2,,2026-01-01,1,"[""pos""]",,"gift, late","note","{""id"": 1}"\n'
            + b'3,,2026-01-01,1,,"[{""sku"": ",,,\n',
        )
    )
    assert [
        {name: value for name, value in row.items() if name in ("systems", "items", "tags", "meta", "location")}
        for row in parsed_rows(rows).values()
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
    assert rejection_reasons(rows)[4].startswith("items is not JSON")


def test_text_cells_stay_text_even_if_they_look_like_json(write_file: WriteFile) -> None:
    header = b"external_id,first_name,mobile_phone,favorite_stores,consents,birth_year\n"
    rows = read_rows(
        write_file("members.csv", header + b'007,[Ola],0047,N1|N2,"{""sms_marketing"": true}",1980\n'), PROFILES
    )
    assert parsed_rows(rows)[2] == {
        "external_id": "007",
        "first_name": "[Ola]",
        "mobile_phone": "0047",
        "favorite_stores": ["N1", "N2"],
        "consents": {"sms_marketing": True},
        "birth_year": "1980",
    }


def test_a_missing_column_is_reported_with_the_columns_found(write_file: WriteFile) -> None:
    with pytest.raises(ValidationError) as raised:
        read_rows(write_file("sales.csv", b"external_id,transacted_at,amount\n"))
    lacks = "is a required column. Found: external_id, transacted_at, amount"
    assert raised.value.errors == {"profile": lacks, "total": lacks}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"external_id,total,total\n", "total: is a column twice"),
        (b"external_id,\x81\n", "The header can't be read: it is not UTF-8 (--encoding states another encoding)"),
        (b'external_id,"total\n', "The header can't be read: line 1 has a quote that is never closed"),
    ],
)
def test_a_file_without_valid_header_is_rejected(write_file: WriteFile, content: bytes, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        read_rows(write_file("sales.csv", content))


def test_invalid_rows_are_reported_and_valid_ones_read(write_file: WriteFile) -> None:
    rows = read_rows(
        write_file(
            "sales.csv",
            HEADER
            + b"1,,2026-01-01,1.00\n"
            + b"2,,2026-01-01\n"
            + b"3\n"
            + b"4,,2026-01-01,\x81\n"
            + b"5,\0,2026-01-01,1.00\n"
            + b'6,"a"b,2026-01-01,1.00\n'
            + b'7,5" disc,2026-01-01,1.00\n',
        )
    )
    assert list(parsed_rows(rows)) == [2, 8]
    assert parsed_rows(rows)[8]["profile"] == '5" disc'
    assert rejection_reasons(rows) == {
        3: "has 3 cells, the header has 4",
        4: "has 1 cell, the header has 4",
        5: "is not UTF-8 (--encoding states another encoding)",
        6: "holds a NUL character",
        7: "is not CSV: ',' expected after '\"'",
    }


def test_a_rejected_row_has_the_external_id_of_its_transaction(write_file: WriteFile) -> None:
    content = HEADER + b'1,"a"b,2026-01-01,1\n2,\x81,2026-01-01,1\n3,,2026-01-01\n,\x81,2026-01-01,1\n'
    rows = read_rows(write_file("sales.csv", content))
    assert [row.external_id for row in rows if isinstance(row, RejectedRow)] == ["1", "2", "3", None]


@pytest.mark.parametrize("more", [1, MAX_LINES_PER_ROW + 50])
def test_a_quote_that_is_never_closed_rejects_its_own_line_only(write_file: WriteFile, more: int) -> None:
    others = b"".join(b"%d,,2026-01-01,1.00\n" % number for number in range(2, 2 + more))
    rows = read_rows(write_file("sales.csv", HEADER + b'1,"M1,2026-01-01,1.00\n' + others))
    assert rejection_reasons(rows) == {2: "has a quote that is never closed"}
    assert [row["external_id"] for row in parsed_rows(rows).values()] == [str(n) for n in range(2, 2 + more)]


def test_two_quotes_that_are_never_closed_reject_their_two_lines(write_file: WriteFile) -> None:
    content = HEADER + b'1,"M1,2026-01-01,1\n2,"""M2,2026-01-01,1\n3,,2026-01-01,1\n'
    rows = read_rows(write_file("sales.csv", content))
    assert list(rejection_reasons(rows)) == [2, 3]
    assert list(parsed_rows(rows)) == [4]


def test_a_quote_that_the_next_row_would_close_leaves_that_row_intact(write_file: WriteFile) -> None:
    content = HEADER + b'1,"M1,2026-01-01,1\n2,"M2",2026-01-01,1\n3,,2026-01-01,1\n'
    rows = read_rows(write_file("sales.csv", content))
    assert list(rejection_reasons(rows)) == [2]
    assert parsed_rows(rows)[3]["profile"] == "M2"
    assert list(parsed_rows(rows)) == [3, 4]


def test_a_truncated_quoted_cell_and_the_truncation_are_both_reported(write_file: WriteFile) -> None:
    rows = read_rows(write_file("sales.csv", gzip.compress(HEADER + b'1,"M1\n')[:-2]))
    assert rejection_reasons(rows) == {
        2: "has a quote that is never closed",
        3: "can't be read: the compressed file is truncated",
    }


@pytest.mark.timeout(60)
def test_a_header_of_very_many_columns_is_read_in_linear_time(write_file: WriteFile) -> None:
    more = b",".join(b"c%d" % number for number in range(300_000))
    content = HEADER.strip() + b"," + more + b"\n"
    assert read_rows(write_file("sales.csv", content)) == []
    with pytest.raises(ValidationError) as raised:
        read_rows(write_file("sales.csv", more + b"\n"))
    assert raised.value.errors["total"].endswith(", c48, c49 and 299950 more")


@pytest.mark.timeout(60)
def test_quotes_that_are_never_closed_are_read_in_linear_time(write_file: WriteFile) -> None:
    # Each of these lines leaves a quote open, whether or not one was open before.
    rows = read_rows(write_file("sales.csv", HEADER + b'a",",\n' * 300_000 + b"1,,2026-01-01,1\n" * MAX_LINES_PER_ROW))
    assert 300_001 + MAX_LINES_PER_ROW in parsed_rows(rows)
    first, *_, last = rejection_reasons(rows).values()
    assert first == "has a quote that is never closed"
    assert re.fullmatch(r"has a quote that is never closed; lines up to \d+ are rejected with it", last)


def test_a_line_end_may_be_split_between_two_chunks() -> None:
    assert b"".join(text._with_line_feeds([b"a\r", b"\nb\r", b"c"])) == b"a\nb\nc"


def test_an_error_of_an_item_is_reported_at_its_line() -> None:
    error = ValidationError({"items.1.quantity": "is too large", "total": "is required"})
    assert transaction_lines._errors_by_line(2, [2, 3], error) == [
        RejectedRow(2, {"total": "is required"}),
        RejectedRow(3, {"quantity": "is too large"}),
    ]
