"""Receipts of erasures: what would be removed and what was, as the declaration of personal data says."""

from __future__ import annotations

from typing import Any

import pytest

from api.profile_calls import PROFILES_URL, create_profile
from clubs import Club
from people import administrator, signed_in


async def member(club: Club) -> str:
    """A member with an address, an identity and a purchase; returns the id."""
    profile = await create_profile(
        club,
        external_id="anna",
        email="anna@shop.example",
        addresses=[{"country": "NO", "city": "Oslo"}],
        identities=[{"handle": "card", "identifier": "4711"}],
    )
    sale = {
        "external_id": "s",
        "profile_id": profile["id"],
        "transacted_at": "2026-10-01 10:00:00",
        "timezone": "UTC",
        "currency": "NOK",
        "total": "5.00",
        "items": [],
    }
    assert (await club.http.post("/api/v3/transactions", json=sale)).status_code == 201
    return str(profile["id"])


def tables(response: Any) -> dict[str, dict[str, Any]]:
    """The tables of a receipt by name."""
    assert response.status_code == 200, response.text
    return {each["table"]: each for each in response.json()["data"]["tables"]}


@pytest.mark.parametrize("method", ["purge", "depersonalise"])
async def test_a_receipt_states_what_was_removed(club: Club, method: str) -> None:
    profile_id = await member(club)
    at = f"{PROFILES_URL}/{profile_id}/erasure"
    async with signed_in(club) as http:
        preview = tables(await http.get(f"{at}?method={method}"))
        receipt = tables(await http.post(at, json={"method": method}))
        assert receipt == preview
        (entry,) = (await club_entries(club, profile_id))[:1]
    assert {receipt[name]["rows"] for name in ("profiles", "addresses", "identities", "transactions")} == {1}
    assert receipt["identities"]["is_deleted"]
    assert receipt["transactions"]["is_deleted"] == (method == "purge")
    if method == "depersonalise":
        assert "email" in receipt["profiles"]["cleared"]
        assert receipt["profiles"]["retained"]["gender"] == "Counts of members are computed from it, without a name."
    else:
        assert receipt["profiles"] == {
            "table": "profiles", "rows": 1, "is_deleted": True, "cleared": [], "retained": {},
        }  # fmt: skip
    assert entry["details"]["method"] == method
    summaries = entry["details"]["tables"]
    assert {name: each["rows"] for name, each in summaries.items()} == {
        name: each["rows"] for name, each in receipt.items()
    }
    assert summaries["identities"]["outcome"] == "deleted"
    assert summaries["transactions"]["outcome"] == ("deleted" if method == "purge" else "cleared")
    assert summaries["members"]["outcome"] == "retained"
    assert "anna" not in str(entry)
    gone = await club.http.get(f"{PROFILES_URL}/{profile_id}")
    assert gone.status_code == (404 if method == "purge" else 200)


async def club_entries(club: Club, profile_id: str) -> list[dict[str, Any]]:
    """The erasures of a profile in the audit log."""
    async with signed_in(club, administrator(club)) as http:
        response = await http.get(f"/v1/admin/audit?action=erase&subject_id={profile_id}")
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


async def test_an_unknown_method_or_profile_is_rejected(club: Club) -> None:
    profile_id = await member(club)
    at = f"{PROFILES_URL}/{profile_id}/erasure"
    assert (await club.http.get(f"{at}?method=shred")).status_code == 422
    assert (await club.http.post(at, json={"method": "shred"})).status_code == 422
    unknown = f"{PROFILES_URL}/00000000-0000-4000-8000-000000000000/erasure"
    assert (await club.http.get(unknown)).status_code == 404
    assert (await club.http.post(unknown, json={"method": "purge"})).status_code == 404
