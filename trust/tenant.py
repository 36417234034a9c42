"""An organization with the same external ids, e-mails, card numbers and keys as another, and a unique canary."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Caller
from regulars.reports.registry import REPORTS
from regulars.reports.report import ReportFormat
from regulars.web.endpoint import Endpoint
from trust.clubs import Club

V3 = "/api/v3"
MEMBER = "/id/api/v1"
NDJSON = "application/x-ndjson"

_OTHERS = (Caller.REPORTING, Caller.DOWNLOAD, Caller.PROVIDER, Caller.ADMINISTRATION)
"""Callers of other APIs than the Profile API."""


@dataclass(frozen=True)
class TenantRequest:
    """A request."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Tenant:
    """An organization with one community: its canary, its clients, and the ids of what it owns.

    Every text that it stores holds the canary; nothing else that it sends does.
    """

    club: Club
    canary: str
    members: int
    http: httpx.AsyncClient
    ids: dict[str, list[str]] = field(default_factory=dict)
    """The values of path parameters by `prefix parameter`, such as `profiles id`."""
    member_token: str = ""

    async def send(self, sent: TenantRequest, token: str | None = None) -> httpx.Response:
        """Sends a request with a token of this organization."""
        content = sent.body if isinstance(sent.body, bytes) else None if sent.body is None else json.dumps(sent.body)
        headers = {
            "Authorization": f"Bearer {token or self.club.token}",
            "Content-Type": "application/json",
            **sent.headers,
        }
        return await self.http.request(sent.method, sent.path, content=content, headers=headers)

    async def report(self, body: dict[str, Any], *, path: str = "query", **headers: str) -> httpx.Response:
        """Queries a report of this organization, by default for its own club."""
        chosen = headers or {"X-Loyalty-Club-Slug": self.club.slug}
        return await self.send(TenantRequest("POST", f"/v1/reporting/{path}", body, chosen), self.club.report_token)

    async def _made(self, path: str, body: dict[str, Any], name: str) -> Any:
        answer = await self.send(TenantRequest("POST", f"{V3}/{path}", body))
        assert answer.status_code == 201, f"{path}: {answer.text}"
        shown = answer.json()["data"]
        self.ids.setdefault(name, []).append(str(shown["id"]))
        return shown

    async def populate(self) -> None:
        """Stores the same facts as the other organization, with its own canary in every text."""
        mark = self.canary
        await self._made("brands", {"name": f"Brand {mark}"}, "brands id")
        await self._made(
            "webhooks", {"trigger": "aggregation.changed", "url": f"https://{mark}.example/x"}, "webhooks id"
        )
        test = await self.send(TenantRequest("POST", f"{V3}/webhooks/{self.ids['webhooks id'][0]}/test"))
        assert test.status_code == 200, test.text
        self.ids["webhooks delivery_id"] = [str(test.json()["data"]["delivery_id"])]
        for number in range(2):
            code = f"store-{number}"
            body: dict[str, Any] = {"external_id": code, "external_code": code, "name": f"Store {mark}"}
            body |= {"tags": [mark], "address": {"city": f"City {mark}", "country": "NO"}}
            await self._made("locations", body, "locations id")
            body = {"external_id": f"product-{number}", "name": f"Product {mark}", "brand": f"Brand {mark}"}
            product = await self._made("products", body, "products id")
            variant = {"external_id": f"variant-{number}", "sku": f"sku-{number}", "name": f"Variant {mark}"}
            await self._made(f"products/{product['id']}/variants", variant, "products variant_id")
        for number in range(self.members):
            await self._populate_profile(number)
        await self._import()
        await self._request_exports()
        batch = {"profiles": [{"email": "batch@example.com", "first_name": mark, "external_id": "batch"}]}
        answer = await self.send(TenantRequest("POST", f"{V3}/profiles/batch", batch, {"Idempotency-Key": "batch"}))
        self.ids["profiles batch_id"] = [answer.json()["data"]["batch_id"]]
        answer = await self.send(TenantRequest("POST", "/id/api/v1/auth/token", {"id": self.ids["profiles id"][0]}))
        assert answer.status_code == 200, answer.text
        self.member_token = answer.json()["data"]["token"]

    async def _request_exports(self) -> None:
        export = {"report": "members", "format": "csv"}
        answer = await self.report(export, path="query/export")
        assert answer.status_code == 202, answer.text
        self.ids["exports id"] = [answer.json()["export"]["id"]]
        answer = await self.report({**export, "name": self.canary, "cron": "0 6 * * *"}, path="export_schedules")
        assert answer.status_code == 201, answer.text
        self.ids["export_schedules id"] = [answer.json()["export_schedule"]["id"]]

    async def _populate_profile(self, number: int) -> None:
        mark = self.canary
        body = {
            "external_id": f"member-{number}",
            "first_name": f"Kari {mark}",
            "last_name": mark,
            "email": f"member-{number}@example.com",
            "gender": "female",
            "identities": [{"handle": "card", "identifier": f"card-{number}"}],
            "addresses": [{"city": f"Oslo {mark}", "country": "NO", "is_default": True}],
            "tags": [mark],
            "properties": {"note": mark},
            "attributes": {"custom": {"note": mark}},
        }
        shown = await self._made("profiles", body, "profiles id")
        self.ids.setdefault("profiles address_id", []).append(str(shown["addresses"][0]["id"]))
        self.ids.setdefault("profiles identity_id", []).append(str(shown["identities"][0]["id"]))
        for place in range(2):
            sale = self.sale(f"sale-{number}-{place}", shown["id"])
            made = await self._made("transactions", sale, "transactions id")
            self.ids.setdefault("transactions item_id", []).append(str(made["items"][0]["id"]))
        if number < 2:
            claim = {
                "transaction_receipt_ref": f"receipt-{number}",
                "transaction_transacted_at": "2026-06-01 12:00:00",
                "transaction_timezone": "UTC",
                "transaction_total": 10,
                "transaction_location_external_code": "store-0",
            }
            await self._made(f"profiles/{shown['id']}/transactions/claims", claim, "profiles claim")

    def sale(self, external_id: str, profile_id: str) -> dict[str, Any]:
        """Returns a transaction with the canary in its texts."""
        item = {"name": f"Thing {self.canary}", "quantity": 1, "price_current": 10, "price_sell": 10, "sku": "sku-0"}
        return {
            "external_id": external_id,
            "profile_id": profile_id,
            "transacted_at": "2026-06-01 12:00:00",
            "timezone": "Europe/Oslo",
            "total": 10,
            "location_id": "store-0",
            "items": [item],
            "tags": [self.canary],
            "meta": {"note": self.canary},
        }

    def files(self) -> dict[str, list[dict[str, Any]]]:
        """Returns rows to import by entity, with the same external ids in both organizations."""
        mark = self.canary
        at = "2026-06-02T10:00:00Z"
        event = {"external_id": "e1", "sending": "autumn", "profile": "member-0", "event": "opened", "at": at}
        visit = {"external_id": "v1", "at": at, "url": f"https://{mark}.example/a", "utm_source": mark}
        return {
            "sendings": [{"external_id": "autumn", "channel": "email", "reporting_id": 4711, "source_id": mark}],
            "sending_events": [event, event | {"external_id": "e2", "profile": "member-1"}],
            "offer_collections": [{"external_id": "shoes", "name": f"Shoes {mark}"}],
            "offers": [{"external_id": "boots", "name": f"Boots {mark}", "status": "live", "collections": ["shoes"]}],
            "offer_events": [
                {"external_id": "o1", "offer": "boots", "event": "used", "at": at, "profile": "member-0"},
            ],
            "link_visits": [visit | {"sending": "autumn", "profile": "member-0"}, visit | {"external_id": "v2"}],
        }

    def imports(self) -> Iterator[TenantRequest]:
        """The imports of these rows; the keys are the same in both organizations."""
        for entity, rows in self.files().items():
            content = b"".join(json.dumps(each).encode() + b"\n" for each in rows)
            headers = {"Content-Type": NDJSON, "Idempotency-Key": f"import-{entity}"}
            yield TenantRequest("POST", f"/v1/import/{entity}", content, headers)

    async def _import(self) -> None:
        for sent in self.imports():
            answer = await self.send(sent)
            assert answer.status_code == 200, answer.text
            assert answer.json()["rejected"] == 0, answer.text

    # Requests that are derived from the declarations ------------------------------------------------------

    def paths(self, endpoint: Endpoint, ids: dict[str, list[str]]) -> Iterator[str]:
        """The paths of an endpoint, its parameters filled with some of the ids."""
        resource = endpoint.path.removeprefix(V3).removeprefix(MEMBER).strip("/").partition("/")[0]
        fixed = {
            "handle": ["card"],
            "external_id": ["sale-0-0"],
            "name": ["comms"],
            "transaction_id": ids["transactions id"],
        }
        found: dict[str, None] = {}
        for place in range(1 if endpoint.caller is Caller.MEMBER else 3):
            path = endpoint.path
            for each in endpoint.path.split("{")[1:]:
                name = each.partition("}")[0]
                # Of one place, so that an address is that of its profile.
                values = fixed.get(name) or ids[f"{resource} {name}"]
                path = path.replace(f"{{{name}}}", values[place % len(values)])
            found[path] = None
        yield from found

    def reads(self) -> Iterator[tuple[TenantRequest, str]]:
        """Yields every read of the Profile API of this organization, with its token."""
        for endpoint in ENDPOINTS:
            if endpoint.method != "GET" or endpoint.caller in _OTHERS:
                continue
            if endpoint.path.endswith("/unattach"):
                # It is a GET that writes.
                continue
            token = self.member_token if endpoint.caller is Caller.MEMBER else self.club.token
            query = {
                "explain": "?name=spend_all",
                "history": "?name=spend_all&from=2026-01-01T00:00:00Z&to=2026-07-01T00:00:00Z&step=1mo",
            }
            for path in self.paths(endpoint, self.ids):
                yield TenantRequest("GET", path + query.get(path.rpartition("/")[2], "")), token
        yield (
            TenantRequest("POST", f"{V3}/profiles/aggregations/query", {"profile_ids": self.ids["profiles id"][:20]}),
            "",
        )
        for handle, value in (("email", "member-0@example.com"), ("card", "card-0"), ("external_id", "member-0")):
            yield TenantRequest("POST", f"{V3}/profiles/search-id", {"type": handle, "id": value}), ""
        yield TenantRequest("POST", f"{V3}/profiles/availability", {"email": "member-0@example.com"}), ""

    def queries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields every report with each of its aggregations, and the values of each of its fields."""
        ranged = {"from": "2026-05-01T00:00:00", "to": "2026-07-01T00:00:00"}
        for report in REPORTS:
            body: dict[str, Any] = {"report": report.name}
            if report.format is not ReportFormat.RECORDS:
                body |= ranged
            if report.format is ReportFormat.TIMESERIES:
                body["interval"] = "1mo"
            yield "query", body
            for aggregation in report.groupings:
                yield "query", body | {"aggregate_by": aggregation.name}
            for each in report.fields:
                yield (
                    "field_metadata",
                    {"report": report.name, "field": each.name}
                    | (ranged if report.format is not ReportFormat.RECORDS else {}),
                )

    def cross_tenant_requests(self, other: "Tenant") -> Iterator[TenantRequest]:
        """Yields requests with this organization's token and ids of another, for every endpoint with an id."""
        profile, victim = self.ids["profiles id"][0], other.ids["profiles id"]
        own_sale, sale = self.ids["transactions id"][0], self.sale("crossing", victim[0])
        for endpoint in ENDPOINTS:
            if endpoint.caller is not Caller.COMMUNITY or "{" not in endpoint.path or "{entity}" in endpoint.path:
                continue
            body = None if endpoint.method in ("GET", "DELETE") else _BODIES.get(_last_name(endpoint.path), {})
            for path in self.paths(endpoint, other.ids):
                yield TenantRequest(endpoint.method, path, body)
        for source, destination in ((profile, victim[0]), (victim[0], profile), (victim[0], victim[1])):
            body = {"source_profile_id": source, "destination_profile_id": destination}
            yield TenantRequest("POST", f"{V3}/profiles/merge", body)
        yield TenantRequest("POST", f"{V3}/transactions", sale)
        yield TenantRequest("POST", f"{V3}/transactions/batch.json", {"transactions": [sale]})
        yield TenantRequest("PUT", f"{V3}/transactions/{own_sale}", {"profile_id": victim[0]})
        yield TenantRequest("POST", f"{V3}/profiles/aggregations/query", {"profile_ids": victim[:10]})
        yield TenantRequest("POST", f"{V3}/profiles/search-id", {"type": "profile_id", "id": victim[0]})
        yield TenantRequest("POST", "/id/api/v1/auth/token", {"id": victim[0]})
        for location in other.ids["locations id"]:
            yield TenantRequest("PUT", f"{V3}/profiles/{profile}", {"preferred_location_id": int(location)})
        for number, entity in enumerate(("sending_events", "link_visits", "offer_events")):
            row = self.files()[entity][0] | {"external_id": f"crossing-{number}", "profile": victim[0]}
            yield TenantRequest("POST", f"/v1/import/{entity}", json.dumps(row).encode(), {"Content-Type": NDJSON})
        row = sale | {"external_id": "crossing-import"}
        yield TenantRequest("POST", "/v1/import/transactions", json.dumps(row).encode(), {"Content-Type": NDJSON})

    def cross_tenant_exports(self, other: "Tenant") -> Iterator[TenantRequest]:
        """Yields requests of the Reporting API with this organization's token and ids of exports of another."""
        all_customers = {"X-Customer": "all=all"}
        for method, path in (("GET", ""), ("GET", "/file"), ("DELETE", "")):
            yield TenantRequest(
                method, f"/v1/reporting/exports/{other.ids['exports id'][0]}{path}", None, all_customers
            )
        body = {"name": "x", "cron": "0 6 * * *", "report": "members", "format": "csv"}
        for method in ("GET", "PUT", "DELETE"):
            path = f"/v1/reporting/export_schedules/{other.ids['export_schedules id'][0]}"
            yield TenantRequest(method, path, body if method == "PUT" else None, all_customers)

    def cross_tenant_headers(self, other: "Tenant") -> Iterator[dict[str, str]]:
        """Headers of the Reporting API that name the other organization's customers."""
        yield {"X-Loyalty-Club-Slug": other.club.slug}
        yield {"X-Customer": f"id={other.club.id}"}
        yield {"X-Customer": f"id={self.club.id}_{other.club.id}"}
        yield {"X-Customer": f"slug={other.club.slug}"}


_BODIES: dict[str, Any] = {
    "id": {"name": "crossing", "first_name": "crossing", "total": 1, "url": "https://crossing.example"},
    "update-type": {"profile_type": "deleted"},
    "address_id": {"city": "crossing"},
    "addresses": {"city": "crossing"},
    "identities": {"handle": "crossing", "identifier": "crossing"},
    "identity_id": {"handle": "crossing", "identifier": "crossing"},
    "handle": {"handle": "card", "identifier": "crossing"},
    "comms": {"note": "crossing"},
    "items": {"name": "crossing", "quantity": 1, "price_current": 1, "price_sell": 1},
    "item_id": {"name": "crossing"},
    "variants": {"name": "crossing", "sku": "crossing"},
    "variant_id": {"name": "crossing"},
}
"""Bodies that would change something, by the last part of the path."""


def _last_name(path: str) -> str:
    return path.rpartition("/")[2].strip("{}")


async def populate_all(*tenants: Tenant) -> None:
    """Stores the facts of all organizations at the same time."""
    await asyncio.gather(*(each.populate() for each in tenants))
