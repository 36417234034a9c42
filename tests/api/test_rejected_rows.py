"""Reasons of rejected rows are stored without values of the rows, which erasure would not find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.profile_calls import PROFILES_URL, fetch_rows
from clubs import Club
from regulars.loading import catalog

TRANSACTIONS = "/api/v3/transactions"
CANARY = "Canary-7c1d"
AT = "2026-10-01 12:00:00"

ROWS: dict[str, dict[str, Any]] = {
    "locations": {"external_id": "1"},
    "products": {"external_id": "1"},
    "profiles": {"external_id": "1"},
    "transactions": {"external_id": "1", "transacted_at": AT, "total": 1, "items": []},
    "memberships": {"external_id": "1", "profile": "1", "type": "in", "at": AT},
    "sendings": {"external_id": "1", "channel": "email"},
    "sending_events": {"external_id": "1", "sending": "1", "event": "opened", "at": AT, "profile": "1"},
    "link_visits": {"external_id": "1", "url": "https://example.com", "at": AT},
    "offer_collections": {"external_id": "1", "name": "Tea"},
    "offers": {"external_id": "1", "name": "Tea"},
    "offer_events": {"external_id": "1", "offer": "1", "event": "used", "at": AT, "profile": "1"},
}
"""A valid row of each entity."""

LISTS = ("addresses", "identities", "items", "variants")
"""Columns that are lists of objects."""


def _sale(**fields: Any) -> dict[str, Any]:
    return {"transacted_at": AT, "timezone": "UTC", "total": 1, "items": [], **fields}


def _wrong_rows(entity: str) -> Iterator[dict[str, Any]]:
    """Rows with the canary in each column, as a text, a list, an object, and in each key of objects in lists."""
    wrong = (CANARY, f"{CANARY} 1e9", [CANARY], {CANARY: CANARY}, {"comms": {"email_optout": CANARY, CANARY: []}})
    for number, name in enumerate(catalog.columns_of(entity).encodings):
        for kind, value in enumerate(wrong):
            yield {**ROWS[entity], "external_id": f"{number}-{kind}", name: value}
            if name in LISTS:
                yield {**ROWS[entity], "external_id": f"{number}-{kind}-list", name: [value, {"handle": value}]}


async def _stored(club: Club) -> str:
    """What is stored about requests and loads."""
    rows = await fetch_rows(
        club,
        """
        SELECT encode(response_body, 'escape') AS text FROM idempotency_keys WHERE community_id = $1
        UNION ALL SELECT rejected::text FROM import_batches WHERE community_id = $1
        UNION ALL SELECT to_jsonb(load_runs)::text FROM load_runs WHERE community_id = $1
        """,
    )
    return "\n".join(row["text"] for row in rows)


async def _import(club: Club, entity: str, content: bytes, kind: str, key: str = "k") -> httpx.Response:
    headers = {"Content-Type": kind, "Idempotency-Key": key}
    return await club.http.post(f"/v1/import/{entity}", content=content, headers=headers)


def test_every_entity_that_is_imported_has_a_row_here() -> None:
    assert {*ROWS, "communities"} == {*catalog.loadable_names()}


@pytest.mark.parametrize("entity", ROWS)
async def test_nothing_that_is_stored_about_an_import_has_values_of_its_rows(club: Club, entity: str) -> None:
    rows = list(_wrong_rows(entity))
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    answer = await _import(club, entity, lines, "application/x-ndjson")
    assert answer.json()["rejected"] > len(rows) / 4
    assert CANARY in answer.text
    stored = await _stored(club)
    assert '"rejections":[{"line":' in stored
    assert CANARY not in stored


@pytest.mark.parametrize("entity", ROWS)
async def test_nothing_that_is_stored_about_an_import_of_csv_has_values_of_its_rows(club: Club, entity: str) -> None:
    names = list(catalog.columns_of(entity).encodings)
    base = {name: value for name, value in ROWS[entity].items() if value != []}
    cells = ["".join(f"{base.get(name, '')}," for name in names)]
    for value in (CANARY, f"[{CANARY}", f'{CANARY}"', '"1,5"'):
        for wrong in names:
            row = (value if name == wrong else str(base.get(name, "")) for name in names)
            cells.append(",".join(row))
    content = "\n".join([",".join(names), *cells]).encode()
    answer = await _import(club, entity, content, "text/csv")
    assert answer.json()["rejected"] > 0
    assert CANARY not in await _stored(club)


@pytest.mark.parametrize(("path", "entity"), [("profiles", "profiles"), ("transactions", "transactions")])
async def test_nothing_that_is_stored_about_a_batch_has_values_of_its_rows(club: Club, path: str, entity: str) -> None:
    rows: list[dict[str, Any]] = []
    for row in _wrong_rows(entity):
        rows += [
            row,
            row | {"timezone": "UTC", "profile_id": f" {CANARY.upper()}@EXAMPLE.COM", "profile_id_handle": "email"},
        ]
    headers = {"Idempotency-Key": "k"}
    answer = await club.http.post(f"/api/v3/{path}/batch.json", json={path: rows}, headers=headers)
    assert len(answer.json()["data"]["rejected"]) > len(rows) / 4
    assert CANARY.lower() not in (await _stored(club)).lower()
    again = await club.http.post(f"/api/v3/{path}/batch.json", json={path: rows}, headers=headers)
    assert again.content == answer.content
    batch = await club.http.get(f"{PROFILES_URL}/batch/{answer.json()['data']['batch_id']}")
    assert batch.json()["data"]["rejected"] == answer.json()["data"]["rejected"]


async def test_a_reason_in_a_batch_names_the_row_and_the_field_and_what_is_allowed(club: Club) -> None:
    rows: list[dict[str, Any]] = [
        {"email": "kari@example.com", "mobile_phone": "4.79E+09"},
        {"email": "ola@example.com", "consents": {"Ola's": "x"}},
        {"email": "eva@example.com", "attributes": {"comms": {"email_verification": 1}}},
        {"email": "siv@example.com", "birth_year": 1},
    ]
    answer = await club.http.post(f"{PROFILES_URL}/batch.json", json={"profiles": rows})
    assert [each["errors"] for each in answer.json()["data"]["rejected"]] == [
        {"mobile_phone": ["must be a phone number: format the column as text in the spreadsheet"]},
        {"consents": ["has a value that must be true, false or null"]},
        {"attributes": ["has a value that must be a text or null"]},
        {"birth_year": ["must be from 1850 to 2100"]},
    ]
    named = _sale(profile_id=" kari@example.com", profile_id_handle="email")
    answer = await club.http.post(f"{TRANSACTIONS}/batch.json", json=[_sale(), named])
    assert answer.json()["data"]["rejected"] == [
        {
            "index": 1,
            "message": "profile_id there is no profile with this id.",
            "errors": {"profile_id": ["there is no profile with this id"]},
        }
    ]


async def test_a_retry_of_an_import_gets_the_reasons_without_values(club: Club) -> None:
    row = b'{"external_id": "1", "birth_year": "Kari"}'
    first, again = [await _import(club, "profiles", row, "application/x-ndjson") for _ in range(2)]
    assert first.json() == again.json() | {
        "rejections": [
            {
                "line": 1,
                "reason": "birth_year must be an integer, not 'Kari'",
                "errors": {"birth_year": ["must be an integer, not 'Kari'"]},
            }
        ]
    }
    assert again.json()["rejections"] == [
        {
            "line": 1,
            "reason": "birth_year must be an integer",
            "errors": {"birth_year": ["must be an integer"]},
        }
    ]


async def test_the_response_to_a_dry_run_is_not_stored(club: Club) -> None:
    row = json.dumps({"external_id": "1", "first_name": CANARY}).encode()
    dry = await _import(club, "profiles?dry_run=1", row, "application/x-ndjson")
    assert CANARY in json.dumps(dry.json()["first_rows"])
    assert await _stored(club) == ""
    assert (await _import(club, "profiles", row, "application/x-ndjson")).json()["accepted"] == 1
