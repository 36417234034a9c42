"""Every route there is, as the registry knows them: nobody is let in who should not be."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import httpx
import pytest_asyncio

from api.report_calls import EVERYTHING, Reporting, reporting_on
from clubs import SetClock
from regulars.access import permits
from regulars.api.endpoint import Caller, Endpoint
from regulars.api.registry import ENDPOINTS
from regulars.storage.database import Database

OF_REPORTS = [each for each in ENDPOINTS if each.caller is Caller.REPORTING]


@pytest_asyncio.fixture
async def reporting(database: Database, clock: SetClock) -> AsyncIterator[Reporting]:
    """Two clubs of an organization and a foreign one."""
    async with reporting_on(database, clock) as found:
        yield found


async def called(
    reporting: Reporting, endpoint: Endpoint, token: str | None, customer: str | None = None, slug: str | None = None
) -> httpx.Response:
    """The answer of an endpoint; whatever its path asks for has some name."""
    headers = {
        "Authorization": None if token is None else f"Bearer {token}",
        "X-Customer": customer,
        "X-Loyalty-Club-Slug": slug,
    }
    path = re.sub(r"{\w+}", "00000000-0000-0000-0000-000000000001", endpoint.path)
    sent = {name: value for name, value in headers.items() if value is not None}
    return await reporting.http.request(endpoint.method, path, headers=sent, content=b"{}")


def told(answer: httpx.Response, endpoint: Endpoint) -> str:
    """What an answer says is wrong, in the shape of its API."""
    return str(answer.json()["error" if endpoint.caller is Caller.REPORTING else "message"])


Refused = dict[tuple[str, str], int]


async def refused(
    reporting: Reporting,
    endpoints: Sequence[Endpoint],
    token: str | None,
    customer: str | None = None,
    slug: str | None = None,
    naming: str = "",
) -> Refused:
    """How each endpoint answers, once it has said in the shape of its API what is wrong, and named something."""
    found = {}
    for endpoint in endpoints:
        answer = await called(reporting, endpoint, token, customer, slug)
        assert naming.format(permit=endpoint.permit) in told(answer, endpoint)
        found[endpoint.method, endpoint.path] = answer.status_code
    return found


def each(endpoints: Sequence[Endpoint], status: int | Mapping[Caller, int]) -> Refused:
    """One answer for all endpoints, or for all of a caller."""
    return {
        (endpoint.method, endpoint.path): status if isinstance(status, int) else status[endpoint.caller]
        for endpoint in endpoints
    }


def test_no_route_is_open_to_anyone_and_each_of_reports_needs_a_permit() -> None:
    assert not [endpoint.path for endpoint in ENDPOINTS if endpoint.caller is Caller.ANYONE]
    assert OF_REPORTS
    assert {endpoint.permit for endpoint in OF_REPORTS} <= set(permits.EVERY)


async def test_no_token_is_401(reporting: Reporting) -> None:
    customer = f"id={reporting.clubs[0].id}"
    for token in (None, "", "rg_made-up"):
        assert await refused(reporting, ENDPOINTS, token, customer) == each(ENDPOINTS, 401)


async def test_a_token_that_ended_is_401(reporting: Reporting) -> None:
    club = reporting.clubs[0]
    token = await reporting.new_token(community_id=club.id, expires_at=reporting.clock() + timedelta(seconds=1))
    reporting.clock.step(seconds=1)
    assert await refused(reporting, ENDPOINTS, token, f"id={club.id}") == each(ENDPOINTS, 401)


async def test_a_token_of_another_organization_is_refused(reporting: Reporting) -> None:
    nord = reporting.clubs[0]
    theirs = await reporting.new_token(EVERYTHING, reporting.foreign)
    expected = each(ENDPOINTS, {Caller.COMMUNITY: 403, Caller.MEMBER: 401, Caller.PROVIDER: 401, Caller.REPORTING: 403})
    for customer, slug in ((f"id={nord.id}", None), (None, nord.slug)):
        assert await refused(reporting, ENDPOINTS, theirs, customer, slug) == expected


async def test_a_missing_permit_is_403_and_named(reporting: Reporting) -> None:
    for granted in ([], [permits.EXPORT, permits.TENANTS_EXPORT], ["Reporting:Api:Report:*"], ["Reporting:Api:Querys"]):
        token = await reporting.new_token(granted)
        needing = [endpoint for endpoint in OF_REPORTS if endpoint.permit not in granted]
        assert await refused(reporting, needing, token, "all=all", naming="{permit}") == each(needing, 403)


async def test_a_foreign_customer_is_403(reporting: Reporting) -> None:
    nord, syd, foreign = *reporting.clubs, reporting.foreign
    bound = await reporting.new_token(community_id=nord.id)
    for token in (reporting.token, bound):
        for customer in (f"id={foreign.id}", f"{foreign.id}", f"id={nord.id}_{foreign.id}", "name=fremd"):
            assert await refused(reporting, OF_REPORTS, token, customer) == each(OF_REPORTS, 403)
        assert await refused(reporting, OF_REPORTS, token, None, foreign.slug) == each(OF_REPORTS, 403)
    assert await refused(reporting, OF_REPORTS, bound, f"id={syd.id}") == each(OF_REPORTS, 403)


async def test_no_customer_is_470_and_one_that_is_malformed_471(reporting: Reporting) -> None:
    assert await refused(reporting, OF_REPORTS, reporting.token) == each(OF_REPORTS, 470)
    assert await refused(reporting, OF_REPORTS, reporting.token, "id=") == each(OF_REPORTS, 471)
