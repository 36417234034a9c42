"""The catalogues of texts: every text of the pages has a translation, and none is left over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

import regulars.charts
import regulars.dashboard
from regulars.dashboard.page import Section
from regulars.dashboard.registry import PAGES
from regulars.dashboard.translations import choose, locales, read_catalogues

FOLDER = Path(regulars.dashboard.__file__).parent
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "translatable": None}
# Charts have texts of their own, which the page translates.
CHARTS = Path(regulars.charts.__file__).parent
CHART_KEYWORDS = {"translate": None, "translatable": None, "words": None}


def messages() -> Iterator[tuple[str, str]]:
    """The texts of the pages, each with the file that it is in."""
    options = {"templates/**.html": {"trimmed": "true", "silent": "false"}}
    for file, _line, message, _comments, _context in extract_from_dir(str(FOLDER), METHODS, options, keywords=KEYWORDS):
        yield file, message[0] if isinstance(message, tuple) else message
    for file, _line, message, _comments, _context in extract_from_dir(
        str(CHARTS), [("**.py", "python")], keywords=CHART_KEYWORDS
    ):
        yield file, str(message)
    for page in PAGES:
        yield "registry.py", page.title
    for section in Section:
        if section.value:
            yield "page.py", section.value


@pytest.mark.parametrize("code", [each for each in locales() if each != "en"])
def test_every_text_has_a_translation_and_no_translation_is_left_over(code: str) -> None:
    texts = {text for _, text in messages()}
    translated = {_forms(each.id)[0] for each in read_catalogues(code) if all(_forms(each.string))}
    assert {text for text in texts if text not in translated} == set()
    assert {text for text in translated if text not in texts} == set()


@pytest.mark.parametrize("code", [each for each in locales() if each != "en"])
def test_a_translation_has_the_same_placeholders(code: str) -> None:
    for message in read_catalogues(code):
        expected = _placeholders(_forms(message.id)[-1])
        assert _placeholders(_forms(message.string)[-1]) == expected, message.id


def _forms(text: object) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, tuple | list) else (str(text or ""),)


def _placeholders(text: str) -> set[str]:
    return {each.partition(")")[0] for each in text.split("%(")[1:]}


@pytest.mark.parametrize(
    ("preferred", "accepted", "code"),
    [
        ("nb", "en", "nb"),
        ("", "nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        ("", "no", "nb"),
        ("", "nn-NO", "nb"),
        ("xx", "de-DE, en-US", "en"),
        ("", "", "en"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_first_that_the_browser_accepts(
    preferred: str, accepted: str, code: str
) -> None:
    assert choose(preferred, accepted).code == code
