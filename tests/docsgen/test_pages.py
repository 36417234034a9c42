"""Generated pages are up to date, and cover everything that is declared."""

import re
from pathlib import Path

import pytest

from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Caller
from regulars.docsgen import pages, profile_api
from regulars.docsgen.markdown import anchor, table
from regulars.web.endpoint import Endpoint

DOCS = Path(__file__).parent.parent.parent / "docs"
PROFILE_API = [each for each in ENDPOINTS if each.caller in (Caller.COMMUNITY, Caller.MEMBER) and each.status < 400]


@pytest.mark.parametrize("path", pages.render_all())
def test_a_generated_page_is_up_to_date(path: str) -> None:
    assert (DOCS / path).read_text() == pages.render_all()[path], "run `make docs`"


def test_writing_pages_removes_outdated_ones_from_generated_folders_only(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    for path in ("reports/outdated.md", "manual.md"):
        (tmp_path / path).write_text("")
    pages.write_all(tmp_path)
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.md")}
    assert written == {*pages.render_all(), "manual.md"}


@pytest.mark.parametrize("endpoint", PROFILE_API, ids=lambda each: f"{each.method} {each.path}")
def test_the_profile_api_page_has_a_section_for_each_endpoint(endpoint: Endpoint) -> None:
    section = profile_api.render().split(f"\n### {endpoint.method} {endpoint.path}\n")[1].split("\n### ")[0]
    assert endpoint.summary in section
    assert f"`{endpoint.permit}`" in section
    assert "$ curl" in section
    for name in endpoint.query_params:
        assert f"| `{name}` | query |" in section


def test_links_within_the_profile_api_page_lead_to_a_heading() -> None:
    page = profile_api.render()
    headings = [anchor(each) for each in re.findall(r"^#+ (.+)$", page, re.MULTILINE)]
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(headings)


def test_a_table_escapes_its_cells_and_is_empty_without_rows() -> None:
    assert table(("a", "b"), [("x|y", "1\n2")]) == "| a | b |\n|---|---|\n| x\\|y | 1 2 |\n\n"
    assert table(("a",), []) == ""
