"""`regulars migrate`, `backup`, `restore` and `doctor`, on data folders and servers of their own."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest

import migrated_store
from cli.conftest import Command, create_community
from regulars.cli import backup
from regulars.storage import embedded
from storage.test_migrate import create_store_of_0_1_0


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, folder_of_a_server: Path) -> Path:
    folder = folder_of_a_server / "data"
    monkeypatch.setenv("REGULARS_DATA_DIR", str(folder))
    return folder


def test_a_backup_is_restored_into_another_database(command: Command, data: Path, tmp_path: Path) -> None:
    migrated_store.copy_to(data)
    migrated_store.copy_to(other := data.parent / "other")
    # Servers that run anyway, so that no command starts and stops one.
    with embedded.run_server(data), embedded.run_server(other):
        _back_up_and_restore(command, tmp_path, ["--data-dir", str(other)])


def _back_up_and_restore(command: Command, tmp_path: Path, other_database: list[str]) -> None:
    (tmp_path / "sales.csv").write_text("external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\n")
    create_community(command, "nord")
    command("load", "transactions", "sales.csv", "--community", "nord", "--create-profiles")
    done = command("backup", "nord.dump")
    assert done.code == 0, done.err
    assert done.out.startswith("nord.dump: ")
    assert (tmp_path / "nord.dump").stat().st_mode & 0o777 == 0o600
    again = command("backup", "nord.dump")
    assert (again.code, again.err) == (2, "regulars: nord.dump already exists. Choose another name.\n")

    done = command("restore", "nord.dump", *other_database)
    assert (done.code, done.out) == (0, "nord.dump is restored (communities: 1).\n")
    assert command("verify", *other_database).out == "nord: 1 profile, 0 differences\n"
    unchanged = command("load", "transactions", "sales.csv", "--community", "nord", *other_database)
    assert unchanged.out == "sales.csv: 0 accepted, 1 unchanged, 0 rejected\n"

    refused = command("restore", "nord.dump", *other_database)
    assert (refused.code, "is not empty (communities: 1)" in refused.err) == (2, True)
    assert command("restore", "nord.dump", "--replace", *other_database).code == 0
    (tmp_path / "broken.dump").write_bytes((tmp_path / "nord.dump").read_bytes()[:2_000])
    broken = command("restore", "broken.dump", "--replace", *other_database)
    assert broken.code == 1
    assert broken.err.endswith("Nothing was changed.\n")
    assert "nord" in command("community", "list", *other_database).out


@pytest.mark.parametrize(
    "url", ["postgresql://ann:se%20cret@db:5433/club", "postgresql://db:5433/club?user=ann&password=se%20cret"]
)
def test_passwords_are_not_part_of_command_lines(url: str) -> None:
    bare, password = backup._without_password(url)
    assert (bare, password) == ("user=ann dbname=club host=db port=5433", "se cret")
    assert backup._without_password(bare) == (bare, None)


def test_doctor_shows_settings_with_their_sources_versions_and_problems(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = command("doctor")
    assert (first.code, f"There is no database in {data} yet" in first.out) == (0, True)
    command("community", "list")
    Path("regulars.toml").write_text("workers = 3\n")
    monkeypatch.setenv("REGULARS_WORKER", "3")
    done = command("doctor")
    assert done.code == 0
    rows = {line.split()[0]: line.split()[1:3] for line in done.out.splitlines() if line.startswith("REGULARS_")}
    assert rows["REGULARS_WORKERS"] == ["3", "regulars.toml"]
    assert rows["REGULARS_DATA_DIR"] == [str(data), "REGULARS_DATA_DIR"]
    assert rows["REGULARS_PORT"] == ["8080", "default"]
    assert "PostgreSQL 18" in done.out
    assert "outbox: " in done.out
    assert done.out.splitlines()[-1] == "note: REGULARS_WORKER is set, but it is not a setting."
    other = command("doctor", "--data-dir", str(data / "other"))
    assert "--data-dir" in other.out


def test_doctor_reports_too_few_open_files(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_MAX_CONNECTIONS", "2000000000")
    done = command("doctor")
    assert done.code == 0
    assert "max_connections = 2,000,000,000 needs 2,000,001,024. Raise the hard limit" in done.out


def test_an_unsafe_database_is_fatal(
    command: Command, folder_of_a_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.run_server(folder_of_a_server / "data") as (owner, app):
        monkeypatch.setenv("REGULARS_DATABASE_URL", app)
        monkeypatch.setenv("REGULARS_MIGRATION_DATABASE_URL", owner)
        # The owner of this server is a superuser, and the server must not run as one.
        before = command("doctor")
        assert (before.code, "note: Pending migrations: 0001.organizations" in before.out) == (0, True)
        assert command("migrate").out.startswith("0001.organizations\n")
        assert command("migrate").out == "The database is up to date.\n"
        monkeypatch.setenv("REGULARS_DATABASE_URL", owner)
        unsafe = command("doctor")
        assert (unsafe.code, "FATAL: The role postgres is a superuser" in unsafe.out) == (1, True)
        refused = command("community", "list")
        assert (refused.code, "is a superuser" in refused.err) == (1, True)


def test_a_role_that_may_not_migrate_accepts_a_current_schema(
    command: Command, folder_of_a_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.run_server(folder_of_a_server / "data") as (owner, app):
        monkeypatch.setenv("REGULARS_DATABASE_URL", app)
        missing = command("community", "list")
        assert missing.code == 1
        assert "Run `regulars migrate` with REGULARS_MIGRATION_DATABASE_URL" in missing.err
        monkeypatch.setenv("REGULARS_MIGRATION_DATABASE_URL", owner)
        command("migrate")
        monkeypatch.delenv("REGULARS_MIGRATION_DATABASE_URL")
        assert command("community", "list").code == 0
        refused = command("backup", "all.dump")
        assert (refused.code, "needs a role with BYPASSRLS" in refused.err) == (1, True)
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("COMMENT ON TABLE profile_aggregations IS 'definitions of long ago'")
        outdated = command("community", "list")
        assert (outdated.code, "lacks the current definitions of values" in outdated.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "0"],
        ["worker"],
        ["load", "profiles", "members.csv", "--community", "nord"],
        ["migrate"],
        ["verify"],
        ["backup", "nord.dump"],
        ["community", "list"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_store_of_an_older_schema_is_refused_by_every_command(
    arguments: list[str],
    command: Command,
    empty_urls: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_store_of_0_1_0(empty_urls[0])
    monkeypatch.setenv("REGULARS_MIGRATION_DATABASE_URL", empty_urls[0])
    monkeypatch.setenv("REGULARS_DATABASE_URL", empty_urls[1])
    (tmp_path / "members.csv").write_text("external_id\nM1\n")
    done = command(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"regulars: Regulars {version('regulars')} can't upgrade this database: the tables of Regulars 0.1.0 were "
        "found. Nothing was changed. Load your files into a new database (an empty data folder by --data-dir or "
        "REGULARS_DATA_DIR, or another REGULARS_DATABASE_URL); until then the version that created this one can serve "
        "it. See docs/upgrading.md.\n"
    )


def test_doctor_reports_an_older_schema(
    command: Command, empty_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_store_of_0_1_0(empty_urls[0])
    monkeypatch.setenv("REGULARS_MIGRATION_DATABASE_URL", empty_urls[0])
    monkeypatch.setenv("REGULARS_DATABASE_URL", empty_urls[1])
    done = command("doctor")
    assert (done.code, "the tables of Regulars 0.1.0 were found" in done.out) == (1, True)


def test_a_backup_of_an_older_schema_is_not_restored(command: Command, data: Path, tmp_path: Path) -> None:
    create_community(command, "nord")
    with embedded.run_server(data) as (owner, _):
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("CREATE DATABASE older")
        older = owner.replace("/regulars?", "/older?")
        create_store_of_0_1_0(older)
        dump = [
            str(embedded.binaries_folder() / "pg_dump"),
            "--format=custom",
            f"--file={tmp_path / 'older.dump'}",
            older,
        ]
        subprocess.run(dump, check=True)
    refused = command("restore", "older.dump", "--replace")
    assert (refused.code, "the tables of Regulars 0.1.0 were found. Nothing was changed." in refused.err) == (1, True)
    assert "nord" in command("community", "list").out
