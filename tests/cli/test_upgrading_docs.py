"""The commands of docs/upgrading.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import migrated_store
from cli.conftest import Command, create_community
from regulars.storage import embedded
from regulars.storage.migrate import SchemaError, require_upgradable

PAGE = Path(__file__).parent.parent.parent / "docs" / "upgrading.md"


def test_the_commands_back_up_migrate_verify_and_restore(
    command: Command, folder_of_a_server: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REGULARS_DATA_DIR", str(folder_of_a_server / "data"))
    migrated_store.copy_to(folder_of_a_server / "data")
    # A server that runs anyway, so that no command starts and stops one.
    with embedded.run_server(folder_of_a_server / "data"):
        create_community(command, "nord")
        commands = re.findall(r"^ *\$ regulars (.+)$", PAGE.read_text(), re.MULTILINE)
        backup, migrate, verify, restore = (command(*each.split()) for each in commands)
    assert backup.out.startswith("before-upgrade.dump: ")
    assert migrate.out == "The database is up to date.\n"
    assert verify.out == "nord: 0 profiles, 0 differences\n"
    assert restore.out == "before-upgrade.dump is restored (communities: 1).\n"


def test_the_message_about_an_old_schema_is_quoted_as_it_is() -> None:
    with pytest.raises(SchemaError) as caught:
        require_upgradable({}, has_yoyo_tables=True)
    (quoted,) = re.findall(r"^```\n(.+)\n```$", PAGE.read_text(), re.MULTILINE)
    assert str(caught.value).startswith(quoted)
