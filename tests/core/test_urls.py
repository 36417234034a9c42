"""Parsing of URLs."""

from __future__ import annotations

import pytest

from regulars.core.urls import MAX_PATH_LENGTH, ParsedUrl, normalize_host, normalize_path, parse_url

NO_UTM = (None,) * 5
NO_URL = "must be a URL with a host, such as https://shop.example/autumn?utm_source=mail"
NO_HOST = "must be the name of a host, such as shop.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Shop.Example:8443/A%20b;c?x=1#top", ParsedUrl("shop.example", "/A%20b;c", NO_UTM)),
        ("https://user:secret@shop.example./", ParsedUrl("shop.example", "/", NO_UTM)),
        ("https://bücher.example", ParsedUrl("xn--bcher-kva.example", "/", NO_UTM)),
        ("https://xn--bcher-kva.example", ParsedUrl("xn--bcher-kva.example", "/", NO_UTM)),
        ("https://faß.example", ParsedUrl("xn--fa-hia.example", "/", NO_UTM)),
        ("HTTP://BÜCHER.example/Ä", ParsedUrl("xn--bcher-kva.example", "/Ä", NO_UTM)),
        ("//my_shop.example/x", ParsedUrl("my_shop.example", "/x", NO_UTM)),
        ("myapp://offers/42", ParsedUrl("offers", "/42", NO_UTM)),
        ("http://[2001:DB8::1]/", ParsedUrl("2001:db8::1", "/", NO_UTM)),
        (
            "https://a.example/?utm_term=5&utm_source=s+%26+s&utm_medium=%C3%A5&utm_campaign=c&utm_content=%FF%2B",
            ParsedUrl("a.example", "/", ("s & s", "å", "c", "\ufffd+", "5")),
        ),
        (
            "https://a.example/?utm_source=1&utm_source=2&utm_medium=",
            ParsedUrl("a.example", "/", ("1", None, None, None, None)),
        ),
        ("https://a.example/?UTM_SOURCE=1&utm_sourced=2&&&=", ParsedUrl("a.example", "/", NO_UTM)),
    ],
)
def test_a_url_is_parsed(text: str, expected: ParsedUrl) -> None:
    assert parse_url(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NO_URL),
        ("shop.example/boots", NO_URL),
        ("mailto:a@b.example", NO_URL),
        ("https:///boots", NO_URL),
        ("http://[bad/", NO_URL),
        ("https://a..b/", NO_HOST),
        ("https://a b/", NO_HOST),
        ("https://" + "ü" * 64 + ".example", NO_HOST),
        ("https://" + "x" * 64 + ".example", NO_HOST),
        ("https://a.example/\0", "must not hold a NUL character"),
        ("https://a.example/?utm_term=%00", "must not hold a NUL character"),
        ("https://a.example/?utm_term=" + "%C3%A5" * 256, "has a utm_term of more than 255 characters"),
        ("https://a.example/" + "x" * MAX_PATH_LENGTH, "has a path of more than 2048 characters"),
    ],
)
def test_an_invalid_url_is_rejected_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace("?", r"\?")):
        parse_url(text)


def test_a_path_of_the_maximum_length_is_accepted() -> None:
    assert parse_url("https://a.example/" + "x" * (MAX_PATH_LENGTH - 1)).path == "/" + "x" * (MAX_PATH_LENGTH - 1)


def test_a_host_is_normalized_as_in_the_domain_name_system() -> None:
    assert [normalize_host(each) for each in ("A.example.", "[::1]", "127.0.0.1")] == ["a.example", "::1", "127.0.0.1"]
    with pytest.raises(ValueError, match="must be at most 253 characters"):
        normalize_host("x." * 127 + "xx")


def test_a_path_has_no_query_and_no_fragment() -> None:
    assert [normalize_path(each) for each in ("/a?b#c", "/a#b?c", "", "?x", "a")] == ["/a", "/a", "/", "/", "a"]
