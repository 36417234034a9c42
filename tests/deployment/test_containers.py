"""The files for containers agree with the documentation, the settings and each other."""

from __future__ import annotations

import re

import yaml

from deployment.documented_commands import block
from documentation.pages import ROOT
from regulars import settings

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
ROLES = (ROOT / "deploy" / "create-roles.sh").read_text()


def test_the_roles_of_the_container_are_those_of_the_deployment_page() -> None:
    (statements,) = re.findall(r"<<'SQL'\n(.*?)SQL\n", ROLES, re.DOTALL)
    for number, role in enumerate(("owner", "app", "backup"), 1):
        statements = statements.replace(f":'{role}_password'", f"'PASSWORD-{number}'")
    assert statements == block("roles")


def test_the_database_gets_every_password_that_its_script_needs() -> None:
    needed = set(re.findall(r'"\$(\w+_PASSWORD)"', ROLES))
    assert needed
    assert needed <= set(COMPOSE["services"]["database"]["environment"])
    assert (ROOT / "deploy" / "create-roles.sh").stat().st_mode & 0o111


def test_variables_of_containers_are_settings() -> None:
    known = {settings.variable_name(name) for name in settings.Settings.__dataclass_fields__}
    image = set(re.findall(r"REGULARS_[A-Z_]+", (ROOT / "Dockerfile").read_text()))
    services = {name for each in ("migrate", "server") for name in COMPOSE["services"][each]["environment"]}
    assert image | services <= known


def test_the_server_of_the_image_runs_as_a_user_without_rights() -> None:
    instructions = (ROOT / "Dockerfile").read_text().splitlines()
    assert instructions.index("USER regulars") < instructions.index('CMD ["regulars", "serve"]')


def test_the_migration_has_the_owner_s_role_and_the_server_has_not() -> None:
    assert "REGULARS_MIGRATION_DATABASE_URL" in COMPOSE["services"]["migrate"]["environment"]
    assert "REGULARS_MIGRATION_DATABASE_URL" not in COMPOSE["services"]["server"]["environment"]
