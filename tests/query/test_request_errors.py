"""Errors of requests: one line a case in errors.txt, as body and details."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from query.case_files import check_cases
from query.sample_reports import REGISTRY
from regulars.query.errors import MAX_ERRORS, InvalidParametersError
from regulars.query.parser.request import (
    InvalidJsonError,
    parse_field_metadata_request,
    parse_metadata_request,
    parse_query,
)


def details(body: str) -> tuple[str]:
    """The errors of a body."""
    with pytest.raises(InvalidParametersError) as caught:
        parse_query(body.encode(), REGISTRY)
    return (json.dumps(caught.value.details),)


def test_all_errors_are_reported_by_path() -> None:
    check_cases("errors.txt", details)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b"7", b'"text"', b"null", b'{"report": NaN}', b'{"a": ' * 5000 + b"1" + b"}" * 5000],
    ids=lambda body: body[:12].decode(errors="replace"),
)
def test_a_body_that_is_not_a_json_object_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(InvalidJsonError, match="The body"):
        parse_query(body, REGISTRY)


def _codes(tree: Any) -> list[str]:
    if isinstance(tree, list):
        return [each["error"] for each in tree]
    return [code for each in tree.values() for code in _codes(each)]


def error_codes(body: bytes) -> list[str]:
    """The codes of all errors of a body."""
    with pytest.raises(InvalidParametersError) as caught:
        parse_query(body, REGISTRY)
    return _codes(caught.value.details)


def test_validation_stops_after_100_errors() -> None:
    body = {"report": "samples"} | {f"key{number}": 1 for number in range(200)}
    with pytest.raises(InvalidParametersError) as caught:
        parse_query(json.dumps(body).encode(), REGISTRY)
    assert caught.value.is_truncated
    assert len(_codes(caught.value.details)) == MAX_ERRORS


LEAF = '{"type":"equal","field":"name","value":"a"}'


def test_a_filter_may_have_100_nodes() -> None:
    for leaves, codes in ((99, []), (100, ["too_many_nodes"])):
        body = f'{{"report":"samples","filter":{{"type":"or","operations":[{",".join([LEAF] * leaves)}]}}}}'.encode()
        if codes:
            assert error_codes(body) == codes
        else:
            assert parse_query(body, REGISTRY).filter is not None


def test_too_many_nodes_replace_all_other_errors_of_a_filter() -> None:
    wrong = '{"type":"equal","field":"nothing","value":"a"}'
    body = f'{{"report":"samples","limit":0,"filter":{{"type":"or","operations":[{",".join([wrong] * 200)}]}}}}'
    assert sorted(error_codes(body.encode())) == ["greater_than_or_equal_to", "too_many_nodes"]


@pytest.mark.parametrize(
    ("filter_", "code"),
    [
        ("[" + ",".join([LEAF] * 25_000) + "]", "must_be_an_object"),
        ('{"type":"and","operations":[' + ",".join([LEAF] * 25_000) + "]}", "too_many_nodes"),
        ('{"type":"equal","field":"name","value":"' + "a" * 2**20 + '"}', "too_long"),
        ('{"type":"in","field":"points","value":[' + ",".join(["1"] * 2**19) + "]}", "too_long"),
        ('{"type":"equal","field":"points","value":' + "1" * 4000 + "}", "less_than_or_equal_to"),
        ('{"type":"equal","field":"score","value":1e999999999}', "not_a_number"),
        ('{"type":"equal","field":"score","value":1e99999999999999999999}', "not_a_number"),
        ('{"type":"equal","field":"score","value":0.' + "1" * 2**20 + "}", "not_a_number"),
        ('{"type":"not","operation":' * 50 + LEAF + "}" * 50, "too_deep"),
    ],
    ids=lambda text: text[:40],
)
def test_a_megabyte_of_filter_is_refused_quickly(filter_: str, code: str) -> None:
    began = time.process_time()
    assert error_codes(f'{{"report":"samples","filter":{filter_}}}'.encode()) == [code]
    assert time.process_time() - began < 2


def test_times_keep_their_offset_or_its_absence() -> None:
    body = b'{"report":"samples_stats","from":"2026-11-24T08:00:00","to":"2026-11-24T08:00:00.5+02:00"}'
    query = parse_query(body, REGISTRY)
    assert query.start is not None
    assert query.end is not None
    assert query.start.tzinfo is None
    assert query.end.isoformat() == "2026-11-24T08:00:00.500000+02:00"


def test_auto_means_no_explicit_interval() -> None:
    body = b'{"report":"samples_history","from":"2026-11-23","to":"2026-11-24","interval":"%s"}'
    assert parse_query(body % b"auto", REGISTRY).interval is None
    chosen = parse_query(body % b"1mo", REGISTRY).interval
    assert chosen is not None
    assert chosen.code == "1mo"


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ('{"report":"nothing"}', ["inclusion"]),
        ('{"report":"samples","format":"csv"}', ["unknown"]),
    ],
)
def test_metadata_of_an_unknown_report_are_refused(body: str, codes: list[str]) -> None:
    with pytest.raises(InvalidParametersError) as caught:
        parse_metadata_request(body.encode(), REGISTRY)
    assert _codes(caught.value.details) == codes


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"report":null}'])
def test_metadata_without_a_report_are_those_of_all_reports(body: bytes) -> None:
    assert parse_metadata_request(body, REGISTRY) is None


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("{}", ["presence"]),
        ('{"report":"samples"}', ["presence"]),
        ('{"report":"samples","field":"nothing"}', ["inclusion"]),
        ('{"report":"samples","field":7}', ["inclusion"]),
        ('{"report":"samples","field":"note"}', ["not_filterable"]),
        ('{"report":"samples","field":"community_id"}', ["not_filterable"]),
        ('{"report":"samples","field":"properties.\\u0000"}', ["invalid_characters"]),
        ('{"report":"samples","field":"size","limit":7,"from":"2026-11-24"}', ["unknown", "unknown"]),
        ('{"report":"samples","field":"size","filter":7}', ["must_be_an_object"]),
        ('{"report":"samples_stats","field":"size"}', ["presence", "presence"]),
    ],
)
def test_field_metadata_need_a_filterable_field(body: str, codes: list[str]) -> None:
    with pytest.raises(InvalidParametersError) as caught:
        parse_field_metadata_request(body.encode(), REGISTRY)
    assert _codes(caught.value.details) == codes
