"""Parsing of X-Customer, and the scope of tokens."""

from __future__ import annotations

import pytest

from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal, PrincipalKind
from regulars.auth.tenants import TenantScope, TenantSelector, parse_selector, scope_of


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("id=1000941", TenantSelector(frozenset({"1000941"}))),
        ("1000941", TenantSelector(frozenset({"1000941"}))),
        ("id=1000941_1000942", TenantSelector(frozenset({"1000941", "1000942"}))),
        ("1000941_1000942", TenantSelector(frozenset({"1000941", "1000942"}))),
        ("id=7_7_07", TenantSelector(frozenset({"7"}))),
        ("id=000", TenantSelector(frozenset({"0"}))),
        (f"id={'9' * 5000}", TenantSelector(frozenset({"9" * 5000}))),
        (" id = 7 ", TenantSelector(frozenset({"7"}))),
        ("all=all", TenantSelector()),
        ("chain=Cats", TenantSelector(None, {"chain": "Cats"})),
        ("chain=Cats;country=PL", TenantSelector(None, {"chain": "Cats", "country": "PL"})),
        ("chain=Cats ; country = PL", TenantSelector(None, {"chain": "Cats", "country": "PL"})),
        ("motto=a=b", TenantSelector(None, {"motto": "a=b"})),
        ("id=7;country=PL", TenantSelector(frozenset({"7"}), {"country": "PL"})),
        ("chain=Køff".encode().decode("latin-1"), TenantSelector(None, {"chain": "Køff"})),
        ("chain=Køff", TenantSelector(None, {"chain": "Køff"})),
        ("chain=Łódź", TenantSelector(None, {"chain": "Łódź"})),
    ],
)
def test_every_form_is_parsed(text: str, selector: TenantSelector) -> None:
    assert parse_selector(text) == selector


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ";", "=", "id", "id=", "id=a", "id=1_", "id=_1", "id=1__2", "id=1,2", "id=-1", "id=1.5", "id=１"),
        *("all", "all=", "all=no", "all=all;country=NO", "_", "1_", "chain", "chain=", "=Cats", "chain=Cats;"),
        *(";chain=Cats", "chain=Cats;chain=Dogs", "id=1;id=2", "a=\0", "id=1;all=all"),
    ],
)
def test_malformed_values_are_471(text: str) -> None:
    with pytest.raises(AccessDenied, match="X-Customer") as error:
        parse_selector(text)
    assert error.value.status == 471


def test_the_scope_is_that_of_the_token() -> None:
    assert scope_of(Principal(PrincipalKind.ORGANIZATION, 3)) == TenantScope(3)
    assert scope_of(Principal(PrincipalKind.COMMUNITY, 3, 7, customers=("a",))) == TenantScope(3, 7, ("a",))
