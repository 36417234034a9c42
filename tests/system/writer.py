"""A client that writes transactions in every way, and records the responses."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

TRANSACTIONS = "/api/v3/transactions"
TIMEOUT = 30.0


@dataclass
class Report:
    """The stored transactions that a writer knows, as (profile, total, is_void), and its failures."""

    stored: dict[int, tuple[str | None, str, bool]] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Writer:
    """Writes transactions for some time."""

    def __init__(self, http: httpx.AsyncClient, number: int, seed: int, profiles: list[str]) -> None:
        self.http = http
        self.number = number
        self.random = random.Random(f"{seed}-{number}")
        self.profiles = profiles
        self.report = Report()
        self._names = 0

    async def write(self, seconds: float) -> Report:
        """Runs random operations for some seconds."""
        operations = [
            *[self.single] * 5,
            *[self.batch] * 2,
            *[self.change] * 3,
            self.void,
            self.delete,
            self.move,
            self.duplicate,
            self.invalid,
            *[self.repeated] * 2,
        ]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                await self.random.choice(operations)()
            except (httpx.HTTPError, AssertionError) as error:
                self.report.failures.append(f"writer {self.number}: {type(error).__name__} {error}")
        return self.report

    # Requests -------------------------------------------------------------------------------------------

    def body(self, **more: Any) -> dict[str, Any]:
        """Returns a transaction of a frequently written profile, sometimes without a profile."""
        self._names += 1
        draw = self.random
        item: dict[str, Any] = {"name": "Thing", "price_current": 10, "price_sell": 10, "quantity": 1}
        if draw.random() < 0.3:
            # Other writers create the same products and locations concurrently.
            item["product_variant"] = {
                "sku": f"sku-{draw.randrange(20)}",
                "product": {"name": "Thing", "brand": "Acme"},
            }
        body = {
            "external_id": f"w{self.number}-{self._names}",
            "profile_id": draw.choice(self.profiles) if draw.random() < 0.95 else None,
            "transacted_at": f"2026-0{draw.randrange(1, 9)}-{draw.randrange(10, 29)} 12:00:00",
            "timezone": "Europe/Oslo",
            "total": self.total(),
            "items": [item] * draw.randrange(1, 4),
        }
        if draw.random() < 0.5:
            body["location_id"] = f"store-{draw.randrange(30)}"
        return body | more

    def total(self) -> float:
        """Returns an amount, sometimes that of a return."""
        return round(self.random.uniform(-50, 200), 2)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Sends a request. A missing response or a 5xx is a failure."""
        answer = await self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
        key = f"{method} {answer.status_code}"
        self.report.answers[key] = self.report.answers.get(key, 0) + 1
        return answer

    def record(self, transaction: dict[str, Any]) -> None:
        """Records a transaction as it was returned."""
        stored = transaction["profile_id"], str(transaction["total"]), transaction["is_void"]
        self.report.stored[transaction["id"]] = stored

    def random_transaction(self) -> int | None:
        """Returns a transaction of this writer, or None."""
        return self.random.choice(list(self.report.stored)) if self.report.stored else None

    # Operations ------------------------------------------------------------------------------------------

    async def single(self) -> None:
        """Creates one transaction."""
        answer = await self.send("POST", TRANSACTIONS, self.body())
        assert answer.status_code == 201, answer.text
        self.record(parse_data(answer))

    async def batch(self) -> None:
        """Creates a batch with some invalid rows; the others are stored."""
        rows = [self.body() for _ in range(self.random.randrange(2, 20))]
        invalid = {index for index in range(len(rows)) if self.random.random() < 0.15}
        for index in invalid:
            rows[index] |= self.random.choice([{"total": None}, {"profile_id": "unknown"}, {"transacted_at": "soon"}])
        answer = await self.send("POST", f"{TRANSACTIONS}/batch.json", {"transactions": rows})
        assert answer.status_code == 200, answer.text
        ids = parse_data(answer)["ids"]
        assert {index for index, each in enumerate(ids) if each is None} == invalid, answer.text
        for row, transaction_id in zip(rows, ids, strict=True):
            if transaction_id is not None:
                self.report.stored[transaction_id] = row["profile_id"], str(row["total"]), False

    async def change(self) -> None:
        """Changes the total and the items of a transaction."""
        if (transaction_id := self.random_transaction()) is not None:
            new = self.body()
            changes = {"total": new["total"], "items": new["items"], "delete_existing_items": True}
            answer = await self.send("PUT", f"{TRANSACTIONS}/{transaction_id}", changes)
            assert answer.status_code == 200, answer.text
            self.record(parse_data(answer))

    async def void(self) -> None:
        """Voids a transaction, or restores it."""
        if (transaction_id := self.random_transaction()) is not None:
            is_void = {"is_void": not self.report.stored[transaction_id][2]}
            answer = await self.send("PUT", f"{TRANSACTIONS}/{transaction_id}", is_void)
            assert answer.status_code == 200, answer.text
            self.record(parse_data(answer))

    async def delete(self) -> None:
        """Deletes a transaction."""
        if (transaction_id := self.random_transaction()) is not None:
            answer = await self.send("DELETE", f"{TRANSACTIONS}/{transaction_id}")
            assert answer.status_code == 204, answer.text
            del self.report.stored[transaction_id]

    async def move(self) -> None:
        """Moves a transaction to another profile."""
        if (transaction_id := self.random_transaction()) is not None:
            owner = {"profile_id": self.random.choice(self.profiles)}
            answer = await self.send("PUT", f"{TRANSACTIONS}/{transaction_id}", owner)
            assert answer.status_code == 200, answer.text
            self.record(parse_data(answer))

    async def duplicate(self) -> None:
        """Creates a transaction whose external id another writer may have used."""
        answer = await self.send("POST", TRANSACTIONS, self.body(external_id=f"shared-{self.random.randrange(500)}"))
        if answer.status_code == 201:
            self.record(parse_data(answer))
        else:
            assert answer.json()["errors"].keys() == {"external_id"}, answer.text

    async def invalid(self) -> None:
        """Sends an invalid transaction."""
        answer = await self.send("POST", TRANSACTIONS, self.body(total="much"))
        assert answer.status_code == 422, answer.text

    async def repeated(self) -> None:
        """Sends a transaction with a key several times concurrently, and once with another body."""
        body, key = self.body(), {"Idempotency-Key": f"{self.number}-{self._names}"}
        answers = await asyncio.gather(*(self.send("POST", TRANSACTIONS, body, **key) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
        assert len({answer.content for answer in answers}) == 1
        self.record(parse_data(answers[0]))
        another = await self.send("POST", TRANSACTIONS, self.body(), **key)
        assert another.status_code == 422, another.text


def parse_data(answer: httpx.Response) -> dict[str, Any]:
    """Returns the data of a response, with exact numbers."""
    data: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)["data"]
    return data
