"""The statements that find a member, and read a timeline, use indexes as the app's role under row-level security."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise, product

import psycopg
import pytest

from regulars.facts.timeline import KINDS
from regulars.model.profiles import search
from regulars.storage.database import SESSION_SETTINGS

ROWS = 1_000

_FILL = f"""
SET regulars.community_id = '1';
INSERT INTO profiles (
    community_id, profile_id, member_id, external_id, email, mobile_phone, mobile_phone_e164, created_at, updated_at
)
SELECT 1, md5(n::text)::uuid, n, 'C' || n, n || '@example.com', n, '+47' || n, now(), now()
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO profile_name_words SELECT 1, 'w' || n % 100, 'w' || n, md5(n::text)::uuid FROM generate_series(1, {ROWS}) AS n;
INSERT INTO identities (community_id, id, profile_id, handle, identifier, created_at, updated_at)
SELECT 1, n, md5(n::text)::uuid, 'card', n, now(), now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO memberships (community_id, id, profile_id, type, occurred_at, created_at)
SELECT 1, n, md5((n % 100)::text)::uuid, 'in', now() - interval '1 hour' * n, now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO transactions (
    community_id, id, profile_id, external_id, receipt_ref, transacted_at, total, amount, direction, created_at, updated_at
)
SELECT 1, n, md5((n % 100)::text)::uuid, 'T' || n, n % 500, now() - interval '1 hour' * n, 1, 100, 1, now(), now()
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO sending_dispatches (community_id, id, sending_id, dispatch_key_hash, profile_id, transmitted_at, event_mask)
SELECT 1, n, n % 10, md5(n::text)::uuid, md5((n % 100)::text)::uuid, now() - interval '1 hour' * n, 4
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO offer_events (community_id, offer_id, occurred_at, event_key_hash, profile_id, event_type)
SELECT 1, n % 10, now() - interval '1 hour' * n, md5(n::text)::uuid, md5((n % 100)::text)::uuid, 1
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO link_visits (community_id, link_id, visited_at, visit_key_hash, visitor_no)
SELECT 1, n % 10, now() - interval '1 hour' * n, md5(n::text)::uuid, n % 100 FROM generate_series(1, {ROWS}) AS n;
"""


@pytest.fixture
def app(migrated_urls: tuple[str, str]) -> Iterator[psycopg.Connection]:
    """The app's role in a database with some thousand rows of one community."""
    with psycopg.connect(migrated_urls[0], autocommit=True) as owner:
        owner.execute(_FILL.encode())
        owner.execute("VACUUM (ANALYZE)")
    with psycopg.connect(migrated_urls[1], autocommit=True) as connection:
        connection.execute(f"SET plan_cache_mode = {SESSION_SETTINGS['plan_cache_mode']}".encode())
        connection.execute("SET regulars.community_id = '1'")
        yield connection


def conditions(app: psycopg.Connection, statement: str, types: str) -> dict[str, list[set[str]]]:
    """The columns that the scans of each table are limited by within an index."""
    app.execute(f"PREPARE planned ({types}) AS {statement}".encode())
    nothing = ", ".join("NULL" for _ in types.split(","))
    lines = [line for (line,) in app.execute(f"EXPLAIN (COSTS OFF) EXECUTE planned ({nothing})".encode())]
    app.execute("DEALLOCATE planned")
    found: dict[str, list[set[str]]] = {}
    for line, following in pairwise(lines):
        scan = re.search(r"Scan (?:Backward )?using \w+ on (\w+)", line)
        # Tables without rows are scanned.
        assert "Seq Scan" not in line or line.split(" on ")[1].split()[0] not in _FILL, lines
        if scan:
            assert "Index Cond" in following, lines
            found.setdefault(scan[1], []).append(_columns(following))
    return found


def _columns(condition: str) -> set[str]:
    """The columns in a condition of a plan, without that of the community."""
    compared = re.sub(r"::\w+", "", condition.partition("Index Cond: ")[2])
    return set(re.findall(r"\b[a-z]\w*\b(?![.(])", compared)) - {"community_id", "col1"}


def test_a_search_and_a_page_of_a_timeline_read_only_the_rows_that_match(app: psycopg.Connection) -> None:
    types = "int, uuid, bigint, text, text, text, text, text, text, text, text, text[], bigint"
    found = conditions(app, search._SEARCH, types)
    assert {frozenset(each) for each in found["profiles"]} == {
        frozenset({each})
        for each in ("profile_id", "member_id", "external_id", "email_normalized", "mobile_phone_e164", "mobile_phone")
    }
    assert found["identities"] == [{"identifier"}]
    assert sorted(found["transactions"], key=str) == [{"external_id"}, {"receipt_ref"}]
    assert {"word", "other_word"} in found["profile_name_words"]
    assert {"profile_id"} in found["profile_name_words"]

    expected = {
        "membership": ("memberships", {"profile_id", "occurred_at"}),
        "transaction": ("transactions", {"profile_id", "transacted_at"}),
        "message": ("sending_dispatches", {"profile_id"}),
        "offer": ("offer_events", {"profile_id", "occurred_at"}),
        "visit": ("link_visits", {"visitor_no", "visited_at"}),
    }
    for kind, operator in product(KINDS, ("<", "<=", "()")):
        keys = ["uuid" if "hash" in each else "bigint" for each in kind.keys] if operator == "()" else []
        found = conditions(app, kind.statement(operator), ", ".join(["int", "uuid", "bigint", "timestamptz", *keys]))
        table, columns = expected[kind.name]
        assert any(columns <= each for each in found[table]), (kind.name, operator, found)
