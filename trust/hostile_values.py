"""Hostile values, and the parts of requests that they are sent in, derived from the endpoints."""

import csv
import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Caller
from regulars.facts.registry import FACT_TYPES
from regulars.model.resource import FILTER_OPERATORS
from regulars.query.parser.filter_values import OPERATIONS
from regulars.query.parser.request import MAX_LIMIT
from regulars.reports.registry import REPORTS
from regulars.reports.report import ReportFormat
from regulars.web.endpoint import Endpoint

# The table ------------------------------------------------------------------------------------------------

NUMBERS = (
    *("0", "-0", "-1", "1.5", "1E+5", "0.1", "0." + "1" * 30, "2147483648", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
    *("1e308", "1e309", "1e400", "-1e400", "1e-400", "1e999999", "1e1000000"),
    *("1e999999999", "-1e999999999", "1e-999999999", "0e999999999", "0e-999999999", "1e99999999999999999999"),
    *("9" * 30, "9" * 400, "9" * 5_000, "NaN", "Infinity", "-Infinity", "00", "+1", ".5", "1.", "0x10", "1_000"),
)
TEXTS = (
    *("", " ", "\0", "a\0b", "x" * 256, "x" * 70_000, "\u202eevil\u202c", "\u200f\u061c", "\ufeff", "\u00a0"),
    *("İ", "ß", "ﬀ", "\U0001f600", "e" + "\u0301" * 1_000, "\uffff", "\U0010ffff", "\x7f", "\x1b[31m", "\r\n", "\t"),
    *("'; DROP TABLE profiles; --", "%", "%00", "\\", '"', "$1", "{0}", "{{7*7}}", "${jndi:ldap://x}", "<script>"),
    *("../../etc/passwd", "null", "true", "nan", "=1+1", "@SUM(1)", "١٢", "\uff11", "a" * 200 + "@" + "b." * 100),
    *("a,b", "a;b", "a|b", "[]", "{}", "[1", "http://[::1", "file:///etc/passwd", "http://x\ny", "+4700000000000000"),
)
TIMES = (
    *("0000-01-01", "0001-01-01T00:00:00+14:00", "1899-12-31T23:59:59Z", "1900-01-01T00:00:00+23:59"),
    *("2999-12-31T23:59:59.999999-23:59", "3000-01-01", "9999-12-31T23:59:59-14:00", "10000-01-01 00:00:00"),
    *("2026-02-30", "2026-13-01", "2026-12-31T23:59:60Z", "2026-10-01T24:00:00", "2026-10-01T12:00:00+99:99"),
    *("2026-10-01T12:00:00+24:00", "2026-10-01T12:00:00.1234567890123Z", "2026-W01-1", "20261001", "2026-274"),
    *("now", "infinity", "-infinity", "epoch", "12:00", "2026-03-29T02:30:00", "2026-10-01T12:00:00[Europe/Oslo]"),
)
ZONES = ("Mars/Olympus", "UTC+99", "posixrules", "Europe/Oslo\0", "Etc/GMT-14", "localtime", "right/UTC", "CET", "/")
IDS = (
    *("-1", "0", "9223372036854775808", "1" + "0" * 40, "1.0", "1e3", "٣", "00000000-0000-0000-0000-000000000000"),
    *("{00000000-0000-0000-0000-000000000000}", "urn:uuid:00000000-0000-0000-0000-000000000000", "0" * 32, "g" * 36),
)
JSON = (
    *("null", "true", "[]", "{}", '""', "[null]", "[[]]", "[{}]", '{"a":1,"a":2}', '{"":""}', '{"a":"\\u0000"}'),
    *('{"\\u0000":1}', '"\\ud800"', '"\\udfff\\ud800"', '["\\ud83d"]', '{"__proto__":{"a":1}}', '{"$ref":"#"}'),
    *("[" * 25 + "]" * 25, "[" * 900 + "]" * 900, "[" * 20_000 + "]" * 20_000, '{"a":' * 25 + "1" + "}" * 25),
    *("[" + "1," * 2_000 + "1]", "[" + "{}," * 30_000 + "{}]"),
    *('{"' + "k" * 10_000 + '":1}', '["' + "x" * 70_000 + '"]'),
    *('{"var":"a"}', '{"and":[{"var":"a"}]}', "[1", '{"a"', "'a'", "undefined", '{"amount":1e999999999}', "[1e400]"),
)


def fragments() -> tuple[str, ...]:
    """Returns every value as a fragment of JSON; some are not valid JSON."""
    texts = (*TEXTS, *TIMES, *ZONES, *IDS, *NUMBERS)
    return (*NUMBERS, *JSON, *(json.dumps(each) for each in texts))


def texts() -> tuple[str, ...]:
    """Returns every value as text, for queries, paths and cells."""
    return (*TEXTS, *TIMES, *ZONES, *IDS, *NUMBERS, *(each for each in JSON if len(each) < 3_000))


def is_json(fragment: str) -> bool:
    """Whether a body with the fragment is valid JSON."""
    try:
        msgspec.json.decode(b"[" + fragment.encode() + b"]", type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


# What is sent ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seeds:
    """Ids of objects of one organization, by the start of a path and the name of a parameter."""

    path: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class HostileRequest:
    """A request: `injection_point` is the part with the hostile value, `rows` the number of valid rows to be stored."""

    endpoint: Endpoint
    injection_point: str
    value: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0

    def __str__(self) -> str:
        shown = self.value if len(self.value) < 60 else f"{self.value[:40]}... ({len(self.value):,} characters)"
        return f"{self.endpoint.method} {self.endpoint.path}, {self.injection_point} = {shown!r}"


_HERE = "@hostile@"
_LINE = {"name": "Socks", "price_current": 50, "price_sell": 50, "quantity": 2}
_SALE = {"total": 100, "transacted_at": "2026-10-01 12:00:00", "timezone": "UTC", "items": [_LINE]}
_CLAIM = {
    "transaction_receipt_ref": "r",
    "transaction_transacted_at": "2026-10-01 12:00:00",
    "transaction_timezone": "UTC",
    "transaction_total": 1,
    "transaction_location_external_code": "L",
}
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "TransactionIn": _SALE,
    "ItemIn": _LINE,
    "ClaimIn": _CLAIM,
    "ProfileIn": {"first_name": "Kari"},
    "LocationIn": {"name": "Oslo"},
    "ProductIn": {"name": "Socks"},
    "VariantIn": {"name": "Socks"},
    "BrandIn": {"name": "Acme"},
    "AddressIn": {"city": "Oslo"},
    "IdentityIn": {"handle": "card", "identifier": "1"},
    "WebhookIn": {"trigger": "profile.created", "url": "https://example.com/hook"},
    "ProfileTypeIn": {"profile_type": "active"},
    "ProfileSearchIn": {"type": "email", "id": "a@example.com"},
    "MemberTokenIn": {"id": "00000000-0000-0000-0000-000000000001"},
    "MergeIn": {
        "source_profile_id": "00000000-0000-0000-0000-000000000001",
        "destination_profile_id": "00000000-0000-0000-0000-000000000002",
    },
    "Query": {"profile_ids": ["00000000-0000-0000-0000-000000000001"]},
}
"""A valid body of each struct with required fields."""

_BATCHES = {
    "/api/v3/locations/batch.json": ("locations", "LocationIn"),
    "/api/v3/products/batch.json": ("products", "ProductIn"),
    "/api/v3/profiles/batch.json": ("profiles", "ProfileIn"),
    "/api/v3/transactions/batch.json": ("transactions", "TransactionIn"),
}

_ROWS: Mapping[str, Mapping[str, Any]] = {
    "memberships": {"profile": "M", "type": "in", "at": "2026-10-01T12:00:00Z"},
    "sendings": {"channel": "email"},
    "sending_events": {"sending": "S", "dispatch": "D", "event": "delivered", "at": "2026-10-01T12:00:00Z"},
    "link_visits": {"url": "https://example.com/", "at": "2026-10-01T12:00:00Z"},
    "offer_events": {"offer": "O", "event": "seen", "at": "2026-10-01T12:00:00Z"},
    "transactions": {"profile": "", "transacted_at": "2026-10-01T12:00:00Z", "total": 5},
}
"""Fields of a valid row of an import in addition to its external id."""

_DESTRUCTIVE = ("/purge", "/depersonalise", "/merge", "/update-type", "/unattach")


def _is_destructive(endpoint: Endpoint) -> bool:
    return endpoint.method == "DELETE" or endpoint.path.endswith(_DESTRUCTIVE)


def _path(endpoint: Endpoint, seeds: Seeds, replaced: str = "", value: str = "") -> str:
    """Returns the path with ids of the organization, except for one part."""
    own = next((ids for start, ids in seeds.path.items() if endpoint.path.startswith(start)), {})
    path = endpoint.path
    for name in _parts(endpoint):
        text = value if name == replaced else own.get(name, "1")
        path = path.replace(f"{{{name}}}", quote(text.encode("utf-8", "surrogatepass"), safe=""))
    return path


def _parts(endpoint: Endpoint) -> list[str]:
    return [word[1:-1] for word in endpoint.path.split("/") if word.startswith("{")]


# Bodies ---------------------------------------------------------------------------------------------------


def _fields(kind: Any) -> Iterator[tuple[str, ...]]:
    """Yields the paths of a struct's fields and nested fields; `0` is the first item of a list."""
    for each in kind.fields:
        yield (each.encode_name,)
        for inner, step in _structs(each.type):
            yield from ((each.encode_name, *step, deeper.encode_name) for deeper in inner.fields)


def _structs(kind: Any, step: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    inspect = msgspec.inspect
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _structs(each, step)
    elif isinstance(kind, inspect.Metadata):
        yield from _structs(kind.type, step)
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield from _structs(kind.item_type, (*step, "0"))
    elif isinstance(kind, inspect.StructType):
        yield kind, step


def _with(body: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Returns a body with the marker at a path."""
    name, *rest = path
    if not rest:
        return {**body, name: _HERE}
    if rest[0] == "0":
        first = body[name][0] if body.get(name) else {}
        return {**body, name: [_with(first, rest[1:]) if rest[1:] else _HERE]}
    return {**body, name: _with(body.get(name) or {}, rest)}


def _written(body: object, fragment: str) -> bytes:
    return json.dumps(body).replace(json.dumps(_HERE), fragment).encode("utf-8", "surrogatepass")


def _bodies(endpoint: Endpoint) -> Iterator[tuple[str, object]]:
    """Yields bodies of an endpoint with the marker at each field in turn."""
    yield "the body", _HERE
    shape = endpoint.request_model
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        valid = _BODIES.get(shape.__name__, {})
        for path in _fields(msgspec.inspect.type_info(shape)):
            yield ".".join(path), _with(valid, path)
    elif endpoint.path.endswith("comms"):
        for name in ("email_promo", "sms_optout", "push_bounced", "email_verification"):
            yield name, {name: _HERE}


def _batches(endpoint: Endpoint) -> Iterator[tuple[str, object, int]]:
    if endpoint.path in _BATCHES:
        key, name = _BATCHES[endpoint.path]
        (shape,) = {each.request_model for each in ENDPOINTS if getattr(each.request_model, "__name__", "") == name}
        valid = dict(_BODIES[name])
        around = [{**valid, "external_id": f"kept-{number}"} for number in (1, 2)]
        yield f"{key}.1", {key: [around[0], _HERE, around[1]]}, 2
        for path in _fields(msgspec.inspect.type_info(shape)):
            yield f"{key}.1.{'.'.join(path)}", {key: [around[0], _with(valid, path), around[1]]}, 2


def _reports() -> Iterator[tuple[str, object]]:
    for report in REPORTS:
        body: dict[str, Any] = {"report": report.name}
        if report.format is not ReportFormat.RECORDS:
            body |= {"from": "2026-10-01", "to": "2026-10-02"}
        keys = {
            ReportFormat.RECORDS: ("limit", "page_info"),
            ReportFormat.TIMESERIES: ("from", "to", "interval"),
            ReportFormat.STATISTICS: ("from", "to"),
        }[report.format]
        for key in ("report", "filter", "aggregate_by", *keys):
            yield f"{report.name} {key}", {**body, key: _HERE}
        for each in report.fields:
            for operation in OPERATIONS[each.type] if each.filterable and not each.is_tenant_field else ():
                node = {"type": operation, "field": each.name, "value": _HERE}
                yield f"{report.name} {each.name} {operation}", {**body, "filter": node}
                if operation in ("in", "between"):
                    several = {**node, "value": [_HERE, _HERE]}
                    yield f"{report.name} {each.name} {operation} list", {**body, "filter": several}


_GEO: Sequence[tuple[str, str, object]] = (
    ("coordinates", "country", {"locations": [{"country": _HERE, "city": "Oslo"}]}),
    ("coordinates", "city", {"locations": [{"country": "NO", "city": _HERE}]}),
    ("coordinates", "postcode", {"locations": [{"country": "NO", "city": "Oslo", "postcode": _HERE}]}),
    ("places", "query", {"query": _HERE}),
    ("places", "country", {"query": "Oslo", "country": _HERE}),
    ("places", "near.lat", {"query": "Oslo", "near": {"lat": _HERE, "lng": 10}}),
    ("places", "limit", {"query": "Oslo", "limit": _HERE}),
    ("query", "limit", {"report": "members", "limit": _HERE, "page_info": "x" * MAX_LIMIT}),
    ("field_metadata", "field", {"report": "members", "field": _HERE}),
    ("field_metadata", "filter", {"report": "members", "field": "gender", "filter": _HERE}),
    ("field_metadata", "from", {"report": "member_balance", "field": "type", "from": _HERE, "to": "2026-10-02"}),
    ("metadata", "report", {"report": _HERE}),
)


# Everything -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InjectionPoint:
    """One place of a request that takes any value of the table: in a body, or a row of an import's entity.

    `rows` as in Sent.
    """

    endpoint: Endpoint
    name: str
    kind: str
    body: object = None
    rows: int = 0
    entity: str = ""

    def build_request(self, value: str, seeds: Seeds) -> HostileRequest:
        """Returns the request with a value in this part."""
        return _SENT[self.kind](self, value, seeds)

    @property
    def values(self) -> tuple[str, ...]:
        """Returns the hostile values for this part."""
        return fragments() if self.kind in ("body", "ndjson") else texts()


def injection_points() -> list[InjectionPoint]:
    """Returns every part of every request that accepts a value."""
    return [place for endpoint in ENDPOINTS for place in _places(endpoint)]


def _places(endpoint: Endpoint) -> Iterator[InjectionPoint]:
    if endpoint.caller is Caller.PROVIDER:
        return
    for name in _parts(endpoint):
        yield InjectionPoint(endpoint, name, "path")
    if _is_destructive(endpoint):
        return
    for name in (*endpoint.query_params, *_queries(endpoint)):
        yield InjectionPoint(endpoint, name, "query")
    if endpoint.method == "POST" and endpoint.request_model is not None:
        yield InjectionPoint(endpoint, "Idempotency-Key", "header")
    if endpoint.stream_handler is not None:
        yield from _imports(endpoint)
    elif endpoint.caller is Caller.REPORTING:
        yield InjectionPoint(endpoint, "X-Customer", "header")
        yield InjectionPoint(endpoint, "X-Loyalty-Club-Slug", "header")
        yield from (InjectionPoint(endpoint, name, "body", body) for name, body in _of_reporting(endpoint))
    elif endpoint.request_model is not None:
        yield from (InjectionPoint(endpoint, name, "body", body) for name, body in _bodies(endpoint))
        yield from (InjectionPoint(endpoint, name, "body", body, rows) for name, body, rows in _batches(endpoint))


def _of_reporting(endpoint: Endpoint) -> Iterator[tuple[str, object]]:
    if endpoint.method == "POST":
        yield "the body", _HERE
        yield from ((name, body) for end, name, body in _GEO if endpoint.path.endswith(f"/{end}"))
    if endpoint.path.endswith("/reporting/query"):
        yield from _reports()


def _queries(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.is_list and endpoint.resource is not None:
        yield from ("page[size]", "page[number]", "sort", "filter[no]", "filter")
        for each in endpoint.resource.fields:
            yield f"filter[{each.name}]"
            yield from (f"filter[{each.name}][{operator}]" for operator in (*FILTER_OPERATORS, "no"))


def _imports(endpoint: Endpoint) -> Iterator[InjectionPoint]:
    for fact_type in FACT_TYPES.loadable():
        if fact_type.schema is None or fact_type.write is None:
            continue
        names = [each.encode_name for each in msgspec.structs.fields(fact_type.schema.columns.row_type)]
        for name in names:
            yield from (InjectionPoint(endpoint, name, kind, entity=fact_type.name) for kind in ("csv", "ndjson"))


def _in_body(place: InjectionPoint, value: str, seeds: Seeds) -> HostileRequest:
    kept = place.rows if is_json(value) else 0
    content = _apart(_written(place.body, value))
    return HostileRequest(place.endpoint, place.name, value, _path(place.endpoint, seeds), content, {}, kept)


def _in_path(place: InjectionPoint, value: str, seeds: Seeds) -> HostileRequest:
    content = b"{}" if place.endpoint.request_model is not None else None
    return HostileRequest(
        place.endpoint, place.name, value, _path(place.endpoint, seeds, place.name, value[:3_000]), content
    )


def _in_query(place: InjectionPoint, value: str, seeds: Seeds) -> HostileRequest:
    path = f"{_path(place.endpoint, seeds)}?{quote(place.name, safe='')}={quote(value[:3_000].encode(), safe='')}"
    return HostileRequest(place.endpoint, place.name, value, path)


def _in_header(place: InjectionPoint, value: str, seeds: Seeds) -> HostileRequest:
    # What no client can send in a header is taken out.
    text = "".join(each for each in value[:3_000] if "\x20" < each < "\x7f" or "\xa0" < each < "\u0100") or "x"
    body = _BODIES.get(getattr(place.endpoint.request_model, "__name__", ""), {"report": "members_grouped_count"})
    content = json.dumps(body).encode() if place.endpoint.has_body else None
    return HostileRequest(place.endpoint, place.name, text, _path(place.endpoint, seeds), content, {place.name: text})


def _rows(entity: str) -> list[dict[str, Any]]:
    """Returns three rows, the second of which gets the hostile value."""
    return [{"external_id": name, **_ROWS.get(entity, {})} for name in ("kept-1", "hostile", "kept-2")]


def _in_csv(place: InjectionPoint, value: str, seeds: Seeds) -> HostileRequest:
    rows = _rows(place.entity)
    rows[1][place.name] = value
    header = list(dict.fromkeys((*rows[0], place.name)))
    file = io.StringIO()
    writer = csv.DictWriter(file, header)
    writer.writeheader()
    writer.writerows(rows)
    return _import(place, value, file.getvalue().encode(), "text/csv")


def _in_ndjson(place: InjectionPoint, value: str, seeds: Seeds) -> HostileRequest:
    rows = _rows(place.entity)
    rows[1][place.name] = _HERE
    content = b"\n".join(_written(row, value) for row in rows)
    return _import(place, value, content, "application/x-ndjson")


def _import(place: InjectionPoint, value: str, content: bytes, kind: str) -> HostileRequest:
    headers = {"Content-Type": kind}
    return HostileRequest(
        place.endpoint, f"{place.entity}.{place.name}", value, f"/v1/import/{place.entity}", _apart(content), headers, 2
    )


_numbers = itertools.count(1)


def _apart(content: bytes) -> bytes:
    """Returns the content with unique ids of the valid rows, because a transaction is created once."""
    return content.replace(b"kept-", b"kept-%d-" % next(_numbers))


_SENT = {
    "body": _in_body,
    "path": _in_path,
    "query": _in_query,
    "header": _in_header,
    "csv": _in_csv,
    "ndjson": _in_ndjson,
}
