"""Metrics: requests, rows, connections and the state of the database."""

from pathlib import Path
from uuid import uuid4

import pytest

from api.transaction_client import V3, create_profile, create_transaction, get_values, sale
from clubs import Club
from prometheus_scrape import Scrape, parse_scrape
from regulars.ingest.transactions import StoredTransaction
from regulars.ingest.transactions import WriteStatus as Outcome
from regulars.ingest.write_queue import CommitResult
from regulars.observability import metrics
from regulars.observability.exporter import MetricsExporter
from regulars.observability.metrics import MetricSpec, MetricType
from regulars.storage.database import Database

REQUESTS, REQUEST_DURATION = metrics.request_metrics((("GET", "/api/v3/profiles"),))
DECLARED = (REQUESTS, REQUEST_DURATION, *metrics.process_metrics(), *metrics.database_metrics())
NDJSON = {"Content-Type": "application/x-ndjson"}
DOCS = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def alone() -> MetricsExporter:
    """The metrics of a process that has no database."""
    return MetricsExporter(Database("postgresql://nowhere", 1))


async def scrape(club: Club) -> Scrape:
    answer = await club.http.get("/metrics", headers={"Authorization": ""})
    assert answer.status_code == 200
    return parse_scrape(answer.text)


def of_endpoint(found: Scrape, path: str) -> dict[tuple[str, str], float]:
    return {
        (labels["method"], labels["status"]): number
        for labels, number in found.series("regulars_http_requests_total")
        if labels["path"] == path
    }


async def test_requests_are_counted_by_endpoint_and_status(club: Club) -> None:
    for external_id in ("a", "b"):
        await create_profile(club, external_id=external_id)
    await club.http.post(f"{V3}/profiles", content="{")
    await club.http.get(f"{V3}/profiles", headers={"Authorization": ""})
    found = of_endpoint(await scrape(club), "/api/v3/profiles")
    assert found == {("POST", "201"): 2, ("POST", "400"): 1, ("GET", "401"): 1}


async def test_each_request_is_in_one_bucket_of_the_duration(club: Club) -> None:
    profile_id = await create_profile(club)
    for _ in range(3):
        await get_values(club, profile_id)
    found = await scrape(club)
    path = "/api/v3/profiles/{id}/aggregations"
    buckets = [
        number
        for labels, number in found.series("regulars_http_request_duration_seconds_bucket")
        if labels["path"] == path and labels["method"] == "GET"
    ]
    assert len(buckets) == len(metrics.DURATION_BUCKETS) + 1
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert found.value("regulars_http_request_duration_seconds_count", method="GET", path=path) == 3
    assert 0 < found.value("regulars_http_request_duration_seconds_sum", method="GET", path=path) < 60


@pytest.mark.parametrize(
    ("seconds", "bound"), [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (10.0, "10.0"), (10.1, "+Inf")]
)
def test_a_bucket_contains_durations_up_to_its_bound(seconds: float, bound: str) -> None:
    family = REQUEST_DURATION.to_family(
        [
            [float(index == metrics.bucket_index(seconds)) for index in range(metrics.SUM_INDEX)] + [seconds]
            for _ in REQUEST_DURATION.label_values
        ]
    )
    first = next(each for each in family.samples if each.name.endswith("_bucket") and each.value == 1)
    assert first.labels["le"] == bound


async def test_transactions_are_counted_by_outcome(club: Club) -> None:
    await create_transaction(club, sale(external_id="1"))
    await create_transaction(club, sale(external_id="2", profile_id=str(uuid4())), 422)
    import_row = '{"external_id": "3", "transacted_at": "2026-10-01T10:00:00Z", "total": 5}\n'
    for _ in range(2):
        await club.http.post("/v1/import/transactions", content=import_row, headers=NDJSON)
    found = await scrape(club)
    assert found.value("regulars_transaction_batches_total") == 3
    assert found.value("regulars_transaction_rows_total", outcome="accepted") == 2
    assert found.value("regulars_transaction_rows_total", outcome="rejected") == 1


async def test_two_requests_with_one_key_in_a_batch_are_counted_once() -> None:
    exporter = alone()
    first, other = (
        CommitResult([StoredTransaction(1, Outcome.ACCEPTED)]),
        CommitResult([StoredTransaction(2, Outcome.UNCHANGED)]),
    )
    exporter.observe_commit([first, other, first])
    found = parse_scrape((await exporter.exposition())[0].decode())
    assert found.series("regulars_transaction_rows_total") == [
        ({"outcome": "accepted"}, 1),
        ({"outcome": "unchanged"}, 1),
        ({"outcome": "rejected"}, 0),
    ]


async def test_imports_are_counted_by_entity(club: Club) -> None:
    rows = '{"external_id": "P1"}\n{"external_id": "P2"}\n{}\n'
    await club.http.post("/v1/import/profiles", content=rows, headers=NDJSON)
    await club.http.post("/v1/import/profiles", content=rows, headers=NDJSON)
    found = await scrape(club)
    outcomes = {
        labels["outcome"]: number
        for labels, number in found.series("regulars_import_rows_total")
        if labels["entity"] == "profiles"
    }
    assert outcomes == {"accepted": 2, "unchanged": 2, "rejected": 2}
    assert found.value("regulars_import_rows_total", entity="locations", outcome="accepted") == 0


async def test_a_dry_run_of_an_import_is_not_counted(club: Club) -> None:
    await club.http.post("/v1/import/profiles?dry_run=1", content='{"external_id": "P1"}\n', headers=NDJSON)
    assert {number for _, number in (await scrape(club)).series("regulars_import_rows_total")} == {0}


async def test_gauges_of_the_process_are_exported(club: Club) -> None:
    found = await scrape(club)
    states = {labels["state"]: number for labels, number in found.series("regulars_database_connections")}
    assert states["idle"] + states["used"] == club.database.pool.get_size()
    assert found.value("regulars_workers") == 1
    assert found.value("regulars_database_up") == 1
    assert found.value("process_cpu_seconds_total") > 0
    assert found.value("process_resident_memory_bytes") > 10_000_000


async def test_other_metrics_are_exported_while_the_database_is_unavailable() -> None:
    exporter = alone()
    exporter.observe_refresh(7)
    content, _ = await exporter.exposition()
    found = parse_scrape(content.decode())
    assert found.value("regulars_database_up") == 0
    assert found.value("regulars_profiles_refreshed_total") == 7
    assert found.series("regulars_refresh_backlog_profiles") == []


async def test_the_database_is_not_queried_on_every_scrape(club: Club) -> None:
    assert (await scrape(club)).value("regulars_database_up") == 1
    pool, club.database.pool = club.database.pool, None
    assert (await scrape(club)).value("regulars_database_up") == 1
    club.database.pool = pool


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_a_metric_follows_the_naming_rules_of_prometheus_and_is_documented(metric: MetricSpec) -> None:
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket"))
    assert metric.name.startswith(("regulars_", "process_"))
    name = f"{metric.name}_total" if metric.kind is MetricType.COUNTER else metric.name
    lines = [each for each in DOCS.read_text().splitlines() if each.startswith(f"| `{name}` |")]
    assert len(lines) == 1
    assert all(f"`{label}`" in lines[0] for label in metric.labels)
