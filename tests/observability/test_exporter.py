"""Processes with the same folder export the sums of their metrics."""

from pathlib import Path

import pytest

from prometheus_scrape import Scrape, parse_scrape
from regulars.observability import exporter as exporters
from regulars.observability.exporter import MetricsExporter
from regulars.storage.database import Database

ROUTES = [("GET", "/api/v3/profiles")]


def exporter(folder: Path) -> MetricsExporter:
    return MetricsExporter(Database("postgresql://nowhere", 1), ROUTES, folder)


async def scrape(process: MetricsExporter) -> Scrape:
    return parse_scrape((await process.exposition())[0].decode())


async def test_any_process_exports_the_metrics_of_all(tmp_path: Path) -> None:
    first, second = exporter(tmp_path), exporter(tmp_path)
    first.observe_request("GET", "/api/v3/profiles", 200, 0.01)
    second.observe_request("GET", "/api/v3/profiles", 200, 0.01)
    for process in (first, second):
        found = await scrape(process)
        assert [number for _, number in found.series("regulars_http_requests_total")] == [2]


async def test_gauges_of_a_process_are_updated_until_it_stops(tmp_path: Path) -> None:
    first, second = exporter(tmp_path), exporter(tmp_path)
    second.stop()
    second.start()
    assert (await scrape(first)).value("regulars_workers") == 2
    second.stop()


async def test_a_database_that_does_not_answer_is_down_and_hides_no_other_metric(
    migrated_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(migrated_urls[1], 1) as database:
        process = MetricsExporter(database, ROUTES)
        async with database.unscoped_connection():
            monkeypatch.setattr(exporters, "DATABASE_TIMEOUT_SECONDS", 0.01)
            for _ in range(2):
                found = await scrape(process)
                assert found.value("regulars_database_up") == 0
                assert found.value("regulars_database_connections", state="idle") == 0
        monkeypatch.setattr(exporters, "DATABASE_TIMEOUT_SECONDS", 60)
        assert (await scrape(process)).value("regulars_database_up") == 1
        process.stop()
