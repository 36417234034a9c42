"""Dialects: how files are written is detected or stated, and load and compute read them equally."""

import codecs
import csv
import gzip
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import regulars
from clubs import Club
from loading.file_loader import FileLoader
from loading.file_reading import WriteFile, parsed_rows, read_rows, rejection_reasons
from regulars.core import date_formats
from regulars.core.errors import ValidationError
from regulars.core.number_forms import COMMA, POINT, detect_form
from regulars.file_dialects import dialect
from regulars.file_dialects.options import (
    DETECT,
    DialectError,
    DialectOptions,
    parse_columns,
    parse_options,
    read_mapping,
)
from regulars.loading import catalog
from regulars.loading.readers import files
from regulars.offline.errors import InvalidInputError
from regulars.offline.input_dialects import detect_files
from regulars.offline.inputs import CSV, InputFiles
from regulars.offline.schema import TRANSACTIONS

COLUMNS = catalog.columns_of("transactions")
HEADER = "external_id;profile;transacted_at;total\n"
SEMICOLONS = HEADER + "T1;Jørgen;2026-10-01;1.234,50\nT2;Åse;2026-10-02;12,5\n"
SPEND = {"Jørgen": "1234.50", "Åse": "12.50"}


def spend(path: Path, **options: Any) -> dict[str, str]:
    """Spend by profile, as computed from a file."""
    values = regulars.compute(str(path), as_of="2026-11-01", values=["spend_all"], **options)
    return {row["profile_id"]: str(row["spend_all"]) for row in values.to_pylist()}


def loaded(path: Path, options: DialectOptions = DETECT) -> dict[str, str]:
    """Totals by profile, as the loader reads them."""
    rows = read_rows(path, options=options)
    assert rejection_reasons(rows) == {}
    return {row["profile"]: f"{float(row['total']):.2f}" for row in parsed_rows(rows).values()}


def description(path: Path, options: DialectOptions = DETECT) -> str:
    return files.inspect_file(path, options=options).dialect(COLUMNS).description


DIALECTS = [
    ("semicolons.csv", SEMICOLONS.encode(), "semicolon-separated, decimal comma, UTF-8"),
    ("marked.csv", codecs.BOM_UTF8 + SEMICOLONS.encode(), "semicolon-separated, decimal comma, UTF-8"),
    ("windows.csv", SEMICOLONS.encode("cp1252"), "semicolon-separated, decimal comma, Windows-1252"),
    ("sep.csv", f"sep=;\r\n{SEMICOLONS}".encode("cp1252"), "semicolon-separated, decimal comma, Windows-1252"),
    ("excel.csv", SEMICOLONS.encode("utf-16"), "semicolon-separated, decimal comma, UTF-16"),
    (
        "unmarked.csv",
        SEMICOLONS.replace(";", "\t").replace("\n", "\r\n").encode("utf-16-be"),
        "tab-separated, decimal comma, UTF-16",
    ),
    ("bars.txt", SEMICOLONS.replace(";", "|").encode(), "bar-separated, decimal comma, UTF-8"),
    ("tabs.tsv", SEMICOLONS.replace(";", "\t").encode(), "tab-separated, decimal comma, UTF-8"),
    ("packed.csv.gz", gzip.compress(SEMICOLONS.encode("cp1252")), "semicolon-separated, decimal comma, Windows-1252"),
    (
        "quoted.csv",
        'external_id,profile,transacted_at,total\nT1,Jørgen,2026-10-01,"1,234.50"\nT2,Åse,2026-10-02,12.5\n'.encode(),
        "comma-separated, decimal point, thousands separators, UTF-8",
    ),
    (
        "swiss.csv",
        SEMICOLONS.replace("1.234,50", "1'234.50").replace("12,5", "12.5").encode(),
        "semicolon-separated, decimal point, thousands separators, UTF-8",
    ),
    (
        "french.csv",
        SEMICOLONS.replace("1.234,50", "1\u202f234,50").encode(),
        "semicolon-separated, decimal comma, UTF-8",
    ),
    ("sparse.csv", f"{SEMICOLONS};;;\n;;;\n".encode(), "semicolon-separated, decimal comma, UTF-8"),
]


@pytest.mark.parametrize(("name", "content", "expected"), DIALECTS, ids=[each[0] for each in DIALECTS])
def test_the_dialect_is_detected_and_load_and_compute_read_the_same(
    name: str, content: bytes, expected: str, write_file: WriteFile
) -> None:
    path = write_file(name, content)
    notices: list[str] = []
    assert (description(path), loaded(path)) == (expected, SPEND)
    assert spend(path, on_notice=notices.append) == SPEND
    assert notices == [f"{path}: read as {expected}"]


def test_a_file_in_the_default_dialect_is_read_without_a_notice(write_file: WriteFile) -> None:
    path = write_file("sales.csv", b"external_id,profile,transacted_at,total\nT1,M1,2026-10-01,12.50\n")
    notices: list[str] = []
    assert spend(path, on_notice=notices.append) == {"M1": "12.50"}
    assert notices == []
    assert description(path) == "comma-separated, decimal point, UTF-8"


STATED = [
    (SEMICOLONS.replace(";", "~").encode(), {"delimiter": "~"}),
    (SEMICOLONS.replace(";", "\t").encode(), {"delimiter": "tab"}),
    (SEMICOLONS.encode("cp865"), {"encoding": "cp865"}),
    (SEMICOLONS.encode("utf-16-le"), {"encoding": "utf-16"}),
    (SEMICOLONS.encode("utf-16"), {"encoding": "UTF-16"}),
    (SEMICOLONS.replace("12,5", "13").replace("1.234,50", "1.234").encode(), {"decimal": ","}),
    (SEMICOLONS.replace("12,5", "13").replace("1.234,50", "1,234").encode(), {"decimal": "point"}),
]


@pytest.mark.parametrize(("content", "stated"), STATED)
def test_what_is_not_detected_is_stated(content: bytes, stated: dict[str, str], write_file: WriteFile) -> None:
    path = write_file("sales.csv", content)
    expected = {"Jørgen": "1234.00", "Åse": "13.00"} if b"13" in content else SPEND
    assert loaded(path, parse_options(**stated)) == expected
    assert spend(path, on_notice=lambda text: None, **stated) == expected


INVALID_OPTIONS = [
    ({"delimiter": ";;"}, "delimiter must be one character, such as , ; | or tab, not ';;'"),
    ({"delimiter": "x"}, "delimiter must be one character"),
    ({"decimal": "x"}, "decimal must be , or . (comma or point), not 'x'"),
    ({"encoding": "unicode_escape"}, "encoding must be an encoding of text, such as utf-8, utf-16 or cp1252"),
    ({"encoding": "nothing"}, "encoding must be an encoding of text"),
    ({"date_format": "%Q"}, "date_format must consist of"),
    ({"timezone": "Mars"}, "timezone must be an IANA time zone"),
]


@pytest.mark.parametrize(("options", "message"), INVALID_OPTIONS)
def test_invalid_options_are_rejected(options: dict[str, str], message: str) -> None:
    with pytest.raises(DialectError, match=re.escape(message)):
        parse_options(**options)


def test_bytes_that_the_encoding_does_not_define_are_reported(write_file: WriteFile) -> None:
    damaged = write_file("sales.csv", SEMICOLONS.replace("Åse", "").encode("cp1252").replace(b"T2", b"T\x81"))
    assert rejection_reasons(read_rows(damaged, options=parse_options(encoding="cp1252"))) == {3: "is not Windows-1252"}
    with pytest.raises(InvalidInputError, match="line 3 is not Windows-1252"):
        spend(damaged, encoding="cp1252")


def test_damaged_utf_8_and_other_alphabets_are_not_taken_for_windows_1252(write_file: WriteFile) -> None:
    damaged = write_file("damaged.csv", SEMICOLONS.encode().replace("Å".encode(), b"\xc3"))
    assert rejection_reasons(read_rows(damaged)) == {3: "is not UTF-8 (--encoding states another encoding)"}
    russian = write_file("russian.csv", SEMICOLONS.replace("Jørgen", "Привет").replace("Å", "A").encode("cp1251"))
    assert rejection_reasons(read_rows(russian)) == {2: "is not UTF-8 (--encoding states another encoding)"}
    assert loaded(russian, parse_options(encoding="cp1251")) == {"Привет": "1234.50", "Ase": "12.50"}


def test_the_encoding_is_detected_beyond_the_sample(write_file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "SAMPLE_BYTES", 80)
    content = HEADER + "T1;M1;2026-10-01;5,5\n" * 5 + "T2;Åse;2026-10-02;5,5\n"
    assert description(write_file("sales.csv", content.encode("cp1252"))).endswith("Windows-1252")
    monkeypatch.setattr(dialect, "ENCODING_BYTES", 80)
    truncated = gzip.compress(content.encode())[:-9]
    assert description(write_file("sales.csv.gz", truncated)) == "semicolon-separated, decimal comma, UTF-8"


FORMS = [
    (["12,50"], COMMA), (["0,500"], COMMA), (["1.234,56"], COMMA), (["1234,567"], COMMA), (["12,50", "1,000"], COMMA),
    (["1,234.50"], POINT), (["1 234"], POINT), (["1,000,000"], POINT), (["1,000", "12.50"], POINT), (["1'234.5"], POINT),
    (["1,000"], None), (["12.50"], None), (["5"], None), (["12,50", "12.50"], None), (["1.234"], None), (["x"], None),
]  # fmt: skip


def test_the_form_of_numbers_is_detected_where_it_is_unambiguous() -> None:
    assert [detect_form(cells) for cells, _ in FORMS] == [expected for _, expected in FORMS]


AMBIGUOUS = (
    "--date-format '%m/%d/%Y %H:%M' reads it if the month comes first, '%d/%m/%Y %H:%M' if the day does: the file does not "
    "show which"
)
ADVICE = [
    ("total", "1,000", "--decimal '.' reads it as 1000, --decimal ',' reads it as 1.000"),
    ("total", "12,50x", ""),
    ("transacted_at", "12/1/2010 8:26", AMBIGUOUS),
    ("transacted_at", "13/1/2010 8:26", "--date-format '%d/%m/%Y %H:%M' reads it"),
    ("transacted_at", "31.12.2026", "--date-format '%d.%m.%Y' reads it"),
    ("transacted_at", "someday", ""),
]  # fmt: skip


@pytest.mark.parametrize(("column", "cell", "advice"), ADVICE)
def test_a_message_says_which_option_reads_the_cell(column: str, cell: str, advice: str, write_file: WriteFile) -> None:
    values = {"external_id": "T1", "profile": "M1", "transacted_at": "2026-10-01", "total": "5", column: cell}
    path = write_file("sales.csv", f"{';'.join(values)}\n{';'.join(values.values())}\n".encode())
    reason = rejection_reasons(read_rows(path))[2]
    assert reason.startswith(f"{column} must be ")
    assert reason.endswith(f", not {cell!r}" + (f"; {advice}" if advice else ""))
    with pytest.raises(InvalidInputError) as raised:
        spend(path)
    assert str(raised.value) == f"transactions.{reason} (1 row, such as external_id 'T1')."


PROPOSALS = [
    (["12/1/2010 8:26", "1/2/2010 9:00"], ["%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"]),
    (["12/1/2010 8:26", "1/22/2010 9:00"], ["%m/%d/%Y %H:%M"]),
    (["2026-10-01", "1-2-26"], ["%d-%m-%y", "%m-%d-%y"]),
    (["Oct 1, 2026 9:05 PM"], ["%b %d, %Y %I:%M %p"]),
    (["1 Oct 2026"], ["%d %b %Y"]),
    (["2026/10/01T09:30:00.5"], ["%Y/%m/%dT%H:%M:%S.%f"]),
    (["31.12.2026 23.59"], ["%d.%m.%Y %H.%M"]),
    (["99/99/2026"], []),
    (["2026-10-01"], []),
    ([], []),
]  # fmt: skip


def test_date_formats_are_proposed_from_all_cells() -> None:
    assert [date_formats.propose(cells) for cells, _ in PROPOSALS] == [expected for _, expected in PROPOSALS]
    assert date_formats.advise(["1-2-26"]).endswith("if the day comes first, '%m-%d-%y' if the month does: "
                                                    "the file does not show which")  # fmt: skip


THEIRS = "Order,Customer ID,When,Amount,total\nT1,M1,2026-10-01,12.50,x\n"
MAPPED = {"external_id": "Order", "profile": "Customer ID", "transacted_at": "When", "total": "Amount"}


def test_columns_have_the_names_of_the_file(write_file: WriteFile) -> None:
    options = DialectOptions(columns=MAPPED)
    columns = catalog.columns_of("transactions", options)
    path = write_file("orders.csv", THEIRS.encode())
    expected = {"external_id": "T1", "profile": "M1", "transacted_at": "2026-10-01", "total": "12.50"}
    assert list(parsed_rows(read_rows(path, columns, options=options)).values()) == [expected]
    assert spend(path, columns=MAPPED) == {"M1": "12.50"}
    lines = write_file(
        "orders.ndjson", b'{"Order": "T1", "Customer ID": "M1", "When": "2026-10-01", "Amount": "12.50"}'
    )
    assert list(parsed_rows(read_rows(lines, columns)).values()) == [expected]
    parquet = write_file("orders.parquet", b"")
    pa.parquet.write_table(pa.table({name: [expected[ours]] for ours, name in MAPPED.items()}), parquet)
    assert list(parsed_rows(read_rows(parquet, columns)).values()) == [expected]
    with pytest.raises(ValidationError, match=r"total: is named Amount, which is no column of the file. Found: Order"):
        read_rows(write_file("other.csv", THEIRS.replace("Amount", "Sum").encode()), columns)
    with pytest.raises(DialectError, match=r"'totals' is no column of transactions. Allowed: id, external_id"):
        catalog.columns_of("transactions", DialectOptions(columns={"totals": "Amount"}))


def test_a_mapping_file_has_options_and_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "till.toml"
    path.write_text(
        'delimiter = ";"\ndecimal = ","\n[columns]\ntotal = "Amount"\n[columns.profiles]\nexternal_id = "Customer"\n'
    )
    mapping = read_mapping(path)
    assert mapping == {
        "delimiter": ";", "decimal": ",", "columns": {"total": "Amount", "profiles.external_id": "Customer"},
    }  # fmt: skip
    options = parse_options(**mapping)
    assert options.columns_of("profiles") == {"total": "Amount", "external_id": "Customer"}
    assert options.columns_of("transactions") == {"total": "Amount"}
    for content, message in (
        ("x", "is not TOML"),
        ("colour = 1", "has unknown key 'colour'"),
        ("decimal = 1", "decimal must be a text"),
        ("columns = 1", "columns must be names"),
        ("[columns]\nx = 1", "columns must be names"),
    ):
        path.write_text(content)
        with pytest.raises(DialectError, match=message):
            read_mapping(path)
    with pytest.raises(DialectError, match="can't be read"):
        read_mapping(tmp_path / "none.toml")
    with pytest.raises(DialectError, match="must be OURS=THEIRS"):
        parse_columns(("profile",))


def test_files_of_one_input_have_one_dialect(write_file: WriteFile, tmp_path: Path) -> None:
    first = write_file("1.csv", SEMICOLONS.replace("1.234,50", "1234").replace("12,5", "12").encode("cp1252"))
    write_file("2.csv", SEMICOLONS.replace("T", "U").encode())
    assert spend(tmp_path, on_notice=lambda text: None) == {"Jørgen": "2468.50", "Åse": "24.50"}
    first.write_bytes(SEMICOLONS.replace(";", "|").encode())
    with pytest.raises(InvalidInputError, match=r"1.csv is bar-separated, .*2.csv is semicolon-separated"):
        spend(tmp_path)
    first.write_bytes(SEMICOLONS.replace("1.234,50", "1,234.50").replace("12,5", "12.5").encode())
    with pytest.raises(InvalidInputError, match="written in different ways"):
        spend(tmp_path)


def test_other_formats_have_what_is_stated(write_file: WriteFile) -> None:
    lines = write_file("sales.ndjson", '{"external_id": "T1", "total": "1,5", "profile": "Å"}\n'.encode("cp1252"))
    options = parse_options(encoding="cp1252", decimal=",")
    assert files.inspect_file(lines, options=options).describe(COLUMNS) == "NDJSON"
    assert list(parsed_rows(read_rows(lines, options=options)).values()) == [
        {"external_id": "T1", "total": "1.5", "profile": "Å"}
    ]
    assert files.inspect_file(write_file("sales.parquet", b"")).describe(COLUMNS) == "Parquet"


def test_rows_that_are_no_csv_end_the_sample(write_file: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "SAMPLE_ROWS", 5)
    content = HEADER + "T1;M1;2026-10-01;1,5\n" + "T2;" + "x" * (csv.field_size_limit() + 1) + "\n"
    assert description(write_file("sales.csv", content.encode())).startswith("semicolon-separated, decimal")


def test_compute_rejects_what_it_can_not_read(write_file: WriteFile) -> None:
    path = write_file("sales.csv", SEMICOLONS.encode())
    with pytest.raises(InvalidInputError, match="decimal must be , or"):
        spend(path, decimal="x")
    with pytest.raises(InvalidInputError, match="files at a URL must be UTF-8, not cp1252"):
        regulars.compute("s3://bucket/sales.csv", encoding="cp1252")
    missing = detect_files(InputFiles("none/*.csv", CSV), TRANSACTIONS, {}, DETECT)[0]
    assert missing.dialects == ()


async def test_import_takes_the_options_and_says_how_the_file_was_read(club: Club, load: FileLoader) -> None:
    async def send(content: bytes, query: str = "", kind: str = "text/csv") -> Any:
        target = f"/v1/import/transactions?create_profiles=1{query}"
        return (await club.http.post(target, content=content, headers={"Content-Type": kind})).json()

    answer = await send(SEMICOLONS.encode("cp1252"))
    assert (answer["accepted"], answer["read_as"]) == (2, "semicolon-separated, decimal comma, Windows-1252")
    answer = await send(SEMICOLONS.replace("T", "U").encode("cp865"), kind="text/csv; charset=cp865")
    assert (answer["accepted"], answer["read_as"]) == (2, "semicolon-separated, decimal comma, CP865")
    query = "&column=external_id=Order&column=profile=Customer%20ID&column=transacted_at=When&column=total=Amount"
    answer = await send(THEIRS.encode(), f"{query}&timezone=Asia/Tokyo")
    assert (answer["accepted"], answer["read_as"]) == (1, "comma-separated, decimal point, UTF-8")
    assert (await load.transactions())["T1"]["transacted_at"] == "2026-09-30 15:00:00"
    answer = await send(THEIRS.encode(), query)
    assert (answer["accepted"], answer["unchanged"]) == (1, 0)
    for wrong in ("&decimal=x", "&column=x", "&column=x=y", "&timezone=x", "&encoding=x", "&delimiter=xx"):
        answer = await send(THEIRS.encode(), wrong)
        assert list(answer["errors"]) == [wrong[1:].partition("=")[0]]


async def test_local_times_are_in_the_zone_of_the_file_where_nothing_else_says(
    club: Club, load: FileLoader, tmp_path: Path
) -> None:
    rows: dict[str, list[str | None]] = {
        "external_id": ["Z1", "Z2", "Z3"], "profile": [None] * 3, "transacted_at": ["2026-10-01 12:00"] * 3,
        "total": ["5"] * 3, "timezone": [None, "Europe/Oslo", None], "location": [None, None, "tokyo"],
    }  # fmt: skip
    await load("locations", "external_id,timezone\ntokyo,Asia/Tokyo\n")
    path = tmp_path / "sales.parquet"
    pa.parquet.write_table(pa.table(rows), path)
    expected = {"Z1": "2026-10-01 16:00:00", "Z2": "2026-10-01 10:00:00", "Z3": "2026-10-01 03:00:00"}
    for file in (path, None):
        if file is None:
            table = pa.table(rows).to_pylist()
            content = "\n".join(",".join(str(cell or "") for cell in row.values()) for row in table)
            summary = await load("transactions", f"{','.join(rows)}\n{content}\n", timezone="America/New_York")
            assert summary.rows == 3
        else:
            await load.parquet(file, timezone="America/New_York")
        stored = await load.transactions()
        assert {name: stored[name]["transacted_at"] for name in expected} == expected
    summary = await load("profiles", "external_id,joined_at\nZM,2026-10-01 12:00\n", timezone="America/New_York")
    joined = "SELECT joined_at::text FROM profiles WHERE external_id = $2"
    assert str(await load.fetchval(joined, "ZM")).startswith("2026-10-01 16:00")
