"""The Reporting API over HTTP: authentication, customers, cost and errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
import structlog

from api.reporting_client import FAILING_REPORT, QUERY, ReportingClient, record_names, reporting_client
from clubs import ManualClock
from query.sample_reports import SAMPLES
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.errors import report_error_response

METADATA = "/v1/reporting/metadata"
FIELD_METADATA = "/v1/reporting/field_metadata"
LIMIT_HEADERS = {"ratelimit-bucket", "ratelimit-remaining", "ratelimit-cost"}


@pytest_asyncio.fixture
async def reporting(database: Database, clock: ManualClock) -> AsyncIterator[ReportingClient]:
    """Two clubs of one organization, and a club of another."""
    async with reporting_client(database, clock) as found:
        yield found


def limit(answer: httpx.Response) -> tuple[str, int, int]:
    """The rate limit headers of a response: bucket, remaining tokens and cost."""
    headers = answer.headers
    return headers["ratelimit-bucket"], int(headers["ratelimit-remaining"]), int(headers["ratelimit-cost"])


def rejected(answer: httpx.Response, status: int) -> str:
    """Asserts the status and the format of an error; returns its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == ({"error", "details"} if status == 422 else {"error"})
    assert isinstance(body["error"], str)
    assert body["error"]
    return str(body["error"])


# Who is let in -----------------------------------------------------------------------------------------------


async def test_a_token_is_accepted_in_either_header(reporting: ReportingClient) -> None:
    both = ["nord", "syd"]
    assert record_names(await reporting.query()) == both
    bearer = {"X-Client-Authorization": "", "Authorization": f"Bearer {reporting.token}"}
    assert record_names(await reporting.query(headers=bearer)) == both
    # If both are sent, the header of the API applies.
    assert record_names(await reporting.query(headers={"Authorization": "Bearer other"})) == both


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"Authorization": "Bearer"}])
async def test_a_report_requires_a_token(reporting: ReportingClient, headers: dict[str, str]) -> None:
    answer = await reporting.http.post(QUERY, headers={**headers, "X-Customer": "all=all"}, json={"report": "samples"})
    assert "X-Client-Authorization" in rejected(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not LIMIT_HEADERS & set(answer.headers)


async def test_an_unknown_or_expired_token_is_401(reporting: ReportingClient) -> None:
    expiring = await reporting.new_token(expires_at=reporting.clock() + timedelta(minutes=1))
    assert record_names(await reporting.query(token=expiring)) == ["nord", "syd"]
    reporting.clock.advance(minutes=1)
    for token in (expiring, "rg_unknown", "é"):
        sent = {b"X-Client-Authorization": token.encode(), b"X-Customer": b"all=all"}
        rejected(await reporting.http.post(QUERY, headers=sent, json={"report": "samples"}), 401)


async def test_a_missing_permit_is_403_and_named(reporting: ReportingClient) -> None:
    for permits, missing in (
        ([], "Reporting:Api:Query"),
        (["Reporting:Api:Report:*"], "Reporting:Api:Query"),
        (["Reporting:Api:Query"], "Reporting:Api:Report:Samples"),
        (["Reporting:Api:Query", "Reporting:Api:Report:SamplesCount"], "Reporting:Api:Report:Samples"),
    ):
        token = await reporting.new_token(permits)
        assert f"lacks the permit {missing}." in rejected(await reporting.query(token=token), 403)
    token = await reporting.new_token(["Reporting:Api:Query", "Reporting:Api:Report:Samples*"])
    assert record_names(await reporting.query(token=token)) == ["nord", "syd"]


async def test_a_member_token_may_not_query_reports(reporting: ReportingClient) -> None:
    token = await reporting.new_token(
        community_id=reporting.clubs[0].id, profile_id="00000000-0000-0000-0000-000000000001"
    )
    assert "bound to one profile" in rejected(await reporting.query(token=token), 403)


# About whom --------------------------------------------------------------------------------------------------


async def test_the_headers_select_the_customers_of_a_request(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    assert record_names(await reporting.query(customer=f"id={nord.id}")) == ["nord"]
    assert record_names(await reporting.query(customer=f"{nord.id}_{syd.id}")) == ["nord", "syd"]
    assert record_names(await reporting.query(customer="name=syd;country=NO")) == ["syd"]
    slug = {"X-Loyalty-Club-Slug": syd.slug}
    assert record_names(await reporting.query(customer=None, headers=slug)) == ["syd"]
    assert record_names(await reporting.query(customer=f"id={syd.id}", headers=slug)) == ["syd"]


async def test_missing_malformed_and_forbidden_customer_headers_have_their_own_status(
    reporting: ReportingClient,
) -> None:
    nord, syd = reporting.clubs
    assert "X-Customer" in rejected(await reporting.query(customer=None), 470)
    rejected(await reporting.query(customer="id=nord"), 471)
    rejected(await reporting.query(customer=f"id={nord.id}", headers={"X-Loyalty-Club-Slug": syd.slug}), 471)
    twice = [("X-Client-Authorization", reporting.token), *(("X-Customer", f"id={each.id}") for each in (nord, syd))]
    rejected(await reporting.http.post(QUERY, headers=twice, json={"report": "samples"}), 471)
    for customer in (
        f"id={reporting.other_club.id}",
        f"id={nord.id}_{reporting.other_club.id}",
        "id=2147483648",
        "name=no",
    ):
        rejected(await reporting.query(customer=customer), 403)
    rejected(await reporting.query(customer=None, headers={"X-Loyalty-Club-Slug": reporting.other_club.slug}), 403)


async def test_foreign_repeated_or_many_ids_never_show_rows_of_another_organization(reporting: ReportingClient) -> None:
    nord, foreign = reporting.clubs[0].id, reporting.other_club.id
    many = "_".join(map(str, range(10**9, 10**9 + 10_000)))
    for ids in (f"{foreign}", f"{nord}_{foreign}", f"{foreign}_{foreign}", many, f"{nord}_{many}", f"{many}_{foreign}"):
        assert "fremd" not in rejected(await reporting.query(customer=f"id={ids}"), 403)
    assert record_names(await reporting.query(customer="id=" + "_".join([str(nord)] * 10_000))) == ["nord"]


async def test_a_token_of_another_organization_sees_its_own_rows_only(reporting: ReportingClient) -> None:
    theirs = await reporting.new_token(of=reporting.other_club)
    assert record_names(await reporting.query(token=theirs)) == ["fremd"]
    rejected(await reporting.query(token=theirs, customer=f"id={reporting.clubs[0].id}"), 403)


async def test_a_token_of_some_communities_sees_their_rows_only(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    assert record_names(await reporting.query(token=await reporting.new_token(community_id=syd.id))) == ["syd"]
    some = await reporting.new_token(customers=[nord.slug, reporting.other_club.slug])
    assert record_names(await reporting.query(token=some)) == ["nord"]


# Requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"report": "samples"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_not_a_json_object_is_400(reporting: ReportingClient, body: bytes) -> None:
    answer = await reporting.query(body or b" ")
    rejected(answer, 400)
    assert limit(answer)[2] == 1


async def test_invalid_parameters_are_reported_in_the_structure_of_the_request(reporting: ReportingClient) -> None:
    filter_ = {"type": "and", "operations": [{"type": "equal", "field": "note", "value": "x"}]}
    answer = await reporting.query({"report": "samples", "filter": filter_, "colour": "red"})
    assert rejected(answer, 422) == "Invalid parameters"
    details = answer.json()["details"]
    assert details["filter"]["operations"]["0"]["field"][0]["error"] == "not_filterable"
    assert details["colour"][0]["error"] == "unknown"
    unknown = (await reporting.query({"report": "nothing"})).json()["details"]["report"]
    assert unknown[0]["error"] == "inclusion"
    assert "samples" in unknown[0]["options"]["in"]


async def test_a_report_request_that_is_too_large_is_413(database: Database, clock: ManualClock) -> None:
    async with reporting_client(database, clock, Settings(max_report_request_bytes=1000)) as reporting:
        answer = await reporting.query({"report": "samples", "filter": "x" * 1000})
        assert "1000 bytes" in rejected(answer, 413)
        assert limit(answer)[2] == 1


async def test_404_and_405_are_in_the_format_of_the_reporting_api(reporting: ReportingClient) -> None:
    for path in ("/v1/reporting", "/v1/reporting/nothing", "/v1/reporting/query/more"):
        rejected(await reporting.http.post(path), 404)
    answer = await reporting.http.get(QUERY)
    rejected(answer, 405)
    assert answer.headers["allow"] == "POST"
    # Errors of the Profile API have their own format.
    assert set((await reporting.http.get("/v1/reportings")).json()) == {"message"}
    assert set((await reporting.http.get("/api/v3/nothing")).json()) == {"message"}


async def test_every_format_is_returned_by_its_report(reporting: ReportingClient) -> None:
    day = {"from": "2026-11-01T00:00:00", "to": "2026-11-01T23:00:00"}
    for body, kind in (
        ({"report": "samples"}, "records"),
        ({"report": "samples_count"}, "records"),
        ({"report": "samples_stats", **day}, "statistics"),
        ({"report": "events_history", "interval": "1d", **day}, "timeseries"),
    ):
        answer = await reporting.query(body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["result_type"] == kind


async def test_metadata_lists_the_reports_that_a_token_may_query(reporting: ReportingClient) -> None:
    some = await reporting.new_token(["Reporting:Api:Query", "Reporting:Api:Report:SamplesCount"])
    for body in (b"{}", b'{"report": null}', b" "):
        answer = await reporting.query(body, path=METADATA, token=some)
        assert [each["name"] for each in answer.json()["reports"]] == ["samples_count"]
        assert limit(answer)[2] == 1
    one = await reporting.query({"report": "samples_count"}, path=METADATA, token=some)
    assert one.json()["report"]["permit"] == "Reporting:Api:Report:SamplesCount"
    denied = await reporting.query({"report": "samples"}, path=METADATA, token=some)
    assert "Reporting:Api:Report:Samples." in rejected(denied, 403)
    rejected(await reporting.query({"report": "nothing"}, path=METADATA), 422)


async def test_field_metadata_lists_values_of_the_selected_customers_only(reporting: ReportingClient) -> None:
    body = {"report": "samples", "field": "name"}
    answer = await reporting.query(body, path=FIELD_METADATA)
    assert answer.json()["values"] == [{"value": "nord", "count": 1}, {"value": "syd", "count": 1}]
    assert limit(answer)[2] == 1
    one = await reporting.query(body, path=FIELD_METADATA, customer=f"id={reporting.clubs[1].id}")
    assert one.json()["values"] == [{"value": "syd", "count": 1}]
    some = await reporting.new_token(["Reporting:Api:Query"])
    denied = await reporting.query(body, path=FIELD_METADATA, token=some)
    assert "Reporting:Api:Report:Samples." in rejected(denied, 403)
    rejected(await reporting.query({"report": "samples", "field": "note"}, path=FIELD_METADATA), 422)


# What it costs -----------------------------------------------------------------------------------------------


async def test_a_query_costs_its_report_and_its_filter(reporting: ReportingClient) -> None:
    one = {"type": "equal", "field": "points", "value": 1}
    nested: dict[str, Any] = {"type": "and", "operations": [{"type": "or", "operations": [one, one]}]}
    costs = [(None, SAMPLES.cost), (one, SAMPLES.cost), (nested, SAMPLES.cost + 4)]
    costs.append(({"type": "not", "operation": nested}, SAMPLES.cost + 5))
    remaining = 1000
    for filter_, cost in costs:
        remaining -= cost
        answer = await reporting.query({"report": "samples", "filter": filter_})
        assert answer.status_code == 200
        organization = reporting.clubs[0].organization_id
        assert limit(answer) == (f"organization:{organization}:reporting", remaining, cost)


async def test_a_request_for_one_customer_charges_the_customer_and_for_several_the_organization(
    reporting: ReportingClient,
) -> None:
    nord, syd = reporting.clubs
    for club in (nord, syd):
        answer = await reporting.query(customer=f"id={club.id}")
        assert limit(answer) == (f"customer:{club.id}:reporting", 998, 2)
    assert limit(await reporting.query(customer=f"id={nord.id}_{nord.id}"))[:2] == (
        f"customer:{nord.id}:reporting",
        996,
    )
    several = await reporting.query(customer=f"id={nord.id}_{syd.id}")
    assert limit(several)[:2] == (f"organization:{nord.organization_id}:reporting", 998)


async def test_a_request_that_fails_before_it_is_executed_costs_1(reporting: ReportingClient) -> None:
    nord = reporting.clubs[0]
    of_all, of_one = f"organization:{nord.organization_id}:reporting", f"customer:{nord.id}:reporting"
    poor = await reporting.new_token(["Reporting:Api:Query"])
    one = f"id={nord.id}"
    for answer, bucket, remaining in (
        (await reporting.query(customer=None), of_all, 999),
        (await reporting.query(customer="id=x"), of_all, 998),
        (await reporting.query(customer=f"id={reporting.other_club.id}"), of_all, 997),
        (await reporting.query(customer=one, token=await reporting.new_token([])), of_all, 996),
        (await reporting.query(customer=one, token=poor), of_one, 999),
        (await reporting.query({"report": "nothing"}, customer=one), of_one, 998),
        (await reporting.query(b"{", customer=one), of_one, 997),
    ):
        assert answer.status_code >= 400
        assert limit(answer) == (bucket, remaining, 1)


async def test_a_request_that_is_invalid_for_its_customers_costs_1(reporting: ReportingClient) -> None:
    years = {"report": "events_history", "interval": "1d", "from": "2025-11-01", "to": "2026-11-01"}
    answer = await reporting.query(years)
    rejected(answer, 422)
    assert answer.json()["details"]["interval"][0]["error"] == "too_many_time_points"
    assert limit(answer)[1:] == (999, 1)
    rejected(await reporting.query({"report": "samples", "page_info": "made-up"}), 422)
    assert limit(await reporting.query())[1:] == (996, 2)


async def test_a_client_is_accepted_again_after_retry_after_seconds(reporting: ReportingClient) -> None:
    await reporting.set_limits(reporting_burst=3, reporting_rate_per_second=2)
    assert limit(await reporting.query())[1:] == (1, 2)
    four = {"type": "or", "operations": [{"type": "and", "operations": [{"type": "in", "field": "id", "value": [1]}]}]}
    assert limit(await reporting.query({"report": "samples", "filter": four}))[1:] == (-5, 6)
    for body in ({"report": "samples"}, {"report": "nothing"}):
        denied = await reporting.query(body)
        assert "exceeded" in rejected(denied, 429)
        assert limit(denied)[1:] == (-5, 0)
        assert denied.headers["retry-after"] == "3"
    reporting.clock.advance(seconds=2)
    assert (await reporting.query()).status_code == 429
    reporting.clock.advance(seconds=1)
    assert limit(await reporting.query())[1:] == (-1, 2)


async def test_concurrent_requests_do_not_exceed_the_rate_limit(reporting: ReportingClient) -> None:
    await reporting.set_limits(reporting_burst=10, reporting_rate_per_second=1)
    answers = await asyncio.gather(*(reporting.query() for _ in range(12)))
    assert sorted(each.status_code for each in answers) == [200] * 5 + [429] * 7


# What goes wrong here ----------------------------------------------------------------------------------------


async def test_a_failure_during_execution_is_500_and_charged(reporting: ReportingClient) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await reporting.query({"report": FAILING_REPORT.name})
    assert "logged" in rejected(answer, 500)
    assert [(each["event"], each["path"]) for each in logged] == [("request.failed", QUERY)]
    assert isinstance(logged[0]["exc_info"], asyncpg.DivisionByZeroError)
    assert limit(answer)[1:] == (1000 - FAILING_REPORT.cost, FAILING_REPORT.cost)


async def test_an_unavailable_database_is_503(database_urls: tuple[str, str], reporting: ReportingClient) -> None:
    app_role = await asyncpg.connect(database_urls[1])
    await app_role.close()
    with pytest.raises(asyncpg.InterfaceError) as error:
        await app_role.fetch("SELECT 1")
    for each in (
        error.value,
        ConnectionRefusedError(),
        asyncpg.AdminShutdownError(),
        asyncpg.TooManyConnectionsError(),
    ):
        answer = report_error_response(each)
        assert (answer.status_code, bytes(answer.body)[:9]) == (503, b'{"error":')
