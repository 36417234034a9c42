"""A client generated from the OpenAPI document has all endpoints, type-checks, and works."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from regulars.api.registry import ENDPOINTS
from regulars.auth import tokens
from regulars.clock import system_clock
from regulars.storage.database import Database
from regulars.web.openapi import openapi_document
from system.server_process import community_with_token, run_server

BIN = Path(sys.executable).parent
CALLS = Path(__file__).parent / "client_calls.py"


def generate(folder: Path) -> str:
    """Generates the package regulars_client in a folder, and returns the warnings."""
    document, config = folder / "openapi.json", folder / "config.yml"
    document.write_bytes(msgspec.json.encode(openapi_document(ENDPOINTS)))
    config.write_text("post_hooks: []\n")
    options = ["--path", document, "--config", config, "--meta", "none", "--output-path", folder / "regulars_client"]
    command = [str(each) for each in (BIN / "openapi-python-client", "generate", *options)]
    return subprocess.check_output(command, stderr=subprocess.STDOUT, text=True)


async def reporting_token(database_url: str, organization_id: int) -> str:
    async with Database(database_url, 1) as database, database.unscoped_connection() as connection:
        new = tokens.NewToken(organization_id, "reports", permits=("Reporting:*",))
        return await tokens.create(connection, new, system_clock())


def test_a_generated_client_has_all_endpoints_type_checks_and_works(
    data_folder: Path, request: pytest.FixtureRequest
) -> None:
    warnings = generate(data_folder)
    # Nothing is left out but two media types and one, for which another is documented.
    assert set(re.findall(r"^(?:Unsupported|Cannot|Invalid|Could|Unable|Attempted).*", warnings, re.MULTILINE)) == {
        "Unsupported content type application/x-ndjson",
        "Unsupported content type text/csv",
        "Unsupported content type text/plain",
    }, warnings
    modules = [each for each in data_folder.glob("regulars_client/api/*/*.py") if each.name != "__init__.py"]
    assert len(modules) == sum(each.status < 400 for each in ENDPOINTS)
    shutil.copy(CALLS, data_folder)
    options = ("--strict", "--disable-error-code", "redundant-cast", "--cache-dir", os.devnull)
    # The calls with the types of the modules that they import; in a long run all modules as well.
    is_long = request.config.getoption("--long")
    checked = ["client_calls.py", *(["regulars_client"] if is_long else ["--follow-imports", "silent"])]
    checking = subprocess.Popen(
        [BIN / "mypy", *options, *checked],
        cwd=data_folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run_server(data_folder, workers=1) as server:
        community, token = asyncio.run(community_with_token(server.database_url))
        tokens_of_reports = asyncio.run(reporting_token(server.database_url, community.organization_id))
        command = [sys.executable, "client_calls.py", server.url, token, tokens_of_reports]
        called = subprocess.run(command, cwd=data_folder, capture_output=True, text=True)
        assert called.returncode == 0, called.stderr
    found, _ = checking.communicate()
    assert checking.returncode == 0, found
