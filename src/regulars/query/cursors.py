"""Cursors: where a page of records ended, signed, and good for the same question alone."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from regulars.auth.tenants import Tenant
from regulars.query.errors import InvalidParametersError, invalid_parameter
from regulars.query.parser import filters
from regulars.query.query import ReportQuery
from regulars.reports.report import FieldType, ReportField

_MAC_BYTES = 16
_TYPES: dict[FieldType, Any] = {FieldType.TIMESTAMP: datetime, FieldType.DATE: date, FieldType.NUMBER: Decimal}


def query_fingerprint(query: ReportQuery, customers: Sequence[Tenant]) -> bytes:
    """What a cursor is good for: the report, its filter with the values, the grouping and the customers."""
    aggregation = query.aggregate_by.name if query.aggregate_by is not None else None
    asked = [
        query.report.name,
        query.report.key,
        aggregation,
        filters.canonical_form(query.filter),
        sorted(each.community_id for each in customers),
    ]
    return hashlib.sha256(msgspec.json.encode(asked)).digest()


def encode(position: Sequence[Any], asked: bytes, key: bytes) -> str:
    """The cursor behind a position, values of the fields that order the answer."""
    place = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(_mac(place, asked, key) + place).decode().rstrip("=")


def decode(cursor: str, asked: bytes, key: bytes) -> list[Any]:
    """The position that a cursor was made from, times and decimals as texts.

    Raises InvalidParametersError for one that was changed, or that belongs to another question.
    """
    content = _content(cursor)
    mac, place = content[:_MAC_BYTES], content[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(place, asked, key)):
        raise _refused()
    found: list[Any] = msgspec.json.decode(place)
    return found


def restore_types(values: Sequence[Any], fields: Sequence[ReportField]) -> list[Any]:
    """Values of fields as they were before they were written into a cursor."""
    return [
        value if value is None or each.type not in _TYPES else msgspec.convert(value, _TYPES[each.type], strict=False)
        for value, each in zip(values, fields, strict=True)
    ]


def _mac(place: bytes, asked: bytes, key: bytes) -> bytes:
    return hmac.digest(key, asked + place, "sha256")[:_MAC_BYTES]


def _content(cursor: str) -> bytes:
    try:
        found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused() from None
    # Bits that stand for nothing must be as they were written, too.
    if base64.urlsafe_b64encode(found).decode().rstrip("=") != cursor:
        raise _refused()
    return found


def _refused() -> InvalidParametersError:
    message = "Must be the next_page_info of an answer to the same report, filter, aggregate_by and customers."
    return invalid_parameter(("page_info",), "unknown", message)
