"""The Reporting API over HTTP: who is let in, about whom, at what cost, and how it says no."""

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
    """Two clubs of an organization and a foreign one."""
    async with reporting_client(database, clock) as found:
        yield found


def limit(answer: httpx.Response) -> tuple[str, int, int]:
    """What an answer tells of the rate limit: bucket, what remains, cost."""
    headers = answer.headers
    return headers["ratelimit-bucket"], int(headers["ratelimit-remaining"]), int(headers["ratelimit-cost"])


def refused(answer: httpx.Response, status: int) -> str:
    """The error of an answer that must be of this status, in the shape of this API."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == ({"error", "details"} if status == 422 else {"error"})
    assert isinstance(body["error"], str)
    assert body["error"]
    return str(body["error"])


# Who is let in -----------------------------------------------------------------------------------------------


async def test_a_token_goes_in_either_header(reporting: ReportingClient) -> None:
    both = ["nord", "syd"]
    assert record_names(await reporting.query()) == both
    bearer = {"X-Client-Authorization": "", "Authorization": f"Bearer {reporting.token}"}
    assert record_names(await reporting.query(headers=bearer)) == both
    # Where both are sent, the API's own one counts.
    assert record_names(await reporting.query(headers={"Authorization": "Bearer other"})) == both


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"Authorization": "Bearer"}])
async def test_without_a_token_nothing_is_told(reporting: ReportingClient, headers: dict[str, str]) -> None:
    answer = await reporting.http.post(QUERY, headers={**headers, "X-Customer": "all=all"}, json={"report": "samples"})
    assert "X-Client-Authorization" in refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not LIMIT_HEADERS & set(answer.headers)


async def test_a_token_that_is_unknown_or_expired_is_401(reporting: ReportingClient) -> None:
    expiring = await reporting.new_token(expires_at=reporting.clock() + timedelta(minutes=1))
    assert record_names(await reporting.query(token=expiring)) == ["nord", "syd"]
    reporting.clock.advance(minutes=1)
    for token in (expiring, "rg_unknown", "é"):
        sent = {b"X-Client-Authorization": token.encode(), b"X-Customer": b"all=all"}
        refused(await reporting.http.post(QUERY, headers=sent, json={"report": "samples"}), 401)


async def test_each_permit_that_is_missing_is_named(reporting: ReportingClient) -> None:
    for permits, missing in (
        ([], "Reporting:Api:Query"),
        (["Reporting:Api:Report:*"], "Reporting:Api:Query"),
        (["Reporting:Api:Query"], "Reporting:Api:Report:Samples"),
        (["Reporting:Api:Query", "Reporting:Api:Report:SamplesCount"], "Reporting:Api:Report:Samples"),
    ):
        token = await reporting.new_token(permits)
        assert f"lacks the permit {missing}." in refused(await reporting.query(token=token), 403)
    token = await reporting.new_token(["Reporting:Api:Query", "Reporting:Api:Report:Samples*"])
    assert record_names(await reporting.query(token=token)) == ["nord", "syd"]


async def test_a_member_s_token_is_good_for_no_report(reporting: ReportingClient) -> None:
    token = await reporting.new_token(
        community_id=reporting.clubs[0].id, profile_id="00000000-0000-0000-0000-000000000001"
    )
    assert "bound to one profile" in refused(await reporting.query(token=token), 403)


# About whom --------------------------------------------------------------------------------------------------


async def test_a_request_is_about_the_customers_that_its_headers_name(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    assert record_names(await reporting.query(customer=f"id={nord.id}")) == ["nord"]
    assert record_names(await reporting.query(customer=f"{nord.id}_{syd.id}")) == ["nord", "syd"]
    assert record_names(await reporting.query(customer="name=syd;country=NO")) == ["syd"]
    slug = {"X-Loyalty-Club-Slug": syd.slug}
    assert record_names(await reporting.query(customer=None, headers=slug)) == ["syd"]
    assert record_names(await reporting.query(customer=f"id={syd.id}", headers=slug)) == ["syd"]


async def test_headers_that_are_missing_wrong_or_out_of_reach_have_their_own_status(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    assert "X-Customer" in refused(await reporting.query(customer=None), 470)
    refused(await reporting.query(customer="id=nord"), 471)
    refused(await reporting.query(customer=f"id={nord.id}", headers={"X-Loyalty-Club-Slug": syd.slug}), 471)
    twice = [("X-Client-Authorization", reporting.token), *(("X-Customer", f"id={each.id}") for each in (nord, syd))]
    refused(await reporting.http.post(QUERY, headers=twice, json={"report": "samples"}), 471)
    for customer in (
        f"id={reporting.other_club.id}",
        f"id={nord.id}_{reporting.other_club.id}",
        "id=2147483648",
        "name=no",
    ):
        refused(await reporting.query(customer=customer), 403)
    refused(await reporting.query(customer=None, headers={"X-Loyalty-Club-Slug": reporting.other_club.slug}), 403)


async def test_foreign_repeated_and_ten_thousand_ids_never_show_another_s_row(reporting: ReportingClient) -> None:
    nord, foreign = reporting.clubs[0].id, reporting.other_club.id
    many = "_".join(map(str, range(10**9, 10**9 + 10_000)))
    for ids in (f"{foreign}", f"{nord}_{foreign}", f"{foreign}_{foreign}", many, f"{nord}_{many}", f"{many}_{foreign}"):
        assert "fremd" not in refused(await reporting.query(customer=f"id={ids}"), 403)
    assert record_names(await reporting.query(customer="id=" + "_".join([str(nord)] * 10_000))) == ["nord"]


async def test_a_token_of_another_organization_sees_only_its_own(reporting: ReportingClient) -> None:
    theirs = await reporting.new_token(of=reporting.other_club)
    assert record_names(await reporting.query(token=theirs)) == ["fremd"]
    refused(await reporting.query(token=theirs, customer=f"id={reporting.clubs[0].id}"), 403)


async def test_a_token_of_one_community_or_of_some_slugs_sees_those(reporting: ReportingClient) -> None:
    nord, syd = reporting.clubs
    assert record_names(await reporting.query(token=await reporting.new_token(community_id=syd.id))) == ["syd"]
    some = await reporting.new_token(customers=[nord.slug, reporting.other_club.slug])
    assert record_names(await reporting.query(token=some)) == ["nord"]


# What is asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"report": "samples"', b"\xff", b"[" * 100_000])
async def test_what_is_no_object_in_json_is_400(reporting: ReportingClient, body: bytes) -> None:
    answer = await reporting.query(body or b" ")
    refused(answer, 400)
    assert limit(answer)[2] == 1


async def test_parameters_that_can_not_be_are_told_in_the_shape_of_the_request(reporting: ReportingClient) -> None:
    filter_ = {"type": "and", "operations": [{"type": "equal", "field": "note", "value": "x"}]}
    answer = await reporting.query({"report": "samples", "filter": filter_, "colour": "red"})
    assert refused(answer, 422) == "Invalid parameters"
    details = answer.json()["details"]
    assert details["filter"]["operations"]["0"]["field"][0]["error"] == "not_filterable"
    assert details["colour"][0]["error"] == "unknown"
    unknown = (await reporting.query({"report": "nothing"})).json()["details"]["report"]
    assert unknown[0]["error"] == "inclusion"
    assert "samples" in unknown[0]["options"]["in"]


async def test_a_body_that_is_too_large_is_413(database: Database, clock: ManualClock) -> None:
    async with reporting_client(database, clock, Settings(max_report_request_bytes=1000)) as reporting:
        answer = await reporting.query({"report": "samples", "filter": "x" * 1000})
        assert "1000 bytes" in refused(answer, 413)
        assert limit(answer)[2] == 1


async def test_what_is_not_there_or_not_allowed_answers_in_this_api_s_shape(reporting: ReportingClient) -> None:
    for path in ("/v1/reporting", "/v1/reporting/nothing", "/v1/reporting/query/more"):
        refused(await reporting.http.post(path), 404)
    answer = await reporting.http.get(QUERY)
    refused(answer, 405)
    assert answer.headers["allow"] == "POST"
    # The Profile API's keep theirs.
    assert set((await reporting.http.get("/v1/reportings")).json()) == {"message"}
    assert set((await reporting.http.get("/api/v3/nothing")).json()) == {"message"}


async def test_every_format_is_answered_by_its_report(reporting: ReportingClient) -> None:
    day = {"from": "2026-11-01T00:00:00", "to": "2026-11-01T23:00:00"}
    for body, kind in (
        ({"report": "samples"}, "records"),
        ({"report": "samples_count"}, "records"),
        ({"report": "samples_stats", **day}, "statistics"),
        ({"report": "happenings_history", "interval": "1d", **day}, "timeseries"),
    ):
        answer = await reporting.query(body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["result_type"] == kind


async def test_metadata_tell_of_the_reports_that_a_token_may_ask_for(reporting: ReportingClient) -> None:
    some = await reporting.new_token(["Reporting:Api:Query", "Reporting:Api:Report:SamplesCount"])
    for body in (b"{}", b'{"report": null}', b" "):
        answer = await reporting.query(body, path=METADATA, token=some)
        assert [each["name"] for each in answer.json()["reports"]] == ["samples_count"]
        assert limit(answer)[2] == 1
    one = await reporting.query({"report": "samples_count"}, path=METADATA, token=some)
    assert one.json()["report"]["permit"] == "Reporting:Api:Report:SamplesCount"
    denied = await reporting.query({"report": "samples"}, path=METADATA, token=some)
    assert "Reporting:Api:Report:Samples:" in refused(denied, 403)
    refused(await reporting.query({"report": "nothing"}, path=METADATA), 422)


async def test_field_metadata_tell_the_values_of_the_customers_alone(reporting: ReportingClient) -> None:
    body = {"report": "samples", "field": "name"}
    answer = await reporting.query(body, path=FIELD_METADATA)
    assert answer.json()["values"] == [{"value": "nord", "count": 1}, {"value": "syd", "count": 1}]
    assert limit(answer)[2] == 1
    one = await reporting.query(body, path=FIELD_METADATA, customer=f"id={reporting.clubs[1].id}")
    assert one.json()["values"] == [{"value": "syd", "count": 1}]
    some = await reporting.new_token(["Reporting:Api:Query"])
    denied = await reporting.query(body, path=FIELD_METADATA, token=some)
    assert "Reporting:Api:Report:Samples:" in refused(denied, 403)
    refused(await reporting.query({"report": "samples", "field": "note"}, path=FIELD_METADATA), 422)


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


async def test_one_customer_pays_for_itself_and_several_by_their_organization(reporting: ReportingClient) -> None:
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


async def test_what_fails_before_it_runs_costs_1_and_says_so(reporting: ReportingClient) -> None:
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


async def test_what_only_the_customers_tell_wrong_costs_1_too(reporting: ReportingClient) -> None:
    years = {"report": "happenings_history", "interval": "1d", "from": "2025-11-01", "to": "2026-11-01"}
    answer = await reporting.query(years)
    refused(answer, 422)
    assert answer.json()["details"]["interval"][0]["error"] == "too_many_time_points"
    assert limit(answer)[1:] == (999, 1)
    refused(await reporting.query({"report": "samples", "page_info": "made-up"}), 422)
    assert limit(await reporting.query())[1:] == (996, 2)


async def test_a_client_waits_as_long_as_it_is_told_and_no_second_longer(reporting: ReportingClient) -> None:
    await reporting.set_limits(reporting_burst=3, reporting_rate_per_second=2)
    assert limit(await reporting.query())[1:] == (1, 2)
    four = {"type": "or", "operations": [{"type": "and", "operations": [{"type": "in", "field": "id", "value": [1]}]}]}
    assert limit(await reporting.query({"report": "samples", "filter": four}))[1:] == (-5, 6)
    for body in ({"report": "samples"}, {"report": "nothing"}):
        denied = await reporting.query(body)
        assert "exceeded" in refused(denied, 429)
        assert limit(denied)[1:] == (-5, 0)
        assert denied.headers["retry-after"] == "3"
    reporting.clock.advance(seconds=2)
    assert (await reporting.query()).status_code == 429
    reporting.clock.advance(seconds=1)
    assert limit(await reporting.query())[1:] == (-1, 2)


async def test_many_at_once_pass_no_more_than_there_is(reporting: ReportingClient) -> None:
    await reporting.set_limits(reporting_burst=10, reporting_rate_per_second=1)
    answers = await asyncio.gather(*(reporting.query() for _ in range(12)))
    assert sorted(each.status_code for each in answers) == [200] * 5 + [429] * 7


# What goes wrong here ----------------------------------------------------------------------------------------


async def test_a_failure_while_it_runs_is_500_with_what_it_has_cost(reporting: ReportingClient) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await reporting.query({"report": FAILING_REPORT.name})
    assert "logged" in refused(answer, 500)
    assert [(each["event"], each["path"]) for each in logged] == [("request.failed", QUERY)]
    assert isinstance(logged[0]["exc_info"], asyncpg.DivisionByZeroError)
    assert limit(answer)[1:] == (1000 - FAILING_REPORT.cost, FAILING_REPORT.cost)


async def test_a_database_that_is_not_there_is_503(database_urls: tuple[str, str], reporting: ReportingClient) -> None:
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
