"""A client that writes in every way, retries until it gets a response, and records the responses."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from trust.ledger import EVENTS, Ledger, Request, Sale

TRANSACTIONS = "/api/v3/transactions"
PROFILES = "/api/v3/profiles"
GIVE_UP_SECONDS = 60.0
"""Seconds after which a write without a response is abandoned."""
MAX_REQUESTS = 400
"""Maximum number of requests that a ledger records to be repeated."""

JSON = "application/json"
NDJSON = "application/x-ndjson"


class UnansweredError(Exception):
    """A write got no response within GIVE_UP_SECONDS."""


class Writer:
    """A sequential client. Its profiles and transactions are not changed by other clients."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        name: str,
        seed: int,
        shared: list[str],
        ways: "tuple[WriteOperation, ...] | None" = None,
    ) -> None:
        self.http = http
        self.name = name
        self.random = random.Random(f"{seed}-{name}")
        self.shared = shared
        self.ledger = Ledger()
        self.ways = ways or WRITE_OPERATIONS
        self.merged_into: dict[str, str] = {}
        self._number = 0

    async def write(self, stop: Callable[[], bool]) -> None:
        """Writes until `stop` returns True, and finishes the running write."""
        while not stop():
            await self.write_once(self.random.choice(self.ways))

    async def write_once(self, way: "WriteOperation") -> None:
        """Writes once, and records a missing or unexpected response in the ledger."""
        try:
            await way(self)
        except UnansweredError as error:
            self.ledger.violations.append(f"{self.name}: {error}")
        except (AssertionError, KeyError, ValueError) as error:
            self.ledger.violations.append(f"{self.name}: {type(error).__name__} {error}")

    # Requests ---------------------------------------------------------------------------------------------

    def next_name(self) -> str:
        """Returns a unique name."""
        self._number += 1
        return f"{self.name}-{self._number}"

    async def post(
        self, path: str, body: object, status: int, receipts: tuple[str, ...] = (), content_type: str = JSON
    ) -> Any:
        """Sends a request with a key until it is answered, now and then once more; gives the answer's JSON.

        Raises UnansweredError, and AssertionError where the answer is another than expected.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        key = self.next_name()
        headers = {"Idempotency-Key": key, "Content-Type": content_type}
        answer, _ = await self.send_until_answered("POST", path, content, headers, receipts)
        if answer.status_code != status:
            self.ledger.unanswered.update(receipts)
        assert answer.status_code == status, f"POST {path}: {answer.status_code} {answer.text[:300]}"
        request = Request(path, content, content_type, key, answer.status_code, answer.content)
        if len(self.ledger.requests) < MAX_REQUESTS:
            self.ledger.requests.append(request)
        else:
            self.ledger.requests[self.random.randrange(MAX_REQUESTS)] = request
        if self.random.random() < 0.1:
            again, _ = await self.send_until_answered("POST", path, content, headers, receipts)
            same = (again.status_code, again.content) == (answer.status_code, answer.content)
            assert same, f"POST {path} again: {again.status_code} {again.text[:300]}, before: {answer.text[:300]}"
        return json.loads(answer.content, parse_float=Decimal)

    async def change(self, method: str, path: str, body: object, status: int, receipt: str = "") -> None:
        """Sends a request that changes or deletes something until it is answered.

        A thing that is gone may have been deleted by the try before, whose answer was lost.
        """
        content = b"" if body is None else json.dumps(body).encode()
        receipts = (receipt,) if receipt else ()
        answer, tries = await self.send_until_answered(method, path, content, {"Content-Type": JSON}, receipts)
        allowed = {status, 404} if method == "DELETE" and tries > 1 else {status}
        assert answer.status_code in allowed, f"{method} {path}: {answer.status_code} {answer.text[:300]}"

    async def send_until_answered(
        self, method: str, path: str, content: bytes, headers: dict[str, str], receipts: tuple[str, ...]
    ) -> tuple[httpx.Response, int]:
        """Repeats a request until its response is below 500; returns it and the number of attempts. Raises UnansweredError."""
        until, tries, last = time.monotonic() + GIVE_UP_SECONDS, 0, ""
        while time.monotonic() < until:
            tries += 1
            try:
                answer = await self.http.request(method, path, content=content, headers=headers)
            except httpx.TransportError as error:
                self.ledger.answers["no response"] += 1
                last = type(error).__name__
            else:
                self.ledger.answers[str(answer.status_code)] += 1
                if answer.status_code < 500:
                    return answer, tries
                last = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code == 503 and "retry-after" not in answer.headers:
                    self.ledger.answers["503 without Retry-After"] += 1
            await asyncio.sleep(self.random.uniform(0.05, 0.2))
        self.ledger.unanswered.update(receipts)
        raise UnansweredError(f"{method} {path}: no answer within {GIVE_UP_SECONDS:g} s, the last one: {last}")

    # What is written --------------------------------------------------------------------------------------

    def sale(self, receipt: str, profile_id: str | None, *, named: bool) -> dict[str, Any]:
        """A transaction. Without a name of its own, only the key keeps it from being stored twice."""
        body: dict[str, Any] = {
            "profile_id": profile_id,
            "receipt_ref": receipt,
            "transacted_at": f"2026-0{self.random.randrange(1, 7)}-{self.random.randrange(10, 29)} 12:00:00",
            "timezone": "Europe/Oslo",
            "total": self.random.randrange(100, 50_000) / 100,
            "items": [{"name": "Thing", "quantity": 1, "price_current": 10, "price_sell": 10}],
        }
        if named:
            body["external_id"] = receipt
        if self.random.random() < 0.5:
            body["location_id"] = f"store-{self.random.randrange(8)}"
        return body

    def acknowledge(self, body: dict[str, Any], transaction_id: int | None) -> None:
        """Records a transaction as acknowledged."""
        sale = Sale(body["profile_id"], Decimal(str(body["total"])), id=transaction_id)
        self.ledger.sales[body["receipt_ref"]] = sale

    def own(self) -> str | None:
        """A receipt of this writer that can be changed: one whose id is known and whose last write was answered."""
        known = [each for each, sale in self.ledger.sales.items() if sale.id and each not in self.ledger.unanswered]
        return self.random.choice(known) if known else None

    def own_profiles(self) -> list[str]:
        """The profiles of this writer that are active."""
        return [each for each, state in self.ledger.profiles.items() if state == "active"]


WriteOperation = Callable[[Writer], Awaitable[None]]


async def single(writer: Writer) -> None:
    """One transaction."""
    receipt = writer.next_name()
    owner = writer.random.choice([*writer.shared, *writer.own_profiles()[-2:], None])
    body = writer.sale(receipt, owner, named=writer.random.random() < 0.5)
    shown = await writer.post(TRANSACTIONS, body, 201, (receipt,))
    writer.acknowledge(body, shown["data"]["id"])
    writer.ledger.acknowledged["transaction"] += 1


async def batch(writer: Writer) -> None:
    """Many transactions in one request."""
    receipts = tuple(writer.next_name() for _ in range(writer.random.randrange(2, 20)))
    named = writer.random.random() < 0.5
    bodies = [writer.sale(each, writer.random.choice(writer.shared), named=named) for each in receipts]
    shown = await writer.post(f"{TRANSACTIONS}/batch.json", {"transactions": bodies}, 200, receipts)
    ids = shown["data"]["ids"]
    assert None not in ids, f"rows of a batch were rejected: {shown}"
    for body, transaction_id in zip(bodies, ids, strict=True):
        writer.acknowledge(body, transaction_id)
    writer.ledger.acknowledged["batch.json"] += 1


async def imported(writer: Writer) -> None:
    """A file of transactions."""
    receipts = tuple(writer.next_name() for _ in range(writer.random.randrange(20, 150)))
    bodies = [writer.sale(each, writer.random.choice(writer.shared), named=True) for each in receipts]
    content = b"".join(json.dumps(each).encode() + b"\n" for each in bodies)
    shown = await writer.post("/v1/import/transactions", content, 200, receipts, NDJSON)
    assert shown["accepted"] + shown["unchanged"] == len(bodies), f"rows of an import were rejected: {shown}"
    for body in bodies:
        writer.acknowledge(body, None)
    writer.ledger.acknowledged["import of transactions"] += 1


async def events(writer: Writer) -> None:
    """Events of sendings."""
    rows = []
    for _ in range(writer.random.randrange(5, 40)):
        sending, kind = f"sending-{writer.random.randrange(4)}", writer.random.choice(EVENTS)
        rows.append(
            {
                "external_id": writer.next_name(),
                "sending": sending,
                "profile": writer.random.choice(writer.shared),
                "event": kind,
                "at": datetime.now(UTC).isoformat(),
            }
        )
    content = b"".join(json.dumps(each).encode() + b"\n" for each in rows)
    shown = await writer.post("/v1/import/sending_events", content, 200, (), NDJSON)
    assert shown["accepted"] + shown["unchanged"] == len(rows), f"events were rejected: {shown}"
    for each in rows:
        writer.ledger.events[each["sending"], each["event"]] += 1
    writer.ledger.acknowledged["import of events"] += 1


async def change(writer: Writer) -> None:
    """Another total."""
    if (receipt := writer.own()) is not None:
        sale, total = writer.ledger.sales[receipt], writer.random.randrange(100, 50_000)
        await writer.change("PUT", f"{TRANSACTIONS}/{sale.id}", {"total": total / 100}, 200, receipt)
        writer.ledger.sales[receipt] = replace(sale, total=Decimal(total) / 100)
        writer.ledger.acknowledged["change"] += 1


async def delete(writer: Writer) -> None:
    """A transaction is deleted."""
    if (receipt := writer.own()) is not None:
        sale = writer.ledger.sales[receipt]
        await writer.change("DELETE", f"{TRANSACTIONS}/{sale.id}", None, 204, receipt)
        del writer.ledger.sales[receipt]
        writer.ledger.deleted.add(receipt)
        writer.ledger.acknowledged["deletion of a transaction"] += 1


async def move(writer: Writer) -> None:
    """A transaction becomes another profile's."""
    if (receipt := writer.own()) is not None:
        sale, owner = writer.ledger.sales[receipt], writer.random.choice(writer.shared)
        await writer.change("PUT", f"{TRANSACTIONS}/{sale.id}", {"profile_id": owner}, 200, receipt)
        writer.ledger.sales[receipt] = replace(sale, profile_id=owner)
        writer.ledger.acknowledged["move to another profile"] += 1


async def void(writer: Writer) -> None:
    """A transaction counts no longer, or counts again."""
    if (receipt := writer.own()) is not None:
        sale = writer.ledger.sales[receipt]
        await writer.change("PUT", f"{TRANSACTIONS}/{sale.id}", {"is_void": not sale.is_void}, 200, receipt)
        writer.ledger.sales[receipt] = replace(sale, is_void=not sale.is_void)
        writer.ledger.acknowledged["void, or no longer void"] += 1


async def duplicate(writer: Writer) -> None:
    """An external id that another writer may have taken: then the transaction is refused."""
    receipt = writer.next_name()
    body = writer.sale(receipt, writer.random.choice(writer.shared), named=False)
    body["external_id"] = f"shared-{writer.random.randrange(500)}"
    content, headers = json.dumps(body).encode(), {"Idempotency-Key": receipt, "Content-Type": JSON}
    answer, _ = await writer.send_until_answered("POST", TRANSACTIONS, content, headers, (receipt,))
    shown = json.loads(answer.content)
    if answer.status_code == 201:
        writer.acknowledge(body, shown["data"]["id"])
        writer.ledger.acknowledged["transaction"] += 1
    else:
        assert answer.status_code == 422, answer.text
        assert shown["errors"].keys() == {"external_id"}, answer.text
        writer.ledger.deleted.add(receipt)


async def invalid(writer: Writer) -> None:
    """A batch whose second row is refused; the first is stored."""
    receipts = (writer.next_name(), writer.next_name())
    bodies = [writer.sale(each, writer.random.choice(writer.shared), named=True) for each in receipts]
    bodies[1] |= writer.random.choice([{"total": None}, {"profile_id": "nobody"}, {"transacted_at": "soon"}])
    shown = await writer.post(f"{TRANSACTIONS}/batch.json", {"transactions": bodies}, 200, receipts)
    ids = shown["data"]["ids"]
    assert [each is None for each in ids] == [False, True], f"the second of two rows is invalid: {shown}"
    writer.acknowledge(bodies[0], ids[0])
    writer.ledger.deleted.add(receipts[1])
    writer.ledger.acknowledged["batch.json with an invalid row"] += 1


async def repeated(writer: Writer) -> None:
    """Sends one transaction three times concurrently with the same key."""
    receipt = writer.next_name()
    body = writer.sale(receipt, writer.random.choice(writer.shared), named=False)
    content, headers = json.dumps(body).encode(), {"Idempotency-Key": receipt, "Content-Type": JSON}
    answers = await asyncio.gather(
        *(writer.send_until_answered("POST", TRANSACTIONS, content, headers, (receipt,)) for _ in range(3))
    )
    contents = {(answer.status_code, answer.content) for answer, _ in answers}
    assert len(contents) == 1, f"POST {TRANSACTIONS}, three times concurrently: {contents}"
    assert answers[0][0].status_code == 201, f"POST {TRANSACTIONS}: {contents}"
    writer.acknowledge(body, json.loads(answers[0][0].content)["data"]["id"])
    writer.ledger.acknowledged["transaction, sent three times concurrently"] += 1


async def join(writer: Writer) -> None:
    """A profile is created and buys something."""
    name = writer.next_name()
    shown = await writer.post(PROFILES, {"external_id": name, "first_name": "Kari"}, 201)
    profile_id = shown["data"]["id"]
    writer.ledger.profiles[profile_id] = "active"
    receipt = writer.next_name()
    body = writer.sale(receipt, profile_id, named=True)
    shown = await writer.post(TRANSACTIONS, body, 201, (receipt,))
    writer.acknowledge(body, shown["data"]["id"])
    writer.ledger.acknowledged["new profile"] += 1


async def merge(writer: Writer) -> None:
    """Two profiles become one."""
    if len(own := writer.own_profiles()) < 2:
        return await join(writer)
    source, destination = writer.random.sample(own, 2)
    body = {"source_profile_id": source, "destination_profile_id": destination}
    await writer.post(f"{PROFILES}/merge", body, 200)
    writer.ledger.profiles[source] = "merged"
    for each in [source, *(one for one, other in writer.merged_into.items() if other == source)]:
        writer.merged_into[each] = destination
    for receipt, sale in writer.ledger.sales.items():
        if sale.profile_id == source:
            writer.ledger.sales[receipt] = replace(sale, profile_id=destination)
    writer.ledger.acknowledged["merge"] += 1
    return None


async def leave(writer: Writer) -> None:
    """A profile is deleted; its transactions stay."""
    if own := writer.own_profiles():
        profile_id = writer.random.choice(own)
        await writer.change("DELETE", f"{PROFILES}/{profile_id}", None, 204)
        writer.ledger.profiles[profile_id] = "deleted"
        writer.ledger.acknowledged["deletion of a profile"] += 1


async def purge(writer: Writer) -> None:
    """A profile is purged with its transactions; requests that name it are not sent again."""
    if own := writer.own_profiles():
        profile_id = writer.random.choice(own)
        await writer.change("DELETE", f"{PROFILES}/{profile_id}/purge", None, 204)
        all_gone = [profile_id, *(one for one, other in writer.merged_into.items() if other == profile_id)]
        writer.ledger.profiles |= dict.fromkeys(all_gone, "purged")
        gone = [receipt for receipt, sale in writer.ledger.sales.items() if sale.profile_id == profile_id]
        for receipt in gone:
            del writer.ledger.sales[receipt]
        writer.ledger.deleted.update(gone)
        writer.ledger.requests = [
            each
            for each in writer.ledger.requests
            if not any(one.encode() in each.response or one.encode() in each.body for one in all_gone)
        ]
        writer.ledger.acknowledged["purge"] += 1


WRITE_OPERATIONS: tuple[WriteOperation, ...] = (
    *[single] * 6,
    *[batch] * 2,
    *[imported] * 1,
    *[events] * 2,
    *[change] * 2,
    move,
    void,
    invalid,
    repeated,
    delete,
    *[join] * 2,
    merge,
    leave,
    purge,
)
"""Operations are selected as often as they are listed."""


async def replay_requests(http: httpx.AsyncClient, requests: list[Request]) -> list[str]:
    """Repeats requests, and returns the differences of the responses."""
    found = []
    for each in requests:
        headers = {"Idempotency-Key": each.key, "Content-Type": each.content_type}
        answer = await _post(http, each.path, each.body, headers)
        if (answer.status_code, answer.content) != (each.status, each.response):
            found.append(
                f"POST {each.path} with key {each.key}: {answer.status_code} {answer.text[:200]}, "
                f"first {each.status} {each.response[:200].decode()}"
            )
    return found


async def _post(http: httpx.AsyncClient, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    """The answer to a request, which is sent again while a worker of a killed server ends."""
    until = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            answer = await http.post(path, content=body, headers=headers)
            if answer.status_code != 503 or time.monotonic() > until:
                return answer
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)


async def find_spend_mismatches(http: httpx.AsyncClient, ledger: Ledger, profiles: list[str]) -> list[str]:
    """Compares the sums that the API answers with those of a ledger; gives what differs.

    Where a write was never answered the sums are not known, so nothing is compared.
    """
    if ledger.unanswered:
        return []
    query = {"profile_ids": profiles, "names": ["profile_id", "spend_all"]}
    answer = await http.post("/api/v3/profiles/aggregations/query", json=query)
    assert answer.status_code == 200, answer.text
    sums = ledger.spend_by_profile()
    values = {each["profile_id"]: Decimal(str(each["spend_all"] or 0)) for each in answer.json()["data"]}
    return [
        f"profile {each}: spend_all is {values.get(each)}, acknowledged are {sums[each]}"
        for each in profiles
        if values.get(each) != sums[each]
    ]
