"""Hostile values in each part of each request, and requests generated from the OpenAPI document."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import msgspec
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from regulars.api.registry import ENDPOINTS
from regulars.auth.authorization import Caller
from regulars.web.endpoint import Endpoint
from regulars.web.openapi import openapi_document
from trust.clubs import Club, create_club
from trust.hostile_values import HostileRequest, InjectionPoint, Seeds, injection_points
from trust.run import Run
from trust.server import RunningServer, serving

VALUES, EXAMPLES = 15_000, 10
CONCURRENT_REQUESTS = 8
_LIMITLESS = 10**9

_CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

T = TypeVar("T")


@dataclass
class Identity:
    """An organization with its tokens, its ids, and a unique text in all its objects."""

    club: Club
    canary: str
    member: str = ""
    seeds: Seeds = field(default_factory=lambda: Seeds({}))

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Returns the headers that authorize a request to an endpoint."""
        if endpoint.caller is Caller.REPORTING:
            return {"Authorization": f"Bearer {self.club.report_token}", "X-Loyalty-Club-Slug": self.club.slug}
        token = self.member if endpoint.caller is Caller.MEMBER else self.club.token
        return {"Authorization": f"Bearer {token}"}


def run(run: Run) -> None:
    """Sends hostile values, then valid and invalid requests of the OpenAPI document."""
    run.describe(
        "Every part of a request that accepts a value is derived from the declarations of the endpoints: each "
        "part of a path, each parameter and filter, each field of a body, of a row of a batch and of an import, "
        "each filterable field of each report with each of its operations. Hypothesis selects parts and hostile "
        "values from a table, which two organizations send in turn; schemathesis generates valid and invalid "
        "requests from the OpenAPI document."
    )
    with serving(
        run.folder / "server",
        pool_max_size=16,
        max_concurrent_imports=CONCURRENT_REQUESTS + 1,
        general_burst=_LIMITLESS,
        reporting_burst=_LIMITLESS,
    ) as server:
        identities = [Identity(create_club(server, name, f"Organization {name}"), f"canary-{name}") for name in "ab"]
        asyncio.run(_run(run, server, identities))


async def _run(run: Run, server: RunningServer, identities: Sequence[Identity]) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        for each in identities:
            await _seed(http, each)
        crossing = _crossing(identities)
        await _send_values(run, http, crossing)
        await _send_drawn(run, http, crossing)
        health = await http.get("/api/health")
        run.check("the server is healthy afterwards", health.status_code, health.status_code == 200)
    failed = server.log.count('"request.failed"')
    run.check("the server's log has no unexpected error", failed, failed == 0)


def _crossing(identities: Sequence[Identity]) -> Sequence[tuple[Identity, str, Seeds]]:
    """Yields the sender, the organization whose text must not be returned, and the one whose ids are in the paths."""
    one, other = identities
    return (
        (one, other.canary, one.seeds),
        (other, one.canary, other.seeds),
        (one, other.canary, other.seeds),
        (other, one.canary, one.seeds),
    )


# What each organization has --------------------------------------------------------------------------------


async def _seed(http: httpx.AsyncClient, identity: Identity) -> None:
    headers = {"Authorization": f"Bearer {identity.club.token}"}
    canary = identity.canary

    async def post(path: str, body: object) -> Any:
        answer = await http.post(f"/api/v3{path}", json=body, headers=headers)
        if answer.status_code != 201:
            raise RuntimeError(f"{path} was answered {answer.status_code}: {answer.text}")
        return answer.json()["data"]

    async def load(entity: str, row: Mapping[str, object]) -> None:
        content = msgspec.json.encode(row)
        sent = {**headers, "Content-Type": "application/x-ndjson"}
        answer = await http.post(f"/v1/import/{entity}", content=content, headers=sent)
        if answer.json().get("accepted") != 1:
            raise RuntimeError(f"{entity} was answered {answer.status_code}: {answer.text}")

    person = {"first_name": canary, "email": f"{canary}@example.com", "joined_at": "2026-09-01 12:00:00"}
    profile = await post("/profiles", {**person, "identities": [_CARD]})
    # Rows name a profile that no request changes.
    await post("/profiles", {"external_id": "M", "joined_at": person["joined_at"]})
    address = await post(f"/profiles/{profile['id']}/addresses", {"city": canary})
    location = await post("/locations", {"name": canary, "external_id": "L"})
    brand = await post("/brands", {"name": canary})
    product = await post("/products", {"name": canary, "variants": [{"name": canary, "sku": "A"}]})
    webhook = await post("/webhooks", {"trigger": canary, "url": "https://example.com/"})
    line = {"name": canary, "price_current": 1, "price_sell": 1, "quantity": 1}
    sale = {"total": 1, "transacted_at": "2026-10-01 12:00:00", "timezone": "UTC", "items": [line], "external_id": "T"}
    transaction = await post("/transactions", {**sale, "profile_id": profile["id"]})
    for entity, row in (
        ("sendings", {"external_id": "S", "channel": "email", "language": canary}),
        ("offers", {"external_id": "O", "name": canary}),
    ):
        await load(entity, row)
    token = await http.post("/id/api/v1/auth/token", json={"id": profile["id"]}, headers=headers)
    identity.member = token.json()["data"]["token"]
    own = {"address_id": address["id"], "handle": "card", "identity_id": profile["identities"][0]["id"]}
    ids: dict[str, dict[str, object]] = {
        "/api/v3/profiles": {"id": profile["id"], "transaction_id": transaction["id"], **own},
        "/profiles": {"id": profile["id"]},
        "/id/api/v1": own,
        "/api/v3/locations": {"id": location["id"]},
        "/api/v3/brands": {"id": brand["id"]},
        "/api/v3/webhooks": {"id": webhook["id"]},
        "/api/v3/products": {"id": product["id"], "variant_id": product["variants"][0]["id"]},
        "/api/v3/transactions": {
            "id": transaction["id"],
            "item_id": transaction["items"][0]["id"],
            "external_id": "T",
        },
        "/v1/import": {"entity": "profiles"},
        "/v1/reporting": {"id": f"location:{identity.club.id}:{location['id']}"},
    }
    identity.seeds = Seeds({start: {name: str(each) for name, each in own.items()} for start, own in ids.items()})


_CARD = {"handle": "card", "identifier": "4711"}


# Hostile values --------------------------------------------------------------------------------------------


def _drawn(strategy: st.SearchStrategy[T], number: int, chosen: int) -> list[T]:
    """Returns a number of examples of a strategy for a seed; none if it has none."""
    found: list[T] = []

    @seed(chosen)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: T) -> None:
        found.append(example)

    with contextlib.suppress(Unsatisfiable):
        draw()
    return found


def _values() -> st.SearchStrategy[tuple[InjectionPoint, str]]:
    by_kind: dict[str, list[InjectionPoint]] = {}
    for place in injection_points():
        by_kind.setdefault(place.kind, []).append(place)
    of_a_kind = st.one_of([st.sampled_from(each) for each in by_kind.values()])
    return of_a_kind.flatmap(lambda place: st.tuples(st.just(place), st.sampled_from(place.values)))


async def _send_values(run: Run, http: httpx.AsyncClient, crossing: Sequence[tuple[Identity, str, Seeds]]) -> None:
    drawn = _drawn(_values(), run.scaled_count(VALUES, 100), run.seed)
    answers: Counter[int] = Counter()
    violations: list[str] = []
    lost: list[str] = []
    crossed: list[str] = []
    with_rows = 0

    async def send(number: int, place: InjectionPoint, value: str) -> None:
        nonlocal with_rows
        identity, foreign, seeds = crossing[number % len(crossing)]
        sent = place.build_request(value, seeds)
        with_rows += bool(sent.rows)
        headers = {**_TYPE, **identity.headers(sent.endpoint), **sent.headers}
        if "X-Customer" in sent.headers:
            del headers["X-Loyalty-Club-Slug"]
        try:
            answer = await http.request(sent.endpoint.method, sent.path, content=sent.content, headers=_bytes(headers))
        except httpx.TransportError as error:
            violations.append(f"{sent}: no answer: {type(error).__name__} {error}")
            return
        answers[answer.status_code] += 1
        if problem := _problem(sent, place.kind, answer):
            violations.append(f"{sent}: {problem}")
        if problem := _lost(sent, answer):
            lost.append(f"{sent}: {problem}")
        if foreign in answer.text:
            crossed.append(f"{sent}: {answer.text[:200]}")

    await _all_of(send(number, *each) for number, each in enumerate(drawn))
    number = len(drawn)
    run.figure("parts of requests that accept a value", len(injection_points()))
    run.figure("hostile values sent", number)
    run.check_none("each is answered with a declared status, never a 5xx", violations, number, "requests")
    run.check_none("no valid row is lost because of a hostile one", lost, with_rows, "batches and imports")
    run.check_none("no response contains data of the other organization", crossed, number, "requests")
    run.table("Responses to hostile values", ("status", "number"), sorted(answers.items()))


_TYPE = {"Content-Type": "application/json"}


def _bytes(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]


async def _all_of(work: Iterator[Coroutine[Any, Any, None]]) -> None:
    """Runs coroutines with limited concurrency."""

    async def some() -> None:
        for each in work:
            await each

    await asyncio.gather(*(some() for _ in range(CONCURRENT_REQUESTS)))


_DOCUMENT: dict[str, Any] = openapi_document(ENDPOINTS)
_ELSEWHERE = {307, 404, 405}
"""Statuses of a path that belongs to another organization, or does not exist, after a part is replaced."""


def _problem(sent: HostileRequest, kind: str, answer: httpx.Response) -> str:
    if answer.status_code >= 500:
        return f"{answer.status_code} {answer.text[:200]}"
    declared = _DOCUMENT["paths"].get(sent.endpoint.path, {}).get(sent.endpoint.method.lower(), {"responses": {}})
    allowed = {int(status) for status in declared["responses"]} | (_ELSEWHERE if kind == "path" else set())
    if declared["responses"] and answer.status_code not in allowed:
        return f"{answer.status_code} is not declared: {answer.text[:200]}"
    return ""


def _lost(sent: HostileRequest, answer: httpx.Response) -> str:
    if not sent.rows:
        return ""
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text[:200]}"
    body = answer.json()
    body = body.get("data", body)
    kept = body["accepted"] + body["unchanged"]
    return "" if kept >= sent.rows else f"{kept} rows were kept: {answer.text[:200]}"


# Requests drawn from the document ---------------------------------------------------------------------------


async def _send_drawn(run: Run, http: httpx.AsyncClient, crossing: Sequence[tuple[Identity, str, Seeds]]) -> None:
    load_all_checks()
    schema = schemathesis.openapi.from_dict(_DOCUMENT, config=SchemathesisConfig())
    by_place = {(each.method, each.path): each for each in ENDPOINTS}
    violations: list[str] = []
    crossed: list[str] = []
    answers: Counter[int] = Counter()
    sent = 0

    async def send(number: int, endpoint: Endpoint, case: Any) -> None:
        nonlocal sent
        sent += 1
        identity, foreign, _ = crossing[number % len(crossing)]
        answer = await _answer(http, case, identity.headers(endpoint))
        if answer is None:
            return
        answers[answer.status_code] += 1
        label = f"{endpoint.method} {answer.request.url}"
        if answer.status_code >= 500:
            violations.append(f"{label}: {answer.status_code} {answer.text[:200]}")
        try:
            case.validate_response(answer, checks=_CHECKS)
        except (Failure, FailureGroup) as failure:
            violations.append(f"{label}: {answer.status_code} {_words(failure)}")
        if foreign in answer.text:
            crossed.append(f"{label}: {answer.text[:200]}")

    number = run.scaled_count(EXAMPLES, 1)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    for operation in run.random.sample(operations, min(len(operations), run.scaled_count(1_000, 10))):
        endpoint = by_place[operation.method.upper(), operation.path]
        if endpoint.caller is Caller.PROVIDER:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            headers = dict.fromkeys(("Authorization", "X-Customer", "X-Loyalty-Club-Slug"), "x")
            drawn = _drawn(operation.as_strategy(generation_mode=mode, headers=headers), number, run.seed)
            await _all_of(send(place, endpoint, case) for place, case in enumerate(drawn))
    run.figure("requests generated from the OpenAPI document", sent)
    run.check_none("each response conforms to the OpenAPI document and is never a 5xx", violations, sent, "requests")
    run.check_none("no response to them contains data of the other organization", crossed, sent, "requests")
    run.table("Responses to requests generated from the document", ("status", "number"), sorted(answers.items()))


def _words(failure: Failure | FailureGroup) -> str:
    failures = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
    return "; ".join(f"{getattr(each, 'title', '')} {each}"[:400] for each in failures)


async def _answer(http: httpx.AsyncClient, case: Any, headers: Mapping[str, str]) -> httpx.Response | None:
    """Returns the response to a case; None if no client can send it."""
    arguments = case.as_transport_kwargs(base_url=str(http.base_url).rstrip("/"))
    given = {name: str(value) for name, value in arguments.get("headers", {}).items()}
    for name in ("Authorization", "X-Customer", "X-Loyalty-Club-Slug"):
        given.pop(name, None)
    content: Any = {name: arguments[name] for name in ("json", "files", "data") if arguments.get(name) is not None}
    body = content.get("data")
    if isinstance(body, str | bytes):
        content = {"content": body.encode() if isinstance(body, str) else body}
    try:
        return await http.request(
            arguments["method"],
            arguments["url"],
            params=arguments.get("params") or None,
            headers=_bytes({**given, **headers}),
            **content,
        )
    except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError, TypeError, ValueError):
        return None
