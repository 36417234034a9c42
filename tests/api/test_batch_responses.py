"""The stored result of a batch has the reasons of rejected rows without the values that they quote."""

import json
from typing import Any

import pytest

from api.profile_calls import PROFILES_URL
from clubs import Club

TRANSACTIONS = "/api/v3/transactions"


def _sale(**fields: Any) -> dict[str, Any]:
    return {"transacted_at": "2026-10-01 12:00:00", "timezone": "UTC", "total": 1, "items": [], **fields}


async def _reasons(club: Club, content: bytes) -> tuple[list[str], list[str]]:
    """The reasons of a batch as returned, and as stored."""
    answered = (await club.http.post(f"{TRANSACTIONS}/batch.json", content=content)).json()["data"]
    stored = (await club.http.get(f"{PROFILES_URL}/batch/{answered['batch_id']}")).json()["data"]["rejected"]
    shown = answered["rejected"]
    assert [each["index"] for each in shown] == [each["index"] for each in stored]
    return [each["message"] for each in shown], [json.dumps(each, sort_keys=True) for each in stored]


async def test_reasons_are_stored_without_the_values_that_they_quote(club: Club) -> None:
    named = _sale(profile_id=" kari@example.com", profile_id_handle="email")
    answered, stored = await _reasons(club, json.dumps([named]).encode())
    assert "kari@example.com" in answered[0]
    assert json.loads(stored[0]) == {
        "index": 0,
        "message": "profile_id there is no profile with the [removed][removed].",
        "errors": {"profile_id": ["there is no profile with the [removed][removed]"]},
    }


@pytest.mark.parametrize(
    "row",
    [
        b'{"total": "x", "external_id": "\xff\xfe"}',
        json.dumps(_sale(profile_id="kari", profile_id_handle="app", meta=list(range(2_000)))).encode(),
    ],
    ids=["unreadable", "many values"],
)
async def test_reasons_of_an_unreadable_or_very_large_row_are_stored_without_values(club: Club, row: bytes) -> None:
    _, stored = await _reasons(club, b"[" + row + b"]")
    assert "kari" not in stored[0]
