"""A fact that very many profiles share: the country of a location that 100,000 profiles bought at."""

import http.client
import random
import time
from typing import Any

import msgspec

from bench import load_generator
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one
from bench.requests import reads
from bench.result import Findings
from bench.seed_data import seed_database
from bench.serving import RunningServer, serve
from bench.size import Size

LOCATION = 7
ROUNDS = 6
MOST = 100
"""Milliseconds."""

_SET_LOCATION = """
UPDATE transactions SET location_id = $2 WHERE community_id = $1 AND transacted_at > now() - interval '18 months'
"""
"""All purchases of that time, so that they decide the country that is likely."""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """PUT the location, read a profile immediately, then all others while the refresh job updates them."""
    profiles = size.rows(100_000, 1_000)
    findings.describe(
        f"{profiles:,} profiles with {10 * profiles:,} transactions, all of the last 18 months at one location. Its "
        f"country goes back and forth between France and Italy; right after the PUT the values of 20 profiles that it "
        f"decides for are read, which must name the new country; then reads of random profiles go on at 100 a second "
        f"while the refresh job works."
    )
    store = environment.database()
    club = store.create_club("country")
    seed_database(
        store, club, profiles, 10 * profiles, update_statement=_SET_LOCATION, update_arguments=(club.id, LOCATION)
    )
    with serve(environment, store) as served:
        _rounds(store, served, club, profiles, size, findings)


def _rounds(
    store: BenchDatabase, served: RunningServer, club: BenchClub, profiles: int, size: Size, findings: Findings
) -> None:
    took: list[float] = []
    first: list[float] = []
    meanwhile: list[float] = []
    refreshed: list[float] = []
    wrong = 0
    rounds = size.rounds(ROUNDS)
    _update_country(served, club, "IT")
    _await_refresh(store, club)
    for round_ in range(rounds):
        before, country = ("IT", "FR") if round_ % 2 == 0 else ("FR", "IT")
        chosen = random.Random(round_).sample(_decided(store, club, before), 20)
        took.append(_update_country(served, club, country))
        changed = time.perf_counter()
        for each in chosen:
            milliseconds, answer = _call(served, club, "GET", f"/api/v3/profiles/{each}/aggregations")
            first.append(milliseconds)
            wrong += answer["data"]["likely_country"] != country
        busy = load_generator.open_loop(served.port, reads(club, profiles, 2_000), 64, size.seconds(5), 100).require(
            200
        )
        meanwhile.append(busy.percentile(99))
        _await_refresh(store, club)
        refreshed.append(time.perf_counter() - changed)
    slow = findings.record("PUT of the country", took, "ms")
    findings.record("first read of a profile after it", first, "ms")
    findings.record("reads at 100 a second while the refresh job works, p99", meanwhile, "ms")
    findings.record("until the refresh job has brought every profile up to date", refreshed, "s")
    findings.target_at_most(
        f"Changing the country of a location that {profiles:,} profiles bought at: the PUT under {MOST} ms",
        slow,
        MOST,
        "ms",
    )
    findings.target("... and right in the next read", f"{wrong} of {20 * rounds} reads wrong", wrong == 0)


def _update_country(served: RunningServer, club: BenchClub, country: str) -> float:
    return _call(served, club, "PUT", f"/api/v3/locations/{LOCATION}", {"address": {"country": country}})[0]


def _decided(store: BenchDatabase, club: BenchClub, country: str) -> list[str]:
    """Profiles for whom the location decides: no other place is in that country."""
    with store.owner_connection() as connection:
        rows = connection.execute(
            "SELECT profile_id::text FROM profile_aggregations WHERE community_id = %s AND likely_country = %s LIMIT 500",
            [club.id, country],
        ).fetchall()
    assert len(rows) >= 20, "the location decides for too few profiles"
    return [each[0] for each in rows]


def _await_refresh(store: BenchDatabase, club: BenchClub) -> None:
    with store.owner_connection() as connection:
        while fetch_one(
            connection,
            "SELECT EXISTS (SELECT FROM profile_aggregations JOIN cache_versions USING (community_id) "
            f"WHERE community_id = {club.id} AND profile_aggregations.values_version < cache_versions.values_version)",
        )[0]:
            time.sleep(0.2)


def _call(
    served: RunningServer, club: BenchClub, method: str, path: str, body: object = None
) -> tuple[float, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=600)
    began = time.perf_counter()
    connection.request(
        method,
        path,
        body=None if body is None else msgspec.json.encode(body),
        headers={"Authorization": f"Bearer {club.token}", "Content-Type": "application/json"},
    )
    response = connection.getresponse()
    content = response.read()
    milliseconds = 1000 * (time.perf_counter() - began)
    connection.close()
    assert response.status == 200, content
    answer: dict[str, Any] = msgspec.json.decode(content)
    return milliseconds, answer
