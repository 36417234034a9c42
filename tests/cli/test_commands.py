"""Help, error messages and exit codes of all commands."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import UUID

import pytest

from cli.conftest import Command, create_community
from regulars.auth.permits import FULL_PROFILE_API

UNRESERVED = ["any", "handle", "that", "is", "not", "reserved"]

COMMANDS = (
    ["serve"],
    ["worker"],
    ["demo"],
    ["token", "create"],
    ["token", "list"],
    ["token", "rotate"],
    ["token", "revoke"],
    ["organization", "list"],
    ["organization", "set"],
    ["community", "create"],
    ["community", "list"],
    ["provider", "set"],
    ["provider", "list"],
    ["provider", "remove"],
    ["load"],
    ["query"],
    ["verify"],
    ["migrate"],
    ["backup"],
    ["restore"],
    ["doctor"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: Command, words: list[str]) -> None:
    done = command(*words, "--help")
    assert (done.code, done.err) == (0, "")
    assert "Example: " in done.out
    assert " ".join(["regulars", *words]) in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lod"], 'Unknown command "lod"'),
        (["serve", "--prot", "1"], "Unknown option: --prot"),
        (["serve", "--port", "http"], 'unable to convert "http" into int'),
        (["serve", "--port", "99999"], "--port is 99999"),
        (["serve", "--workers", "0"], "--workers is 0"),
        (["serve", "--host", "256.1.1.1"], "is not available"),
        (["load", "transactions", "sales.csv"], "--community SLUG"),
        (["load", "transactions", "sales.csv", "--community", "nord"], "sales.csv can't be read: No such file"),
        (["load", "things", "sales.csv"], "Unknown entity 'things'. Allowed: "),
        (["verify", "--as-of", "soon"], "--as-of is 'soon'. It must be a time"),
        (["jobs", "show", "99999999999999999999"], 'Invalid value "99999999999999999999" for JOB-ID. Must be <'),
        (["token", "create"], "--organization NAME or --community SLUG"),
        (["token", "create", "--organization", "Nord", "--permit", "Reportng:*"], "Unknown permit 'Reportng:*'"),
        (
            ["token", "create", "--organization", "Nord", "--permit", "Profile:Delete"],
            "Profile:Erase, Transaction:Read",
        ),
        (["token", "create", "--organization", "Nord", "--permit", "Profile:*"], "needs --community SLUG"),
        (
            ["token", "create", "--organization", "Nord", "--expires-in-days", "inf"],
            "--expires-in-days is inf. Allowed:",
        ),
        (
            ["token", "create", "--organization", "Nord", "--expires-in-days", "nan"],
            "--expires-in-days is nan. Allowed:",
        ),
        (["token", "rotate", "1", "--expires-in-days", "1e9"], "Allowed: more than 0, at most 36,500."),
        (["token", "list", "--organization", "Unknown"], "Organization 'Unknown' not found"),
        (["token", "rotate", "1", "--overlap", "soon"], "--overlap is 'soon'"),
        (["organization", "set", "Unknown"], "No setting given"),
        (["organization", "set", "Unknown", "--min-cell-size", "5"], "Organization 'Unknown' not found"),
        (
            ["organization", "set", "Unknown", "--reporting-rate-per-second", "-1"],
            "Allowed: 0 to 1000000",
        ),
        (["restore", "nothing.dump"], "File not found: nothing.dump"),
    ],
)
def test_invalid_options_end_with_exit_code_2_and_one_line(
    command: Command, on_the_server: None, arguments: list[str], message: str
) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.startswith("regulars: ")
    assert done.err.count("\n") == 1


def test_an_invalid_setting_ends_with_exit_code_2(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_LOG_FORMAT", "xml")
    assert command("migrate").code == 2


def test_an_unreachable_database_is_reported_without_its_password(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE_URL", "postgresql://app:geheim@127.0.0.1:1/regulars")
    for words in (["community", "list"], ["migrate"], ["doctor"]):
        done = command(*words)
        assert done.code == 1
        assert "The database can't be reached" in done.out + done.err
        assert "geheim" not in done.out + done.err


@pytest.mark.parametrize(
    "url", ["regulars", "host=db.internal password=geheim", "postgres//app:geheim@db/x", "mysql://app:geheim@db/x"]
)
def test_a_setting_that_is_no_url_of_a_database_is_named_without_its_value(
    command: Command, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for name in ("REGULARS_DATABASE_URL", "REGULARS_MIGRATION_DATABASE_URL"):
        monkeypatch.setenv(name, url)
        for words, code in ((["community", "list"], 2), (["doctor"], 1)):
            done = command(*words)
            assert done.code == code
            assert f"{name} is no URL of a PostgreSQL database. It must be like" in done.out + done.err
            assert "geheim" not in done.out + done.err
        monkeypatch.setenv(name, "postgresql://app@127.0.0.1:1/regulars")


def test_an_unexpected_error_is_one_line_and_a_traceback_at_log_level_debug(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data" / "postgresql").mkdir(parents=True)
    (tmp_path / "data" / "postgresql" / "PG_VERSION").write_text("9")
    done = command("migrate")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "Set REGULARS_LOG_LEVEL=debug for a traceback" in done.err
    monkeypatch.setenv("REGULARS_LOG_LEVEL", "debug")
    assert "Traceback" in command("migrate").err


def test_a_data_directory_that_is_a_file_is_rejected(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("migrate", "--data-dir", "file")
    message = f"regulars: {tmp_path / 'file'} is a file. --data-dir (REGULARS_DATA_DIR) must be a directory.\n"
    assert (done.code, done.err) == (2, message)


def test_the_version_is_printed(command: Command) -> None:
    assert command("--version").out.strip() == "0.2.0"


def test_the_command_line_imports_no_command_before_it_runs() -> None:
    script = "import sys, regulars.cli; print([each for each in sys.modules if each.startswith('regulars.cli.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_help_describes_each_command(command: Command) -> None:
    shown = " ".join(command("--help").out.split())
    assert "Runs the server and its background jobs until it is stopped." in shown


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "regulars", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0.2.0\n")


def _regulars(*arguments: str, stdout: int | IO[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "regulars", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("arguments", [["community", "list"], ["doctor"]], ids=["little", "much"])
def test_a_reader_that_stops_early_is_no_error(on_the_server: None, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = _regulars(*arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_output_that_can_not_be_written_is_an_error(on_the_server: None) -> None:
    with Path("/dev/full").open("w") as full:
        done = _regulars("community", "list", stdout=full)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr


# Communities and tokens -------------------------------------------------------------------------------------


def test_communities_are_created_and_listed(command: Command, slug: str) -> None:
    line = next(line for line in command("community", "list").out.splitlines() if f" {slug} " in line)
    assert line.split()[1:] == [slug, "The", slug, "NO", "Europe/Oslo", "NOK", *UNRESERVED]


def test_an_invalid_community_is_reported_by_option(command: Command, slug: str) -> None:
    done = create_community(command, slug)
    assert (done.code, done.err) == (2, "regulars: --slug is taken by another community.\n")
    done = create_community(command, "other", "--attribute", "chain")
    assert (done.code, done.err) == (2, "regulars: --attribute is 'chain'. It must be key=value, such as chain=Nord.\n")


def test_numbers_of_communities_are_unique_and_in_range(command: Command, slug: str) -> None:
    first = create_community(command, f"{slug}-first")
    taken = first.out.split()[-1].rstrip(".")
    for option, number, message in (
        ("--id", taken, "--id is taken by another community."),
        ("--loyalty-club-id", taken, "--loyalty-club-id is taken by another community."),
        ("--id", "0", "--id is 0. Allowed: 1 to 2147483647."),
        ("--customer-id", "99999999999", "--customer-id is 99999999999. Allowed: 1 to 2147483647."),
    ):
        done = create_community(command, f"{slug}-second", option, number)
        assert (done.code, done.err) == (2, f"regulars: {message}\n")


def test_the_default_id_of_a_community_is_free(command: Command, slug: str) -> None:
    first = int(create_community(command, f"{slug}-1").out.split()[-1].rstrip("."))
    assert create_community(command, f"{slug}-2", "--id", str(first + 1), "--loyalty-club-id", str(first + 2)).code == 0
    assert create_community(command, f"{slug}-3").out == f"Community {slug}-3 has the id {first + 3}.\n"


def test_the_id_of_a_community_can_be_chosen(command: Command, on_the_server: None) -> None:
    done = create_community(
        command, "numbered", "--id", "4711", "--attribute", "chain=Nord", "--organization", "Nord AS"
    )
    assert done.out == "Community numbered has the id 4711.\n"


def test_a_token_is_printed_once_listed_by_its_first_characters_and_revoked(command: Command, slug: str) -> None:
    created = command("token", "create", "--community", slug, "--name", "till")
    secret = created.out.strip()
    assert secret.startswith("rg_")
    assert created.err == "Store this token now. It can't be shown again.\n"

    def line() -> str:
        listed = command("token", "list", "--organization", f"The {slug}")
        assert secret not in listed.out
        return listed.out.splitlines()[1]

    assert secret[:7] in line()
    assert "valid" in line()
    token_id = line().split()[0]
    assert command("token", "revoke", token_id).code == 0
    assert "revoked" in line()
    again = command("token", "revoke", token_id)
    assert (again.code, again.err) == (
        2,
        f"regulars: Token {token_id} not found or not valid. `regulars token list` shows the tokens.\n",
    )


def test_a_token_of_an_organization_can_be_limited_to_communities(command: Command, slug: str) -> None:
    owner = ["token", "create", "--organization", f"The {slug}"]
    assert command(*owner, "--customers", slug, "--permit", "Reporting:*", "--expires-in-days", "0.5").code == 0
    line = command("token", "list", "--organization", f"The {slug}").out.splitlines()[1]
    assert line.split()[4:10] == ["any", "any", slug, "Reporting:*", "-", "valid"]
    create_community(command, f"{slug}-other")
    for customers, message in (
        (" , ", "--customers is ' , '. Allowed: all, or slugs"),
        (f"{slug},{slug}-other", f"--customers has {slug}-other, which does not belong to the organization"),
    ):
        done = command(*owner, "--customers", customers, "--permit", "Reporting:*")
        assert (done.code, message in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--organization", "Unknown"], "Organization 'Unknown' not found"),
        (["--community", "nowhere"], "There is no community 'nowhere'"),
        (["--organization", "The {slug}", "--customers", "nowhere"], "There is no community 'nowhere'"),
        (["--organization", "The {slug}", "--member", "M1"], "--member needs --community SLUG"),
        (["--community", "{slug}", "--member", "M1"], "Profile M1 not found in {slug}"),
    ],
)
def test_a_token_of_an_unknown_organization_community_or_profile_is_rejected(
    command: Command, slug: str, arguments: list[str], message: str
) -> None:
    done = command("token", "create", *(each.format(slug=slug) for each in arguments))
    assert done.code == 2
    assert message.format(slug=slug) in done.err


def test_a_token_can_be_bound_to_one_profile(command: Command, slug: str, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text("external_id\nM1\n")
    command("load", "profiles", "members.csv", "--community", slug)
    assert command("token", "create", "--community", slug, "--member", "M1", "--permit", "Profile:Read").code == 0
    community, member, *rest = command("token", "list", "--organization", f"The {slug}").out.splitlines()[1].split()[4:]
    assert community == slug
    assert UUID(member)
    assert [*rest[:4], *rest[5:]] == ["all", "Profile:Read", "-", "valid", "never", "never"]


def test_a_token_of_a_community_has_all_permits_of_the_profile_api_by_default(command: Command, slug: str) -> None:
    assert command("token", "create", "--community", slug).code == 0
    line = command("token", "list", "--organization", f"The {slug}").out.splitlines()[1]
    assert line.split()[7] == ",".join(FULL_PROFILE_API)


def test_a_rotated_token_is_replaced_and_expires(command: Command, slug: str) -> None:
    words = ["--permit", "Profile:Read", "--permit", "Transaction:Write", "--name", "till", "--expires-in-days", "90"]
    first = command("token", "create", "--community", slug, *words).out.strip()

    def lines() -> list[list[str]]:
        return [each.split() for each in command("token", "list", "--organization", f"The {slug}").out.splitlines()[1:]]

    (before,) = lines()
    rotated = command("token", "rotate", before[0], "--overlap", "24h")
    assert rotated.code == 0
    assert rotated.out.startswith("rg_")
    assert rotated.out.strip() != first
    assert rotated.err == f"Store this token now. It can't be shown again. Token {before[0]} expires in 24h.\n"
    new, old = lines()
    assert new[4:10] == old[4:10] == before[4:10]

    def lifetime(line: list[str]) -> timedelta:
        return datetime.fromisoformat(line[11]) - datetime.fromisoformat(line[10])

    assert lifetime(new) == timedelta(days=90)
    assert timedelta(hours=24) <= lifetime(old) < timedelta(hours=25)
    assert command("token", "rotate", new[0], "--overlap", "0s", "--expires-in-days", "1").code == 0
    assert [each[9] for each in lines()] == ["valid", "expired", "valid"]
    again = command("token", "rotate", new[0])
    assert (again.code, f"Token {new[0]} not found or not valid" in again.err) == (2, True)
    missing = command("token", "rotate", "999999")
    assert (missing.code, "Token 999999 not found or not valid" in missing.err) == (2, True)


def test_a_token_for_a_community_of_another_organization_is_rejected(
    command: Command, slug: str, on_the_server: None
) -> None:
    create_community(command, f"{slug}-other")
    done = command("token", "create", "--community", slug, "--organization", f"The {slug}-other")
    assert (done.code, "does not belong to organization" in done.err) == (2, True)
