"""A fact that very many profiles share: the country of a location that 100,000 profiles bought at."""

import random
import time

from bench import load
from bench.fill import fill
from bench.place import Club, Store, place, row
from bench.requests import profile_id, reads, request
from bench.result import Findings
from bench.serving import Served, serving

import http.client

import msgspec

LOCATION = 7
ROUNDS = 6
MOST = 100
"""Milliseconds."""

_BUY_THERE = """
UPDATE transactions SET location_id = $2 WHERE community_id = $1 AND transacted_at > now() - interval '18 months'
"""
"""All purchases of that time, so that they decide the country that is likely."""


def run(scale: float, findings: Findings) -> None:
    """PUT the location, read a profile at once; then all others while the sweep brings them up to date."""
    profiles = max(1_000, int(100_000 * scale))
    findings.did(
        f"{profiles:,} profiles with {10 * profiles:,} transactions, all of the last 18 months at one location. Its "
        f"country goes back and forth between France and Italy; right after the PUT the values of 20 of those profiles "
        f"are read, which must name the new country; then reads of random profiles go on at 100 a second while the sweep "
        f"works."
    )
    with place() as where:
        store = where.store()
        club = store.club("country")
        fill(store, club, profiles, 10 * profiles, changed=_BUY_THERE, values=(club.id, LOCATION))
        with serving(where, store) as served:
            _rounds(store, served, club, profiles, findings)


def _rounds(store: Store, served: Served, club: Club, profiles: int, findings: Findings) -> None:
    took: list[float] = []
    first: list[float] = []
    meanwhile: list[float] = []
    swept: list[float] = []
    wrong = 0
    _call(served, club, "GET", f"/api/v3/locations/{LOCATION}")
    for round_ in range(ROUNDS):
        country = ("FR", "IT")[round_ % 2]
        took.append(_call(served, club, "PUT", f"/api/v3/locations/{LOCATION}", {"address": {"country": country}})[0])
        changed = time.perf_counter()
        for each in random.Random(round_).sample(_buyers(store, club, profiles), 20):
            milliseconds, answer = _call(served, club, "GET", f"/api/v3/profiles/{each}/aggregations")
            first.append(milliseconds)
            wrong += answer["data"]["likely_country"] != country
        busy = load.opened(served.port, reads(club, profiles, 2_000), 64, 5, 100).require(200)
        meanwhile.append(busy.percentile(99))
        _await_sweep(store, club)
        swept.append(time.perf_counter() - changed)
    slow = findings.found("PUT of the country", took, "ms")
    findings.found("first read of a profile after it", first, "ms")
    findings.found("reads at 100 a second while the sweep works, p99", meanwhile, "ms")
    findings.found("until the sweep has brought every profile up to date", swept, "s")
    findings.at_most(
        f"Changing the country of a location that {profiles:,} profiles bought at: the PUT under {MOST} ms", slow, MOST, "ms"
    )
    findings.holds("... and right in the next read", f"{wrong} of {20 * ROUNDS} reads wrong", wrong == 0)


def _buyers(store: Store, club: Club, profiles: int) -> list[str]:
    """Profiles that have bought most at the location, so that it decides."""
    with store.owner() as connection:
        found = connection.execute(
            "SELECT profile_id::text FROM aggregations WHERE community_id = %s AND most_transacted_location = %s LIMIT 500",
            [club.id, LOCATION],
        ).fetchall()
    assert len(found) >= min(500, profiles // 2), "too few profiles bought at the location"
    return [each[0] for each in found]


def _await_sweep(store: Store, club: Club) -> None:
    with store.owner() as connection:
        while row(
            connection,
            "SELECT EXISTS (SELECT FROM aggregations JOIN epochs USING (community_id) "
            f"WHERE community_id = {club.id} AND aggregations.values_epoch < epochs.values_epoch)",
        )[0]:
            time.sleep(0.2)


def _call(served: Served, club: Club, method: str, path: str, body: object = None) -> tuple[float, dict]:
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
    return milliseconds, msgspec.json.decode(content)
