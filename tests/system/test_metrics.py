"""Metrics of a server with several processes: whichever is scraped tells what all have done."""

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from prometheus_scrape import Scrape, parse_scrape
from system.server_process import ServerProcess, community_with_token, metrics_folder, run_server

REQUESTS = 60
SCRAPES = 12


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that the database's user may enter."""
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder:
        yield Path(folder)


def scrape(server: ServerProcess) -> Scrape:
    """By a connection of its own, so that any process may answer."""
    return parse_scrape(httpx.get(f"{server.url}/metrics").text)


def make_profiles(server: ServerProcess, token: str) -> None:
    """Each by a connection of its own as well."""
    for _ in range(REQUESTS):
        answer = httpx.post(f"{server.url}/api/v3/profiles", headers={"Authorization": f"Bearer {token}"}, json={})
        assert answer.status_code == 201


def profiles_made(found: Scrape) -> float:
    return found.value("regulars_http_requests_total", method="POST", path="/api/v3/profiles", status="201")


async def test_any_process_tells_what_all_have_done(data: Path) -> None:
    with run_server(data, workers=2) as server:
        _, token = await community_with_token(server.database_url)
        make_profiles(server, token)
        scrapes = [scrape(server) for _ in range(SCRAPES)]
        assert [profiles_made(each) for each in scrapes] == [REQUESTS] * SCRAPES
        assert [each.value("regulars_workers") for each in scrapes] == [2] * SCRAPES
        cpu_seconds = [each.value("process_cpu_seconds_total") for each in scrapes]
        assert cpu_seconds == sorted(cpu_seconds)

        folder = metrics_folder(psutil.Process(server.process_id).children()[0])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
