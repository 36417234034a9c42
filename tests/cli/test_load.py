"""`regulars load` and `regulars verify`."""

import csv
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.conftest import Command
from regulars.cli import verify
from regulars.core.field_type import FieldType

SALES = "external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\nT2,M1,2026-10-02,x\nT3,M9,2026-10-02,1\n"


@pytest.fixture
def folder(command: Command, slug: str, tmp_path: Path) -> Path:
    """A folder with files, for a community with one member."""
    (tmp_path / "members.csv").write_text("external_id\nM1\n")
    (tmp_path / "sales.csv").write_text(SALES)
    done = command("load", "profiles", "members.csv", "--community", slug)
    assert (done.code, done.out) == (0, "members.csv: 1 accepted, 0 unchanged, 0 rejected\n")
    return tmp_path


def test_valid_rows_are_loaded_and_invalid_ones_reported(command: Command, slug: str, folder: Path) -> None:
    done = command("load", "transactions", "sales.csv", "--community", slug, "--errors-file", "rejected.csv")
    assert (done.code, done.out) == (1, "sales.csv: 1 accepted, 0 unchanged, 2 rejected\n")
    assert done.err.splitlines() == [
        "sales.csv, line 3: total must be a decimal with at most 6 decimal places, below 10^12 in absolute value, not 'x'",
        "sales.csv, line 4: profile there is no profile M9",
    ]
    with (folder / "rejected.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "reason"],
            [
                "sales.csv",
                "3",
                "total must be a decimal with at most 6 decimal places, below 10^12 in absolute value, not 'x'",
            ],
            ["sales.csv", "4", "profile there is no profile M9"],
        ]


def test_several_files_are_loaded_one_by_one_and_only_some_rejections_shown(
    command: Command, slug: str, folder: Path
) -> None:
    (folder / "bad.csv").write_text("external_id,profile,transacted_at,total\n" + "T,,x,1\n,,x,1\n" * 15)
    done = command("load", "transactions", "sales.csv", "bad.csv", "--community", slug, "--create-profiles")
    assert done.code == 1
    assert done.out.splitlines()[0] == "sales.csv: 2 accepted, 0 unchanged, 1 rejected"
    assert done.err.splitlines()[-1].endswith("more; --errors-file FILE writes all of them")


def test_a_folder_stands_for_its_files(command: Command, slug: str, folder: Path) -> None:
    (folder / "lake/2026").mkdir(parents=True)
    header, *rows = SALES.splitlines()
    for name, row in zip(("lake/2025.csv", "lake/2026/10.csv"), (rows[0], rows[0].replace("T1", "T4")), strict=True):
        (folder / name).write_text(f"{header}\n{row}\n")
    (folder / "lake/_SUCCESS").write_text("")
    done = command("load", "transactions", "lake", "--community", slug)
    assert done.out.splitlines() == [
        "lake/2025.csv: 1 accepted, 0 unchanged, 0 rejected",
        "lake/2026/10.csv: 1 accepted, 0 unchanged, 0 rejected",
    ]
    (folder / "empty").mkdir()
    done = command("load", "transactions", "empty", "--community", slug)
    assert (done.code, done.err) == (2, "regulars: empty holds no files.\n")


@pytest.mark.slow
def test_precomputed_values_of_the_same_transactions_are_imported(command: Command, slug: str, folder: Path) -> None:
    (folder / "sales.csv").write_text("external_id,profile,transacted_at,total\nT1,M1,2026-10-01T10:00:00Z,5\n")
    (folder / "members.csv").write_text("external_id,joined_at\nM1,2026-10-01T09:00:00Z\n")
    assert command("load", "profiles", "members.csv", "--community", slug).code == 0
    options = ("--timezone", "Europe/Oslo", "--currency", "NOK", "--with-fingerprints", "-o", "values.parquet")
    assert command("compute", "--transactions", "sales.csv", "--profiles", "members.csv", *options).code == 0
    done = command("load", "transactions", "sales.csv", "--community", slug, "--precomputed-values", "values.parquet")
    assert done.out.splitlines()[1:] == ["values.parquet: values of 1 profile imported"]
    done = command("load", "profiles", "members.csv", "--community", slug, "--precomputed-values", "values.parquet")
    assert (done.code, done.err.count("--precomputed-values is only allowed for transactions")) == (2, 1)


def test_a_dry_run_stores_nothing(command: Command, slug: str, folder: Path) -> None:
    done = command("load", "transactions", "sales.csv", "--community", slug, "--dry-run")
    assert done.out.splitlines() == [
        "sales.csv: read as comma-separated, decimal point, UTF-8",
        "sales.csv: 1 would be accepted, 0 unchanged, 2 rejected",
        '  line 2: {"external_id":"T1","profile":"M1","transacted_at":"2026-09-30T22:00:00+00:00","total":"5"}',
    ]
    assert done.err.splitlines() == [
        f"sales.csv: 1 row rejected, such as line 3: total must be {FieldType.MONEY.input_format}, not 'x'",
        "sales.csv: 1 row rejected, such as line 4: profile there is no profile M9",
    ]
    assert command("load", "transactions", "sales.csv", "--community", slug).out.startswith("sales.csv: 1 accepted")


def test_the_format_can_be_set(command: Command, slug: str, folder: Path) -> None:
    (folder / "members").write_text('{"external_id": "M2"}\n')
    assert command("load", "profiles", "members", "--community", slug).code == 2
    assert command("load", "profiles", "members", "--community", slug, "--format", "ndjson").code == 0


def test_communities_are_loaded_without_a_community(command: Command, slug: str, folder: Path) -> None:
    (folder / "clubs.csv").write_text(
        f"slug,name,country,timezone,currency\n{slug}-b,B,NO,Europe/Oslo,NOK\n{slug}-c,C,NO,Nowhere,NOK\n"
    )
    done = command("load", "communities", "clubs.csv")
    assert (done.code, done.out) == (1, "clubs.csv: 1 accepted, 0 unchanged, 1 rejected\n")


def test_a_missing_column_is_reported_with_its_file(command: Command, slug: str, folder: Path) -> None:
    done = command("load", "memberships", "members.csv", "--community", slug)
    assert done.code == 1
    assert done.err.startswith("regulars: members.csv: profile is a required column. Found: ")


def test_an_errors_file_has_no_formulas(command: Command, slug: str, folder: Path) -> None:
    (folder / "=1+1.csv").write_text(SALES)
    command("load", "transactions", "=1+1.csv", "--community", slug, "--errors-file", "rejected.csv")
    with (folder / "rejected.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["file", "'=1+1.csv", "'=1+1.csv"]


def test_an_errors_file_that_is_not_writable_is_rejected(command: Command, slug: str, folder: Path) -> None:
    done = command("load", "transactions", "sales.csv", "--community", slug, "--errors-file", "no/where.csv")
    assert (done.code, "Can't write no/where.csv" in done.err) == (2, True)


def test_verify_finds_no_differences_in_consistent_data(command: Command, slug: str, folder: Path) -> None:
    command("load", "transactions", "sales.csv", "--community", slug)
    done = command("verify", "--community", slug)
    assert (done.code, done.out) == (0, f"{slug}: 1 profile, 0 differences\n")
    done = command("verify", "--community", slug, "--as-of", "2026-10-01T12:00:00Z")
    assert (done.code, done.out) == (0, f"{slug}: 1 profile, 0 differences\n")


def store_wrong_shop_counts(owner_url: str, slug: str) -> None:
    """Stores 7 as the number of purchases of every profile of a club."""
    with psycopg.connect(owner_url) as connection:
        connection.execute(
            "SELECT set_config('regulars.community_id', (SELECT id::text FROM communities WHERE slug = %s), true)",
            [slug],
        )
        connection.execute(
            """
            UPDATE profile_aggregations
            SET shop_count = 7
            WHERE community_id = (SELECT id FROM communities WHERE slug = %s)
            """,
            [slug],
        )


def test_verify_prints_differences_and_ends_with_exit_code_1(
    command: Command, slug: str, folder: Path, command_urls: tuple[str, str]
) -> None:
    command("load", "transactions", "sales.csv", "--community", slug)
    store_wrong_shop_counts(command_urls[0], slug)
    done = command("verify", "--community", slug)
    assert done.code == 1
    first, last = done.out.splitlines()
    assert "shop_count is stored as 7, expected 1" in first
    assert last == f"{slug}: 1 profile, 1 difference"


def test_verify_prints_some_of_many_equal_differences_and_their_number(
    command: Command, slug: str, folder: Path, command_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MAX_PRINTED", 2)
    (folder / "members.csv").write_text("external_id\nM2\nM3\n")
    command("load", "profiles", "members.csv", "--community", slug)
    store_wrong_shop_counts(command_urls[0], slug)
    done = command("verify", "--community", slug)
    assert [line.count("shop_count is stored as 7") for line in done.out.splitlines()] == [1, 1, 0, 0]
    assert done.out.splitlines()[2:] == [
        f"{slug}: shop_count: 2 of 3 differences shown",
        f"{slug}: 3 profiles, 3 differences",
    ]


@pytest.mark.parametrize("name", ["sales.csv", "sales.parquet"])
def test_a_load_that_the_database_stops_says_where_and_goes_on_from_there(
    command: Command,
    slug: str,
    folder: Path,
    command_urls: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("REGULARS_COMMIT_MAX_ROWS", "1")
    rows = [(f"{slug}-{number}", "M1", "2026-10-01", "1") for number in range(3)]
    names = ("external_id", "profile", "transacted_at", "total")
    table = pa.table({each: list(column) for each, column in zip(names, zip(*rows, strict=True), strict=True)})
    if name.endswith("csv"):
        (folder / name).write_text("\n".join(",".join(row) for row in (names, *rows)))
    else:
        pyarrow.parquet.write_table(table, folder / name)
    load = ("load", "transactions", name, "--community", slug)
    with psycopg.connect(command_urls[0], autocommit=True) as owner:
        owner.execute(
            f"""
            CREATE FUNCTION fail_{name[-3:]}() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON transactions FOR EACH ROW
            WHEN (NEW.external_id = '{slug}-1') EXECUTE FUNCTION fail_{name[-3:]}();
            """.encode()
        )
        done = command(*load)
        owner.execute(f"DROP FUNCTION fail_{name[-3:]} CASCADE".encode())
    assert done.code == 1
    assert done.err.startswith(f"regulars: {name}: The load stopped at line {3 if name.endswith('csv') else 2} because")
    assert "Rows before it: 1 accepted, 0 unchanged, 0 rejected." in done.err
    assert done.err.endswith("Reason: no space left.\n")
    done = command(*load)
    assert (done.code, done.out) == (0, f"{name}: 2 accepted, 1 unchanged, 0 rejected\n")
