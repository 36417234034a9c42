"""A client of segments over HTTP, and a club with profiles and purchases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from clubs import Club
from regulars.auth import tokens
from regulars.auth.tokens import NewToken

PATH = "/v1/reporting/segments"

WOMEN = {"type": "equal", "field": "gender", "value": "female"}
MEN = {"type": "equal", "field": "gender", "value": "male"}
REGULARS = {"type": "greater_or_equal_to", "field": "aggregations.shop_count", "value": 2}


def in_segment(name: str) -> dict[str, Any]:
    """The filter of a segment's members."""
    return {"type": "in_segment", "segment": name}


def negated(node: Mapping[str, Any]) -> dict[str, Any]:
    """The filter of all others."""
    return {"type": "not", "operation": node}


def all_of(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The filter of those that pass all."""
    return {"type": "and", "operations": list(nodes)}


@dataclass
class SegmentClient:
    """Sends requests about the segments of a club."""

    club: Club
    token: str
    customer: str

    async def send(
        self, method: str, path: str = "", body: Any = None, *, customer: str | None = None, **params: Any
    ) -> httpx.Response:
        """The response to a request below the path of segments."""
        headers = {"X-Client-Authorization": self.token, "X-Customer": customer or self.customer, "Authorization": ""}
        return await self.club.http.request(method, f"{PATH}{path}", headers=headers, json=body, params=params)

    async def create(self, name: str, filter_: Any, **more: Any) -> dict[str, Any]:
        """Creates a segment."""
        answer = await self.send("POST", "", {"name": name, "filter": filter_, **more})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()["segment"]
        return found

    async def get(self, path: str = "", **params: Any) -> Any:
        """The body of a response."""
        answer = await self.send("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def errors(self, method: str, path: str = "", body: Any = None, **params: Any) -> Any:
        """The details of a rejected request."""
        answer = await self.send(method, path, body, **params)
        assert answer.status_code == 422, answer.text
        return answer.json()["details"]

    async def query(self, report: str, *, customer: str | None = None, **body: Any) -> httpx.Response:
        """The response to a query of a report."""
        headers = {"X-Client-Authorization": self.token, "X-Customer": customer or self.customer, "Authorization": ""}
        return await self.club.http.post("/v1/reporting/query", headers=headers, json={"report": report, **body})

    async def member_ids(self, name: str, **params: Any) -> list[int]:
        """The ids of a segment's members."""
        return [each["id"] for each in (await self.get(f"/{name}/members", **params))["records"]]


async def segment_client(club: Club, permits: tuple[str, ...] = ("Reporting:*",)) -> SegmentClient:
    """A client with a token of the club's organization."""
    new = NewToken(club.community.organization_id, "segments", permits)
    async with club.database.unscoped_connection() as connection:
        token = await tokens.create(connection, new, club.clock())
    return SegmentClient(club, token, f"id={club.community.id}")
