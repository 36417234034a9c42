"""Signed cursors: the position at which a page of records ended, valid for the same query only."""

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
from regulars.core.field_type import FieldType
from regulars.query.errors import InvalidParametersError, invalid_parameter
from regulars.query.parser import filters
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportField

_MAC_BYTES = 16
_TYPES: dict[FieldType, Any] = {FieldType.TIMESTAMP: datetime, FieldType.DATE: date, FieldType.NUMBER: Decimal}


def query_fingerprint(query: ReportQuery, tenants: Sequence[Tenant]) -> bytes:
    """The query that a cursor is valid for: report, filter with values, grouping and tenants, as a hash."""
    aggregation = query.aggregate_by.name if query.aggregate_by is not None else None
    identity = [
        query.report.name,
        query.report.key,
        aggregation,
        filters.canonical_form(query.filter),
        sorted(each.community_id for each in tenants),
    ]
    return hashlib.sha256(msgspec.json.encode(identity)).digest()


def encode(position: Sequence[Any], fingerprint: bytes, key: bytes) -> str:
    """Encodes a position, the sort key of the last record, as a signed cursor."""
    payload = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(_mac(payload, fingerprint, key) + payload).decode().rstrip("=")


def decode(cursor: str, fingerprint: bytes, key: bytes) -> list[Any]:
    """Decodes a cursor to its position, with times and decimals as strings.

    Raises InvalidParametersError for a cursor that was modified or belongs to another query.
    """
    content = _content(cursor)
    mac, payload = content[:_MAC_BYTES], content[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(payload, fingerprint, key)):
        raise _invalid_cursor()
    found: list[Any] = msgspec.json.decode(payload)
    return found


def restore_types(values: Sequence[Any], fields: Sequence[ReportField]) -> list[Any]:
    """Converts the values of a decoded position back to the types of their fields."""
    return [
        value if value is None or each.type not in _TYPES else msgspec.convert(value, _TYPES[each.type], strict=False)
        for value, each in zip(values, fields, strict=True)
    ]


def _mac(payload: bytes, fingerprint: bytes, key: bytes) -> bytes:
    return hmac.digest(key, fingerprint + payload, "sha256")[:_MAC_BYTES]


def _content(cursor: str) -> bytes:
    try:
        found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid_cursor() from None
    # Unused trailing bits must be unchanged, too: base64 ignores them.
    if base64.urlsafe_b64encode(found).decode().rstrip("=") != cursor:
        raise _invalid_cursor()
    return found


def _invalid_cursor() -> InvalidParametersError:
    message = (
        "Invalid cursor. "
        "Must be the next_page_info of a response to the same report, filter, aggregate_by and customers."
    )
    return invalid_parameter(("page_info",), "unknown", message)
