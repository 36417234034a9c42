"""Validation of geo requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from regulars.geo.requests import GeoAddress, PlaceSearch, parse_addresses, parse_search
from regulars.geo.towns.ranking import Point
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import InvalidJsonError


def wrong(parse: Callable[[bytes], Any], body: Any) -> dict[str, Any]:
    """What is wrong with a body, by path: the codes alone."""
    with pytest.raises(InvalidParametersError) as caught:
        parse(msgspec.json.encode(body))
    assert all(each.message.endswith(".") for found in caught.value.errors.values() for each in found)
    return {
        ".".join(map(str, path)): " ".join(each.code for each in found) for path, found in caught.value.errors.items()
    }


def test_a_search_has_defaults() -> None:
    assert parse_search(b'{"query": "oslo"}') == PlaceSearch("oslo", None, None, 10)
    body = {"query": "Łódź", "country": "pol", "near": {"lat": 51.75, "lng": -19}, "limit": 100}
    assert parse_search(msgspec.json.encode(body)) == PlaceSearch("Łódź", "PL", Point(51.75, -19.0), 100)
    nothing = {"query": "a", "country": None, "near": None, "limit": None}
    assert parse_search(msgspec.json.encode(nothing)) == PlaceSearch("a", None, None, 10)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"query": "presence"}),
        ({"query": None}, {"query": "presence"}),
        ({"query": " "}, {"query": "presence"}),
        ({"query": 7}, {"query": "not_a_string"}),
        ({"query": "x" * 10_240}, {"query": "too_long"}),
        ({"query": "a\0b"}, {"query": "invalid_characters"}),
        ({"query": "a", "country": "Atlantis"}, {"country": "inclusion"}),
        ({"query": "a", "country": ""}, {"country": "inclusion"}),
        ({"query": "a", "country": ["NO"]}, {"country": "not_a_string"}),
        ({"query": "a", "near": "Oslo"}, {"near": "must_be_an_object"}),
        ({"query": "a", "near": {}}, {"near.lat": "presence", "near.lng": "presence"}),
        ({"query": "a", "near": {"lat": "1", "lng": True}}, {"near.lat": "not_a_number", "near.lng": "not_a_number"}),
        ({"query": "a", "near": {"lat": 90.1, "lng": -181}}, {"near.lat": "inclusion", "near.lng": "inclusion"}),
        ({"query": "a", "near": {"lat": 1, "lng": 1, "alt": 1}}, {"near.alt": "unknown"}),
        ({"query": "a", "limit": 0}, {"limit": "greater_than_or_equal_to"}),
        ({"query": "a", "limit": 101}, {"limit": "less_than_or_equal_to"}),
        ({"query": "a", "limit": 1.5}, {"limit": "not_an_integer"}),
        ({"query": "a", "limit": True}, {"limit": "not_an_integer"}),
        (
            {"query": 1, "colour": 1, "limit": "1"},
            {"colour": "unknown", "query": "not_a_string", "limit": "not_an_integer"},
        ),
    ],
)
def test_all_errors_of_a_search_are_reported_by_path(body: Any, expected: dict[str, str]) -> None:
    assert wrong(parse_search, body) == expected


def test_a_number_out_of_range_is_not_a_degree() -> None:
    with pytest.raises(InvalidParametersError) as caught:
        parse_search(b'{"query": "a", "near": {"lat": 1e999999999999999999999, "lng": 1e400}}')
    assert set(caught.value.errors) == {("near", "lat"), ("near", "lng")}


def test_addresses_need_a_country_and_a_city() -> None:
    body = {
        "locations": [{"country": "NO", "city": "Oslo"}, {"country": "x", "city": "y", "postcode": "0", "state": "z"}]
    }
    assert parse_addresses(msgspec.json.encode(body)) == [GeoAddress("NO", "Oslo"), GeoAddress("x", "y", "0", "z")]
    assert parse_addresses(b'{"locations": []}') == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"locations": "presence"}),
        ({"locations": {}}, {"locations": "must_be_an_array"}),
        ({"locations": [{"country": "NO", "city": "Oslo"}] * 1_001}, {"locations": "too_long"}),
        ({"locations": ["Oslo"]}, {"locations.0": "must_be_an_object"}),
        (
            {"locations": [{"country": "NO", "city": "Oslo"}, {"city": 7, "zip": 1}], "near": 1},
            {
                "near": "unknown",
                "locations.1.zip": "unknown",
                "locations.1.country": "presence",
                "locations.1.city": "not_a_string",
            },
        ),
        (
            {"locations": [{"country": "NO", "city": "a\0", "postcode": 1, "state": "s" * 256}]},
            {
                "locations.0.city": "invalid_characters",
                "locations.0.postcode": "not_a_string",
                "locations.0.state": "too_long",
            },
        ),
    ],
)
def test_all_errors_of_addresses_are_reported_by_path(body: Any, expected: dict[str, str]) -> None:
    assert wrong(parse_addresses, body) == expected


@pytest.mark.parametrize("parse", [parse_addresses, parse_search])
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"query": "\xff"}', b'{"query": "\\ud800"}'])
def test_a_body_that_is_not_a_json_object_is_invalid(parse: Callable[[bytes], Any], body: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        parse(body)
