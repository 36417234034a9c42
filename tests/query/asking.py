"""Asking for records the way the API does: a body in, an answer as it goes out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest

from clubs import START
from query.declared import REGISTRY
from regulars.access.customers import Customer
from regulars.query.execution import Stores
from regulars.query.problems import InvalidParametersError
from regulars.query.records import records
from regulars.query.request import Registry, parse

_encoder = msgspec.json.Encoder(decimal_format="number")


def outside(answer: Any) -> Any:
    """An answer as a client reads it, its keys in their order."""
    return json.loads(_encoder.encode(answer))


async def ask(
    stores: Stores,
    customers: Sequence[Customer],
    report: str,
    now: datetime = START,
    registry: Registry = REGISTRY,
    **body: Any,
) -> Any:
    """The answer to a query in records."""
    query = parse(_encoder.encode({"report": report, **body}), registry)
    return outside(await records(query, customers, stores, now))


async def pages(stores: Stores, customers: Sequence[Customer], report: str, **body: Any) -> AsyncIterator[Any]:
    """The records of one page after the other."""
    cursor = None
    while True:
        answer = await ask(stores, customers, report, page_info=cursor, **body)
        yield answer["records"]
        cursor = answer["pagination"]["next_page_info"]
        if cursor is None:
            return


async def everything(stores: Stores, customers: Sequence[Customer], report: str, **body: Any) -> list[Any]:
    """The records of all pages."""
    return [each async for page in pages(stores, customers, report, **body) for each in page]


async def refused(stores: Stores, customers: Sequence[Customer], report: str, **body: Any) -> Any:
    """What is wrong with a query."""
    with pytest.raises(InvalidParametersError) as caught:
        await ask(stores, customers, report, **body)
    return caught.value.details
