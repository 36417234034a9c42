"""Metrics of a server with several processes: each process exports those of all."""

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from prometheus_scrape import Scrape, parse_scrape
from system.server_process import ServerProcess, community_with_token, metrics_folder, run_server

REQUESTS = 30
SCRAPES = 12


@pytest.fixture
def data() -> Iterator[Path]:
    """A directory that is accessible to the user of the database."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        yield Path(folder)


def unpooled_client(server: ServerProcess) -> httpx.Client:
    """A client that sends each request over a new connection, so that any process may respond."""
    return httpx.Client(base_url=server.url, limits=httpx.Limits(max_keepalive_connections=0))


def create_profiles(http: httpx.Client, token: str) -> None:
    """Creates profiles."""
    for _ in range(REQUESTS):
        answer = http.post("/api/v3/profiles", headers={"Authorization": f"Bearer {token}"}, json={})
        assert answer.status_code == 201


def count_created_profiles(found: Scrape) -> float:
    return found.value("regulars_http_requests_total", method="POST", path="/api/v3/profiles", status="201")


async def test_each_process_exports_the_metrics_of_all(data: Path) -> None:
    with run_server(data, workers=2) as server, unpooled_client(server) as http:
        _, token = await community_with_token(server.database_url)
        create_profiles(http, token)
        scrapes = [parse_scrape(http.get("/metrics").text) for _ in range(SCRAPES)]
        assert [count_created_profiles(each) for each in scrapes] == [REQUESTS] * SCRAPES
        assert [each.value("regulars_workers") for each in scrapes] == [2] * SCRAPES
        cpu_seconds = [each.value("process_cpu_seconds_total") for each in scrapes]
        assert cpu_seconds == sorted(cpu_seconds)

        folder = metrics_folder(psutil.Process(server.process_id).children()[0])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
