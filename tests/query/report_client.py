"""Requests records as the API does: takes a body, returns the response as it is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest

from clubs import START
from query.sample_reports import REGISTRY
from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.query.errors import InvalidParametersError
from regulars.query.formats.records import records
from regulars.query.parser.request import ReportRegistry, parse_query

_encoder = msgspec.json.Encoder(decimal_format="number")


def decode_result(answer: Any) -> Any:
    """An answer as a client reads it, its keys in their order."""
    return json.loads(_encoder.encode(answer))


async def query_records(
    backends: Backends,
    tenants: Sequence[Tenant],
    report: str,
    now: datetime = START,
    registry: ReportRegistry = REGISTRY,
    **body: Any,
) -> Any:
    """The answer to a query in records."""
    query = parse_query(_encoder.encode({"report": report, **body}), registry)
    return decode_result(await records(query, tenants, backends, now))


async def iter_pages(backends: Backends, tenants: Sequence[Tenant], report: str, **body: Any) -> AsyncIterator[Any]:
    """The records of one page after the other."""
    cursor = None
    while True:
        answer = await query_records(backends, tenants, report, page_info=cursor, **body)
        yield answer["records"]
        cursor = answer["pagination"]["next_page_info"]
        if cursor is None:
            return


async def all_records(backends: Backends, tenants: Sequence[Tenant], report: str, **body: Any) -> list[Any]:
    """The records of all pages."""
    return [each async for page in iter_pages(backends, tenants, report, **body) for each in page]


async def query_errors(backends: Backends, tenants: Sequence[Tenant], report: str, **body: Any) -> Any:
    """What is wrong with a query."""
    with pytest.raises(InvalidParametersError) as caught:
        await query_records(backends, tenants, report, **body)
    return caught.value.details
