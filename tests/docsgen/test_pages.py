"""Generated pages are up to date, and cover everything that is declared."""

import re
import runpy
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import REGISTRY
from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Caller
from regulars.core.field_type import FieldType
from regulars.docsgen import cli_page, pages, profile_api
from regulars.docsgen.markdown import anchor, table
from regulars.settings import GROUPS, Settings, variable_name
from regulars.web.endpoint import Endpoint

DOCS = Path(__file__).parent.parent.parent / "docs"
PROFILE_API = [each for each in ENDPOINTS if each.caller in (Caller.COMMUNITY, Caller.MEMBER) and each.status < 400]
COMMANDS = list(cli_page.commands())
profile_api_page = cache(profile_api.render)
OPTIONS = [(words, each) for words, command in COMMANDS for each in cli_page.arguments(command)]


def test_generated_pages_are_up_to_date() -> None:
    outdated = [path for path, text in pages.render_all().items() if (DOCS / path).read_text() != text]
    assert outdated == [], "run `make docs`"


def test_writing_pages_removes_outdated_ones_from_generated_folders_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports").mkdir()
    for path in ("reports/outdated.md", "manual.md"):
        (tmp_path / path).write_text("")
    monkeypatch.setattr(sys, "argv", ["docsgen", str(tmp_path)])
    runpy.run_module("regulars.docsgen", run_name="__main__")
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.md")}
    assert written == {*pages.render_all(), "manual.md"}


@pytest.mark.parametrize("endpoint", PROFILE_API, ids=lambda each: f"{each.method} {each.path}")
def test_the_profile_api_page_has_a_section_for_each_endpoint(endpoint: Endpoint) -> None:
    section = profile_api_page().split(f"\n### {endpoint.method} {endpoint.path}\n")[1].split("\n### ")[0]
    assert endpoint.summary in section
    assert f"`{endpoint.permit}`" in section
    assert "$ curl" in section
    for name in endpoint.query_params:
        assert f"| `{name}` | query |" in section


def test_links_within_the_profile_api_page_lead_to_a_heading() -> None:
    page = profile_api_page()
    headings = [anchor(each) for each in re.findall(r"^#+ (.+)$", page, re.MULTILINE)]
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(headings)


def test_a_table_escapes_its_cells_and_is_empty_without_rows() -> None:
    assert table(("a", "b"), [("x|y", "1\n2")]) == "| a | b |\n|---|---|\n| x\\|y | 1 2 |\n\n"
    assert table(("a",), []) == ""


@pytest.mark.parametrize("aggregation", REGISTRY.aggregations, ids=lambda each: each.name)
def test_every_value_is_documented_with_its_codes(aggregation: Aggregation) -> None:
    page = (DOCS / "values.md").read_text()
    assert page.count(f"\n| `{aggregation.name}` | {aggregation.type.aggregation_name} |") == 1
    assert aggregation.description.endswith(".")
    iso_codes = ("likely_country", "latest_shop_currency")
    assert (aggregation.type is FieldType.ENUM) == bool(aggregation.codes or aggregation.name in iso_codes)
    for code, meaning in aggregation.codes.items():
        assert page.count(f"\n| `{code}` | `{aggregation.name}` | {meaning} |") == 1


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented_in_a_group(setting: object) -> None:
    name, metadata = setting.name, setting.metadata  # type: ignore[attr-defined]
    assert metadata["group"] in GROUPS
    assert metadata["description"].endswith(".")
    page = (DOCS / "configuration.md").read_text()
    assert page.count(f"| `{name}` | `{variable_name(name)}` |") == 1


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_every_command_is_documented_with_an_example(words: tuple[str, ...], command: App) -> None:
    assert "Example: `" in command.help
    assert f"\n## regulars {' '.join(words)}\n" in (DOCS / "cli.md").read_text()


def test_every_option_has_a_description() -> None:
    incomplete = [
        f"{' '.join(words)} {option.names[0]}"
        for words, option in OPTIONS
        if not (option.parameter.help or "").endswith(".")
    ]
    assert incomplete == []
