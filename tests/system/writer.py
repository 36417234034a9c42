"""One who writes transactions in every way there is, and remembers what was answered."""

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
    """What a writer knows to be kept, by transaction: (profile, total, void or not), and what went wrong."""

    stored: dict[int, tuple[str | None, str, bool]] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Writer:
    """Writes until its time is up."""

    def __init__(self, http: httpx.AsyncClient, number: int, seed: int, profiles: list[str]) -> None:
        self.http = http
        self.number = number
        self.random = random.Random(f"{seed}-{number}")
        self.profiles = profiles
        self.report = Report()
        self._names = 0

    async def write(self, seconds: float) -> Report:
        """Does one thing after the other for some seconds."""
        ways = [
            *[self.single] * 5,
            *[self.batch] * 2,
            *[self.change] * 3,
            self.void,
            self.delete,
            self.move,
            self.duplicate,
            self.bad,
            *[self.repeated] * 2,
        ]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                await self.random.choice(ways)()
            except (httpx.HTTPError, AssertionError) as error:
                self.report.failures.append(f"writer {self.number}: {type(error).__name__} {error}")
        return self.report

    # What is sent ----------------------------------------------------------------------------------------

    def body(self, **more: Any) -> dict[str, Any]:
        """A transaction of a hot profile, now and then of nobody."""
        self._names += 1
        draw = self.random
        item: dict[str, Any] = {"name": "Thing", "price_current": 10, "price_sell": 10, "quantity": 1}
        if draw.random() < 0.3:
            # Products and places that others make at the same moment.
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
        """An amount, now and then that of a return."""
        return round(self.random.uniform(-50, 200), 2)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Sends a request; what is no answer at all, or a fault of the server, is a failure."""
        answer = await self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
        key = f"{method} {answer.status_code}"
        self.report.answers[key] = self.report.answers.get(key, 0) + 1
        return answer

    def keep(self, shown: dict[str, Any]) -> None:
        """Remembers a transaction as it was answered."""
        self.report.stored[shown["id"]] = shown["profile_id"], str(shown["total"]), shown["is_void"]

    def mine(self) -> int | None:
        """One of the transactions that this writer knows of."""
        return self.random.choice(list(self.report.stored)) if self.report.stored else None

    # The ways to write -----------------------------------------------------------------------------------

    async def single(self) -> None:
        """One transaction."""
        answer = await self.send("POST", TRANSACTIONS, self.body())
        assert answer.status_code == 201, answer.text
        self.keep(shown(answer))

    async def batch(self) -> None:
        """Many, some of them bad: the others are kept."""
        rows = [self.body() for _ in range(self.random.randrange(2, 20))]
        bad = {place for place in range(len(rows)) if self.random.random() < 0.15}
        for place in bad:
            rows[place] |= self.random.choice([{"total": None}, {"profile_id": "nobody"}, {"transacted_at": "soon"}])
        answer = await self.send("POST", f"{TRANSACTIONS}/batch.json", {"transactions": rows})
        assert answer.status_code == 200, answer.text
        ids = shown(answer)["ids"]
        assert {place for place, each in enumerate(ids) if each is None} == bad, answer.text
        for row, transaction_id in zip(rows, ids, strict=True):
            if transaction_id is not None:
                self.report.stored[transaction_id] = row["profile_id"], str(row["total"]), False

    async def change(self) -> None:
        """Another total, or other lines."""
        if (transaction_id := self.mine()) is not None:
            new = self.body()
            changes = {"total": new["total"], "items": new["items"], "delete_existing_items": True}
            answer = await self.send("PUT", f"{TRANSACTIONS}/{transaction_id}", changes)
            assert answer.status_code == 200, answer.text
            self.keep(shown(answer))

    async def void(self) -> None:
        """No longer counted, or counted again."""
        if (transaction_id := self.mine()) is not None:
            is_void = {"is_void": not self.report.stored[transaction_id][2]}
            answer = await self.send("PUT", f"{TRANSACTIONS}/{transaction_id}", is_void)
            assert answer.status_code == 200, answer.text
            self.keep(shown(answer))

    async def delete(self) -> None:
        """Gone."""
        if (transaction_id := self.mine()) is not None:
            answer = await self.send("DELETE", f"{TRANSACTIONS}/{transaction_id}")
            assert answer.status_code == 204, answer.text
            del self.report.stored[transaction_id]

    async def move(self) -> None:
        """Another profile's."""
        if (transaction_id := self.mine()) is not None:
            owner = {"profile_id": self.random.choice(self.profiles)}
            answer = await self.send("PUT", f"{TRANSACTIONS}/{transaction_id}", owner)
            assert answer.status_code == 200, answer.text
            self.keep(shown(answer))

    async def duplicate(self) -> None:
        """An external id that another writer may have taken."""
        answer = await self.send("POST", TRANSACTIONS, self.body(external_id=f"shared-{self.random.randrange(500)}"))
        if answer.status_code == 201:
            self.keep(shown(answer))
        else:
            assert answer.json()["errors"].keys() == {"external_id"}, answer.text

    async def bad(self) -> None:
        """One that can't be taken."""
        answer = await self.send("POST", TRANSACTIONS, self.body(total="much"))
        assert answer.status_code == 422, answer.text

    async def repeated(self) -> None:
        """One with a key, sent several times at once and once more with another body."""
        body, key = self.body(), {"Idempotency-Key": f"{self.number}-{self._names}"}
        answers = await asyncio.gather(*(self.send("POST", TRANSACTIONS, body, **key) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
        assert len({answer.content for answer in answers}) == 1
        self.keep(shown(answers[0]))
        another = await self.send("POST", TRANSACTIONS, self.body(), **key)
        assert another.status_code == 422, another.text


def shown(answer: httpx.Response) -> dict[str, Any]:
    """The data of an answer, numbers with all their digits."""
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)["data"]
    return found
