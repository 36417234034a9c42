"""`regulars compute`."""

import csv
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.conftest import Command

SALES = "external_id,profile,transacted_at,total,location\nT1,M1,2026-10-01,5,oslo\nT2,M2,2026-09-01,7,oslo\n"
NOW = ("--as-of", "2026-11-01T00:00:00Z")


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> Path:
    """A folder with purchases, in which commands are run."""
    (tmp_path / "sales.csv").write_text(SALES)
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_values_of_all_profiles_are_written(command: Command, folder: Path) -> None:
    for name in ("values.csv", "values.parquet"):
        result = command("compute", "--transactions", "sales.csv", *NOW, "-o", name)
        assert (result.code, result.out, result.err) == (0, "", "")
    message = [(row["profile_id"], row["spend_all"], row["dimension_recency"]) for row in rows(folder / "values.csv")]
    assert message == [("M1", "5.00", "RC"), ("M2", "7.00", "RC")]
    assert pq.read_table(folder / "values.parquet")["profile_id"].to_pylist() == ["M1", "M2"]


def test_columns_time_zone_currency_and_other_tables_are_options(command: Command, folder: Path) -> None:
    (folder / "sales.csv").write_text(SALES.replace("profile", "customer"))
    (folder / "stores.csv").write_text("store,country_iso_3\noslo,NOR\n")
    (folder / "people.csv").write_text("external_id,joined_at\nM1,2026-10-01\nM2,\nM3,\n")
    (folder / "goods.csv").write_text("external_id,brand\np,Ash\n")
    result = command(
        *("compute", "--transactions", "sales.csv", "--column", "profile=customer", *NOW),
        *("--locations", "stores.csv", "--map", "locations.external_id=store"),
        *("--profiles", "people.csv", "--products", "goods.csv"),
        *("--timezone", "Europe/Oslo", "--currency", "nok", "-o", "values.csv"),
    )
    assert (result.code, result.err) == (0, "")
    first, _, third = rows(folder / "values.csv")
    assert first["spend_first_date"] == "2026-09-30 22:00:00"
    assert (first["likely_country"], first["latest_shop_currency"], third["shop_count"]) == ("NO", "NOK", "0")


def test_an_entity_table_gives_values_at_each_instant(command: Command, folder: Path) -> None:
    (folder / "entities.csv").write_text("profile,as_of\nM1,2026-09-30\nM1,2026-11-01\n")
    result = command("compute", "--transactions", "sales.csv", "--entities", "entities.csv", "-o", "values.csv")
    assert (result.code, result.err) == (0, "")
    message = [(row["profile_id"], row["calculated_at"], row["spend_all"]) for row in rows(folder / "values.csv")]
    assert message == [("M1", "2026-09-30 00:00:00", "0.00"), ("M1", "2026-11-01 00:00:00", "5.00")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--timezone", "Mars"), "--timezone must be an IANA time zone such as Europe/Oslo, not 'Mars'."),
        (("--currency", "XQZ"), "--currency 'XQZ' must be an ISO 4217 currency such as NOK."),
        (
            ("--as-of", "yesterday"),
            "--as-of is 'yesterday'. It must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset.",
        ),
        ((*NOW, "--entities", "sales.csv"), "Use either --as-of or --entities."),
        (("--entities", "none"), "as_of: file none does not exist."),
        (("--master", "local[1]"), "--master requires --engine spark."),
        (("--map", "profile"), "--column must be OURS=THEIRS, such as profile=customer_id, not 'profile'."),
        (("--map", "who=x"), "columns: unknown column who of transactions. Allowed: external_id, profile, "),
        (
            ("--map", "profile=customer"),
            "transactions has no column customer. Found: external_id, profile, transacted_at, total, location. Name ",
        ),
        (("--locations", "stores.csv"), "locations: file stores.csv does not exist."),
    ],
)
def test_usage_errors_name_the_option_and_a_remedy(
    command: Command, folder: Path, options: tuple[str, ...], message: str
) -> None:
    result = command("compute", "--transactions", "sales.csv", *options, "-o", "values.csv")
    assert result.code == 2
    assert result.err.startswith(f"regulars: {message}")
    assert not (folder / "values.csv").exists()


def test_an_unsupported_output_is_a_usage_error(command: Command, folder: Path) -> None:
    result = command("compute", "--transactions", "sales.csv", "-o", "values.txt")
    assert (result.code, result.err) == (
        2,
        "regulars: Unsupported output 'values.txt'. Use a file with the extension .csv or .parquet.\n",
    )
    for output in (("-o", "-"), ()):
        assert command("compute", "--transactions", "sales.csv", *output).code == 2


def test_invalid_data_is_a_failure(command: Command, folder: Path) -> None:
    (folder / "values.csv").write_text("old")
    (folder / "sales.csv").write_text(SALES.replace(",7,", ",seven,"))
    result = command("compute", "--transactions", "sales.csv", *NOW, "-o", "values.csv")
    assert result.code == 1
    assert result.err == (
        "regulars: transactions.total must be a decimal with at most 6 decimal places, "
        "below 10^12 in absolute value, not 'seven' (1 row, such as external_id 'T2').\n"
    )
    assert (folder / "values.csv").read_text() == "old"


def test_a_damaged_file_is_a_failure(command: Command, folder: Path) -> None:
    (folder / "sales.parquet").write_bytes(b"PAR1" + b"x" * 100)
    result = command("compute", "--transactions", "sales.parquet", "-o", "values.csv")
    assert result.code == 1
    assert result.err.startswith("regulars: transactions: sales.parquet can't be read: ")


def test_the_error_of_a_missing_extra_says_how_to_install_it(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore.fsspec", None)
    result = command("compute", "--transactions", "s3://lake/sales", "-o", "values.csv")
    assert (result.code, result.err) == (2, "regulars: s3:// needs an extra: pip install 'regulars[lake]'.\n")
    monkeypatch.delitem(sys.modules, "regulars.offline.engines.spark", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    result = command("compute", "--transactions", "sales.csv", "--engine", "spark", "-o", "values.csv")
    assert (result.code, result.err) == (
        2,
        "regulars: Spark is not installed: pip install 'regulars[spark]'; it needs Java 17 or later.\n",
    )


def test_help_has_an_example(command: Command) -> None:
    result = command("compute", "--help")
    assert result.code == 0
    assert "regulars compute --transactions purchases.csv" in " ".join(result.out.split())


def test_a_folder_of_parquet_is_read(command: Command, folder: Path) -> None:
    (folder / "sales").mkdir()
    sale = {"external_id": ["T9"], "profile": ["M9"], "transacted_at": ["2026-10-01"], "total": [1]}
    pq.write_table(pa.table(sale), folder / "sales" / "part-0.parquet")
    assert command("compute", "--transactions", "sales", *NOW, "-o", "values.csv").code == 0
    assert [row["spend_all"] for row in rows(folder / "values.csv")] == ["1.00"]


def test_values_may_be_selected(command: Command, folder: Path) -> None:
    message = ("--values", "shop_count,spend_all", "--values", "dimension_recency")
    result = command("compute", "--transactions", "sales.csv", *NOW, *message, "-o", "values.csv")
    assert (result.code, result.err) == (0, "")
    assert [*rows(folder / "values.csv")[0]] == [
        "profile_id", "spend_all", "dimension_recency", "shop_count", "calculated_at",
    ]  # fmt: skip


def test_an_unknown_value_is_a_usage_error(command: Command, folder: Path) -> None:
    result = command("compute", "--transactions", "sales.csv", "--values", "spend_13m", "-o", "values.csv")
    assert result.code == 2
    assert "Unknown value 'spend_13m'. Allowed: profile_id, shop_days, spend_12m" in result.err
