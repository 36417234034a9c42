"""What commands say, and the exit codes that they end with."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from cli.conftest import Command, create_community
from regulars.auth.permits import FULL_PROFILE_API

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
    ("words", "said"),
    [
        (["lod"], 'Unknown command "lod"'),
        (["serve", "--prot", "1"], "Unknown option: --prot"),
        (["serve", "--port", "http"], 'unable to convert "http" into int'),
        (["serve", "--port", "99999"], "There is no port 99999"),
        (["serve", "--workers", "0"], "There must be at least 1 worker"),
        (["serve", "--host", "256.1.1.1"], "can't be listened on"),
        (["load", "transactions", "sales.csv"], "--community SLUG"),
        (["load", "transactions", "sales.csv", "--community", "nord"], "sales.csv can't be read: No such file"),
        (["load", "things", "sales.csv"], "Invalid value"),
        (["verify", "--as-of", "soon"], "--as-of must be a time"),
        (["token", "create"], "--organization NAME, or --community SLUG"),
        (["token", "create", "--organization", "Nord", "--permit", "Reportng:*"], "There is no permit 'Reportng:*'"),
        (
            ["token", "create", "--organization", "Nord", "--permit", "Profile:Delete"],
            "Profile:Erase, Transaction:Read",
        ),
        (["token", "create", "--organization", "Nord", "--permit", "Profile:*"], "by --community SLUG"),
        (["token", "rotate", "1", "--overlap", "soon"], "--overlap is 'soon'"),
        (["organization", "set", "Nobody"], "No setting given"),
        (["organization", "set", "Nobody", "--min-cell-size", "5"], "Organization 'Nobody' not found"),
        (
            ["organization", "set", "Nobody", "--reporting-rate-per-second", "-1"],
            "Allowed: 0 to 1000000",
        ),
        (["restore", "nothing.dump"], "There is no file nothing.dump"),
    ],
)
def test_wrong_use_ends_with_2_and_one_sentence(
    command: Command, on_the_server: None, words: list[str], said: str
) -> None:
    done = command(*words)
    assert done.code == 2
    assert said in done.err
    assert done.err.startswith("regulars: ")
    assert done.err.count("\n") == 1


def test_a_wrong_setting_ends_with_2(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_LOG_FORMAT", "xml")
    assert command("migrate").code == 2


def test_a_database_that_is_not_there_is_told_without_its_password(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE_URL", "postgresql://app:geheim@127.0.0.1:1/regulars")
    for words in (["community", "list"], ["migrate"], ["doctor"]):
        done = command(*words)
        assert done.code == 1
        assert "The database can't be reached" in done.out + done.err
        assert "geheim" not in done.out + done.err


def test_what_nobody_foresaw_is_one_sentence_too_and_a_traceback_where_asked_for(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data" / "postgresql").mkdir(parents=True)
    (tmp_path / "data" / "postgresql" / "PG_VERSION").write_text("9")
    done = command("migrate")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "REGULARS_LOG_LEVEL=debug shows where" in done.err
    monkeypatch.setenv("REGULARS_LOG_LEVEL", "debug")
    assert "Traceback" in command("migrate").err


def test_a_data_folder_that_is_a_file_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("migrate", "--data-dir", "file")
    said = f"regulars: {tmp_path / 'file'} is a file: --data-dir (REGULARS_DATA_DIR) names a folder.\n"
    assert (done.code, done.err) == (2, said)


def test_the_version_is_told(command: Command) -> None:
    assert command("--version").out.strip() == "0.2.0"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "regulars", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0.2.0\n")


# Communities and tokens -------------------------------------------------------------------------------------


def test_communities_are_made_and_listed(command: Command, slug: str) -> None:
    line = next(line for line in command("community", "list").out.splitlines() if f" {slug} " in line)
    assert line.split()[1:] == [slug, "The", slug, "NO", "Europe/Oslo", "NOK", "any", "but", "reserved"]


def test_a_community_that_can_not_be_made_is_told_by_its_option(command: Command, slug: str) -> None:
    done = create_community(command, slug)
    assert (done.code, done.err) == (2, "regulars: --slug is taken by another community.\n")
    done = create_community(command, "other", "--attribute", "chain")
    assert (done.code, done.err) == (2, "regulars: --attribute 'chain' is no key=value: write it as chain=Nord.\n")


def test_numbers_and_attributes_of_a_community_are_as_given(command: Command, on_the_server: None) -> None:
    done = create_community(
        command, "numbered", "--id", "4711", "--attribute", "chain=Nord", "--organization", "Nord AS"
    )
    assert done.out == "The community numbered has the id 4711.\n"


def test_a_token_is_printed_once_listed_by_its_beginning_and_revoked(command: Command, slug: str) -> None:
    made = command("token", "create", "--community", slug, "--name", "till")
    secret = made.out.strip()
    assert secret.startswith("rg_")
    assert made.err == "Keep it: it can't be shown again.\n"

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
        f"regulars: There is no token {token_id} that is valid: `regulars token list` shows them.\n",
    )


def test_a_token_of_an_organization_reaches_the_communities_it_names(command: Command, slug: str) -> None:
    owner = ["token", "create", "--organization", f"The {slug}"]
    assert command(*owner, "--customers", slug, "--permit", "Reporting:*", "--days", "-1").code == 0
    line = command("token", "list", "--organization", f"The {slug}").out.splitlines()[1]
    assert line.split()[4:10] == ["any", "any", slug, "Reporting:*", "-", "expired"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--organization", "Nobody"], "Organization 'Nobody' not found"),
        (["--community", "nowhere"], "There is no community 'nowhere'"),
        (["--organization", "The {slug}", "--customers", "nowhere"], "There is no community 'nowhere'"),
        (["--organization", "The {slug}", "--member", "M1"], "name it by --community SLUG"),
        (["--community", "{slug}", "--member", "M1"], "There is no profile M1 in {slug}"),
    ],
)
def test_a_token_for_what_is_not_there_is_refused(command: Command, slug: str, words: list[str], said: str) -> None:
    done = command("token", "create", *(word.format(slug=slug) for word in words))
    assert done.code == 2
    assert said.format(slug=slug) in done.err


def test_a_token_may_be_of_one_member(command: Command, slug: str, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text("external_id\nM1\n")
    command("load", "profiles", "members.csv", "--community", slug)
    assert command("token", "create", "--community", slug, "--member", "M1", "--permit", "Profile:Read").code == 0
    community, member, *rest = command("token", "list", "--organization", f"The {slug}").out.splitlines()[1].split()[4:]
    assert community == slug
    assert UUID(member)
    assert [*rest[:4], *rest[5:]] == ["all", "Profile:Read", "-", "valid", "never", "never"]


def test_a_token_of_a_community_may_do_all_of_the_profile_api_where_no_permits_are_named(
    command: Command, slug: str
) -> None:
    assert command("token", "create", "--community", slug).code == 0
    line = command("token", "list", "--organization", f"The {slug}").out.splitlines()[1]
    assert line.split()[7] == ",".join(FULL_PROFILE_API)


def test_a_token_is_rotated_and_the_first_one_expires(command: Command, slug: str) -> None:
    words = ["--permit", "Profile:Read", "--permit", "Transaction:Write", "--name", "till", "--days", "90"]
    first = command("token", "create", "--community", slug, *words).out.strip()

    def lines() -> list[list[str]]:
        return [each.split() for each in command("token", "list", "--organization", f"The {slug}").out.splitlines()[1:]]

    (before,) = lines()
    rotated = command("token", "rotate", before[0], "--overlap", "24h")
    assert rotated.code == 0
    assert rotated.out.startswith("rg_")
    assert rotated.out.strip() != first
    assert rotated.err == f"Keep it: it can't be shown again. Token {before[0]} expires in 24h.\n"
    new, old = lines()
    assert new[4:10] == old[4:10] == before[4:10]

    def lifetime(line: list[str]) -> timedelta:
        return datetime.fromisoformat(line[11]) - datetime.fromisoformat(line[10])

    assert lifetime(new) == timedelta(days=90)
    assert timedelta(hours=24) <= lifetime(old) < timedelta(hours=25)
    assert command("token", "rotate", new[0], "--overlap", "0s", "--days", "1").code == 0
    assert [each[9] for each in lines()] == ["valid", "expired", "valid"]
    again = command("token", "rotate", new[0])
    assert (again.code, f"There is no token {new[0]} that is valid" in again.err) == (2, True)
    missing = command("token", "rotate", "999999")
    assert (missing.code, "There is no token 999999 that is valid" in missing.err) == (2, True)


def test_a_token_is_not_made_for_the_community_of_another(command: Command, slug: str, on_the_server: None) -> None:
    create_community(command, f"{slug}-other")
    done = command("token", "create", "--community", slug, "--organization", f"The {slug}-other")
    assert (done.code, "is not of" in done.err) == (2, True)
