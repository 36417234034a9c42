"""The outermost middleware: malformed requests, public URLs, and the headers of every response."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import structlog

from api.transaction_client import V3, create_transaction, sale
from clubs import Club, Headers, send_raw, send_truncated
from regulars.auth import tokens
from regulars.auth.tokens import NewToken
from regulars.settings import SettingError, Settings
from regulars.web.public_address import PublicAddress
from regulars.web.router import Router

HOST = (b"host", b"test")
PAGES = (b"/metrics", b"/api/docs", b"/api/openapi.json")


# Paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_has_no_other_path(club: Club, page: bytes) -> None:
    assert (await send_raw(club, "GET", page)).status_code == 200
    first = b"%%%02x" % page[1]
    for other in (
        b"/" + page,
        b"//" + page,
        b"/%2f" + page[1:],
        b"/%2F" + page,
        b"/" + first + page[2:],
        page + b"/",
        page + b"//",
        page + b";a=b",
        page + b"%20",
        b"/api/v3" + page,
        b"/a%2f..%2f" + page[1:],
    ):
        assert (await send_raw(club, "GET", other)).status_code in (404, 307), other


@pytest.mark.parametrize(
    "path",
    [
        b"/api/../metrics",
        b"/api/%2e%2E/metrics",
        b"/./metrics",
        b"/metrics/..",
        b"/api\\v3\\profiles",
        b"/api/v3/profiles/%00",
        b"/api/v3/profiles/%ff",
        b"/api/v3/profiles/\xff",
        b"/api/v3/profiles/%c0%af",
        b"/api/v3/profiles/%zz",
        b"/api/v3/profiles/%",
        b"/api/v3/profiles/\x01",
        b"metrics",
        b"",
        b"*",
    ],
)
async def test_an_ambiguous_path_is_malformed(club: Club, path: bytes) -> None:
    answer = await send_raw(club, "GET", path)
    assert (answer.status_code, list(answer.json())) == (400, ["message"])


@pytest.mark.parametrize(
    "external_id", ["till/7", "50%", "%41", "%2541", "a b", "é", "a;b", "a\\b", "a//b", "...", "+"]
)
async def test_a_path_segment_is_decoded_once(club: Club, external_id: str) -> None:
    await create_transaction(club, sale(external_id=external_id))
    answer = await club.http.get(f"{V3}/transactions/external/{quote(external_id, safe='')}")
    assert (answer.status_code, answer.json()["data"]["external_id"]) == (200, external_id)


async def test_a_query_parameter_is_decoded_once(club: Club) -> None:
    for external_id in ("%41", "A"):
        await create_transaction(club, sale(external_id=external_id))
    answer = await club.http.get(f"{V3}/transactions?filter[external_id]=%2541")
    assert [each["external_id"] for each in answer.json()["data"]] == ["%41"]


async def test_repeated_slashes_count_as_one_for_endpoints(club: Club) -> None:
    assert (await send_raw(club, "GET", b"//api///v3/profiles")).status_code == 200
    assert (await send_raw(club, "GET", b"/api/v3%2fprofiles")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/api/v3/profiles/17", "DELETE, GET, HEAD, PUT"),
        ("PATCH", "/api/v3/profiles/merge", "DELETE, GET, HEAD, POST, PUT"),
        ("GET", "/api/v3/transactions/queue/17", None),
        ("POST", "/api/v3/profiles/17/aggregations", "GET, HEAD"),
        ("OPTIONS", "/api/v3/profiles/17/aggregations", "GET, HEAD"),
        ("DELETE", "/v1/reporting/query", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("OPTIONS", "/api/health", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_allowed_is_405_with_the_allowed_methods(
    club: Club, method: str, path: str, allowed: str | None
) -> None:
    answer = await club.http.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (405 if allowed else 404, allowed)


# Hosts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"regulars.example:8443")], 200),
        ([(b"host", b"[::1]:8080")], 200),
        ([], 400),
        ([(b"host", b"")], 400),
        ([HOST, HOST], 400),
        ([(b"host", b"a b")], 400),
        ([(b"host", b"a@b")], 400),
        ([(b"host", b"a/metrics?")], 400),
        ([(b"host", b"a" * 300)], 400),
        ([(b"host", b"a:port")], 400),
        ([HOST, (b"transfer-encoding", b"chunked")], 200),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], 501),
        ([HOST, (b"authorization", b"Bearer a"), (b"x-client-authorization", b"b")], 200),
        ([HOST, (b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], 400),
        ([HOST, (b"x-client-authorization", b"a"), (b"x-client-authorization", b"a")], 400),
    ],
)
async def test_a_request_with_several_hosts_credentials_or_lengths_is_rejected(
    club: Club, headers: Headers, status: int
) -> None:
    assert (await send_raw(club, "GET", b"/api/health", headers)).status_code == status


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example, club.example"}


@pytest.mark.parametrize(
    ("settings", "headers", "origin"),
    [
        ({}, FORWARDED, "http://test"),
        ({"public_url": "https://club.example/regulars/"}, FORWARDED, "https://club.example/regulars"),
        ({"trusted_proxies": "10.0.0.0/8, ::1/128"}, FORWARDED, "http://test"),
        ({"trusted_proxies": "10.0.0.0/8, 127.0.0.0/8"}, FORWARDED, "https://club.example"),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "ftp", "X-Forwarded-Host": "a b"}, "http://test"),
    ],
)
async def test_links_use_the_public_url_and_the_headers_of_trusted_proxies(
    club: Club, settings: dict[str, Any], headers: dict[str, str], origin: str
) -> None:
    club.server.public_address = PublicAddress(Settings(**settings))
    answer = (await club.http.get("/api/v3/brands", headers=headers)).json()
    links = [answer["meta"]["path"], answer["links"]["first"], answer["meta"]["links"][1]["url"]]
    assert [each.partition("?")[0] for each in links] == [f"{origin}/api/v3/brands"] * 3
    sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    moved = await send_raw(club, "GET", b"/api/v3/brands/?sort=name", [HOST, *sent])
    assert (moved.status_code, moved.headers["location"]) == (307, f"{origin}/api/v3/brands?sort=name")


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("203.0.113.9", "a.example"),
        ("10.0.0.1", "club.example"),
        ("::ffff:10.0.0.1", "club.example"),
        ("unknown", "a.example"),
        ("", "a.example"),
    ],
)
def test_forwarded_headers_are_read_from_trusted_proxies_only(peer: str, host: str) -> None:
    headers = [(b"host", b"a.example"), (b"x-forwarded-host", b"club.example")]
    scope = {"scheme": "http", "client": (peer, 1), "headers": headers}
    assert PublicAddress(Settings(trusted_proxies="10.0.0.0/8")).origin(scope) == f"http://{host}"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"public_url": "club.example"}, "public_url is 'club.example', which is not a valid server URL"),
        ({"public_url": "ftp://club.example"}, "not a valid server URL"),
        ({"public_url": "https://club.example?a=1"}, "not a valid server URL"),
        ({"public_url": "https://user@club.example"}, "not a valid server URL"),
        ({"public_url": "https://club.example/a b"}, "not a valid server URL"),
        ({"trusted_proxies": "10.0.0.1/8"}, "trusted_proxies is '10.0.0.1/8', which is invalid"),
        ({"trusted_proxies": "proxy.example"}, "Example: 10.0.0.0/8"),
    ],
)
def test_invalid_address_settings_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        PublicAddress(Settings(**settings))


# Answers --------------------------------------------------------------------------------------------------------


async def test_every_response_has_security_headers(club: Club) -> None:
    profile = (await club.http.post(f"{V3}/profiles", json={})).json()["data"]["id"]
    quick = f"{V3}/profiles/{profile}/aggregations"
    for _ in range(2):
        assert (await club.http.get(quick)).status_code == 200
    answers = [await club.http.get(path) for path in (quick, f"{V3}/profiles", "/api/health", "/metrics", "/nowhere")]
    answers += [await club.http.post("/v1/reporting/query"), await club.http.get("/api/v3/profiles/%ff")]
    answers += [await send_raw(club, "GET", b"/api/health", []), await club.http.patch("/api/v3/profiles")]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["server"] == "regulars"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "strict-transport-security" not in answer.headers
    page = (await club.http.get("/api/docs")).headers
    assert "frame-ancestors 'none'" in page["content-security-policy"]
    assert "script-src 'none'" not in page["content-security-policy"]
    assert page["cache-control"] == "no-store"


async def test_clients_over_tls_get_strict_transport_security(club: Club) -> None:
    for url, expected in (("https://club.example", "max-age=31536000"), ("http://club.example", None)):
        club.server.public_address = PublicAddress(Settings(public_url=url))
        answer = await send_raw(club, "GET", b"/api/health")
        assert answer.headers.get("strict-transport-security") == expected


async def test_an_unexpected_error_is_logged_and_is_500_with_security_headers(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Router, "__call__", broken)
    with structlog.testing.capture_logs() as logged:
        answer = await send_raw(club, "GET", b"/api/v3/profiles")
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal server error. It has been logged."})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [each["event"] for each in logged] == ["request.failed"]


# Bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v3/profiles"),
        ("PUT", "/api/v3/profiles/00000000-0000-0000-0000-000000000001"),
        ("POST", "/api/v3/locations"),
        ("POST", "/api/v3/transactions/batch.json"),
    ],
)
async def test_an_empty_body_creates_nothing(club: Club, method: str, path: str) -> None:
    for body in ("", " "):
        answer = await club.http.request(method, path, content=body)
        assert answer.status_code == 400
    assert (await club.http.get("/api/v3/profiles")).json()["data"] == []
    assert (await club.http.get("/api/v3/locations")).json()["data"] == []


@pytest.mark.parametrize("path", ["/api/v3/profiles", "/api/v3/transactions", "/id/api/v1/auth/token"])
async def test_a_truncated_body_creates_nothing_and_is_one_log_line(club: Club, path: str) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await send_truncated(club, "POST", path, b'{"first_name": "Kari"}')
    assert answer.status_code == 400
    assert [(each["event"], each["path"]) for each in logged] == [("request.truncated", path)]
    assert (await club.http.get("/api/v3/profiles")).json()["data"] == []


async def test_a_truncated_report_request_is_400_in_the_format_of_the_reporting_api(club: Club) -> None:
    async with club.database.unscoped_connection() as connection:
        new = NewToken(club.community.organization_id, "reports", permits=("Reporting:*",))
        secret = await tokens.create(connection, new, club.clock())
    slug = club.community.slug.encode()
    headers = [HOST, (b"x-client-authorization", secret.encode()), (b"x-loyalty-club-slug", slug)]
    begins = {"type": "http.request", "body": b'{"report": ', "more_body": True}
    with structlog.testing.capture_logs() as logged:
        answer = await send_raw(club, "POST", b"/v1/reporting/query", headers, begins, {"type": "http.disconnect"})
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert [each["event"] for each in logged] == ["request.truncated"]
