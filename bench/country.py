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
MAX_PUT_MS = 100
"""Milliseconds."""

_SET_LOCATION = """
UPDATE transactions SET location_id = $2 WHERE community_id = $1 AND transacted_at > now() - interval '18 months'
"""
"""All purchases of that time, so that they decide the likely country."""


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
    with serve(environment, store) as server:
        _rounds(store, server, club, profiles, size, findings)


def _rounds(
    store: BenchDatabase, server: RunningServer, club: BenchClub, profiles: int, size: Size, findings: Findings
) -> None:
    put_times: list[float] = []
    first_reads: list[float] = []
    busy_reads: list[float] = []
    refresh_times: list[float] = []
    wrong_reads = 0
    rounds = size.rounds(ROUNDS)
    _update_country(server, club, "IT")
    _await_refresh(store, club)
    for round_number in range(rounds):
        before, country = ("IT", "FR") if round_number % 2 == 0 else ("FR", "IT")
        profile_ids = random.Random(round_number).sample(_decided_profiles(store, club, before), 20)
        put_times.append(_update_country(server, club, country))
        changed_at = time.perf_counter()
        for each in profile_ids:
            milliseconds, response = _call(server, club, "GET", f"/api/v3/profiles/{each}/aggregations")
            first_reads.append(milliseconds)
            wrong_reads += response["data"]["likely_country"] != country
        load = load_generator.open_loop(server.port, reads(club, profiles, 2_000), 64, size.seconds(5), 100).require(
            200
        )
        busy_reads.append(load.percentile(99))
        _await_refresh(store, club)
        refresh_times.append(time.perf_counter() - changed_at)
    put_median = findings.record("PUT of the country", put_times, "ms")
    findings.record("first read of a profile after it", first_reads, "ms")
    findings.record("reads at 100 a second while the refresh job works, p99", busy_reads, "ms")
    findings.record("until the refresh job has brought every profile up to date", refresh_times, "s")
    findings.target_at_most(
        f"Changing the country of a location that {profiles:,} profiles bought at: the PUT under {MAX_PUT_MS} ms",
        put_median,
        MAX_PUT_MS,
        "ms",
    )
    findings.target("... and right in the next read", f"{wrong_reads} of {20 * rounds} reads wrong", wrong_reads == 0)


def _update_country(server: RunningServer, club: BenchClub, country: str) -> float:
    return _call(server, club, "PUT", f"/api/v3/locations/{LOCATION}", {"address": {"country": country}})[0]


def _decided_profiles(store: BenchDatabase, club: BenchClub, country: str) -> list[str]:
    """Profiles whose country the location decides: no other location of theirs is in that country."""
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
    server: RunningServer, club: BenchClub, method: str, path: str, body: object = None
) -> tuple[float, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
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
    decoded: dict[str, Any] = msgspec.json.decode(content)
    return milliseconds, decoded
