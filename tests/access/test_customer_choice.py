"""What X-Customer says, and what a token reaches."""

from __future__ import annotations

import pytest

from regulars.access.customers import Choice, Reach, choice, reach
from regulars.access.denied import Denied
from regulars.access.principals import Principal, PrincipalKind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id=1000941", Choice(frozenset({"1000941"}))),
        ("1000941", Choice(frozenset({"1000941"}))),
        ("id=1000941_1000942", Choice(frozenset({"1000941", "1000942"}))),
        ("1000941_1000942", Choice(frozenset({"1000941", "1000942"}))),
        ("id=7_7_07", Choice(frozenset({"7"}))),
        ("id=000", Choice(frozenset({"0"}))),
        (f"id={'9' * 5000}", Choice(frozenset({"9" * 5000}))),
        (" id = 7 ", Choice(frozenset({"7"}))),
        ("all=all", Choice()),
        ("chain=Cats", Choice(None, {"chain": "Cats"})),
        ("chain=Cats;country=PL", Choice(None, {"chain": "Cats", "country": "PL"})),
        ("chain=Cats ; country = PL", Choice(None, {"chain": "Cats", "country": "PL"})),
        ("motto=a=b", Choice(None, {"motto": "a=b"})),
        ("id=7;country=PL", Choice(frozenset({"7"}), {"country": "PL"})),
        ("chain=Køff".encode().decode("latin-1"), Choice(None, {"chain": "Køff"})),
        ("chain=Køff", Choice(None, {"chain": "Køff"})),
        ("chain=Łódź", Choice(None, {"chain": "Łódź"})),
    ],
)
def test_every_form_is_understood(text: str, said: Choice) -> None:
    assert choice(text) == said


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ";", "=", "id", "id=", "id=a", "id=1_", "id=_1", "id=1__2", "id=1,2", "id=-1", "id=1.5", "id=１"),
        *("all", "all=", "all=no", "all=all;country=NO", "_", "1_", "chain", "chain=", "=Cats", "chain=Cats;"),
        *(";chain=Cats", "chain=Cats;chain=Dogs", "id=1;id=2", "a=\0", "id=1;all=all"),
    ],
)
def test_what_is_malformed_is_471(text: str) -> None:
    with pytest.raises(Denied, match="X-Customer") as denied:
        choice(text)
    assert denied.value.status == 471


def test_a_token_s_reach_is_what_it_was_given() -> None:
    assert reach(Principal(PrincipalKind.ORGANIZATION, 3)) == Reach(3)
    assert reach(Principal(PrincipalKind.COMMUNITY, 3, 7, customers=("a",))) == Reach(3, 7, ("a",))
