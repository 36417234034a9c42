"""The same fact about consents has the same statuses and counts in every way to write it, also over files."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

import regulars
from api.profile_calls import PROFILES_URL, create_profile, get_profile, update_profile
from clubs import Club
from reports.club_fixture import ClubFixture

FACTS: tuple[tuple[dict[str, Any], dict[str, Any], dict[str, str | None]], ...] = (
    # As comms attributes, as fields, and the statuses that differ from those of members without an answer, whom the
    # channel can reach.
    ({}, {}, {}),
    ({"email_promo": True}, {"consents": {"email_marketing": True}}, {}),
    ({"email_promo": False}, {"consents": {"email_marketing": False}}, {"email": None}),
    ({"sms_promo": True}, {"consents": {"sms_marketing": True}}, {}),
    ({"push_promo": True}, {"consents": {"push_marketing": True}}, {"push": "enabled"}),
    ({"push_promo": False}, {"consents": {"push_marketing": False}}, {}),
    ({"email_optout": True}, {"email_status": "unsubscribed"}, {"email": "unsubscribed"}),
    (
        {"email_optout": True, "email_promo": True},
        {"email_status": "unsubscribed", "consents": {"email_marketing": True}},
        {"email": "unsubscribed"},
    ),
    ({"sms_bounced": True}, {"sms_status": "hard_bounced"}, {"sms": "hard_bounced"}),
    (
        {"sms_verification": "verified", "sms_promo": True},
        {"sms_status": "verified", "consents": {"sms_marketing": True}},
        {"sms": "verified"},
    ),
)
REACHED = {1: {"email"}, 4: {"push"}, 9: {"sms"}}
"""The channels by which marketing reaches the member of a fact."""

NO_ANSWER = {"email": "enabled", "sms": "enabled", "push": None}


_numbers = itertools.count(10**6)


async def _write(club: Club, way: str, name: str, comms: dict[str, Any], fields: dict[str, Any]) -> None:
    new = {"external_id": name, "email": f"{name}@example.org", "mobile_phone": f"+479{next(_numbers)}"}
    as_attributes = {"attributes": {"comms": comms}} if comms else {}
    if way in ("create by comms", "create by fields"):
        await create_profile(club, **new, **(as_attributes if way == "create by comms" else fields))
    elif way in ("load comms", "load fields"):
        row = {**new, **(as_attributes if way == "load comms" else fields)}
        assert not (await ClubFixture(club).load("profiles", [row])).rejections
    elif way == "batch":
        body = {"match_criteria": "external_id", "profiles": [{**new, **fields}]}
        assert (await club.http.post(f"{PROFILES_URL}/batch.json", json=body)).status_code < 300
    elif way == "import":
        content = json.dumps({**new, **as_attributes})
        headers = {"Content-Type": "application/x-ndjson"}
        assert (await club.http.post("/v1/import/profiles", content=content, headers=headers)).status_code == 200
    else:
        profile_id = (await create_profile(club, **new))["id"]
        if way == "put fields":
            await update_profile(club, profile_id, **fields)
        elif way == "put comms":
            await update_profile(club, profile_id, **as_attributes)
        else:
            assert (await club.http.put(f"{PROFILES_URL}/{profile_id}/{way}", json=comms)).status_code == 200


WAYS = (
    "create by comms", "create by fields", "put comms", "put fields", "comms", "attributes/comms", "batch", "import",
    "load comms", "load fields",
)  # fmt: skip


async def test_a_fact_has_the_same_statuses_and_counts_in_every_way(club: Club) -> None:
    for number, (comms, fields, _) in enumerate(FACTS):
        for way_number, way in enumerate(WAYS):
            await _write(club, way, f"m{number}-{way_number}", comms, fields)
    shown = {row["external_id"]: row for row in await _list(club)}
    for number, (_, fields, statuses) in enumerate(FACTS):
        for way_number, way in enumerate(WAYS):
            row = shown[f"m{number}-{way_number}"]
            found = {channel: row[f"{channel}_status"] for channel in NO_ANSWER}
            assert found == NO_ANSWER | statuses, (fields, way)
            assert row["consents"] == fields.get("consents", {}), (fields, way)
            first = shown[f"m{number}-0"]["attributes"]["comms"]
            assert {**row["attributes"]["comms"], "profile_id": None} == {**first, "profile_id": None}, (fields, way)
    counted = Counter(channel for channels in REACHED.values() for channel in channels)
    groups = (await ClubFixture(club).query("members_grouped_count", limit=100))["records"]
    reached = {
        row["grouping_value"]: row["members_count"] for row in groups if row["grouping_type"] == "marketing_true"
    }
    assert {channel: reached[channel] for channel in counted} == {
        channel: number * len(WAYS) for channel, number in counted.items()
    }


@pytest.mark.parametrize("view", ["comms", "fields"])
def test_files_have_the_same_statuses_and_counts(view: str) -> None:
    rows = [
        {
            "external_id": f"m{number}",
            "joined_at": "2026-01-01T00:00:00Z",
            "email": f"m{number}@example.org",
            "mobile_phone": "+4791234567",
            "attributes": json.dumps({"comms": comms}) if view == "comms" else None,
            **dict.fromkeys(("consents", "email_status", "sms_status", "push_status")),
            **({} if view == "comms" else _as_cells(fields)),
        }
        for number, (comms, fields, _) in enumerate(FACTS)
    ]
    found = regulars.compute_report("members", profiles=pa.Table.from_pylist(rows), as_of="2026-11-01T00:00:00Z")
    for number, (row, (_, fields, statuses)) in enumerate(zip(found["records"], FACTS, strict=True)):
        assert {channel: row[f"{channel}_status"] for channel in NO_ANSWER} == NO_ANSWER | statuses, fields
        assert row["consents"] == fields.get("consents", {}), fields
        reached = {channel for channel in ("email", "sms", "push") if row[f"marketing_via_{channel}"]}
        assert reached == REACHED.get(number, set()), fields


def _as_cells(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in fields.items()}


async def _list(club: Club) -> list[dict[str, Any]]:
    ids = [row["id"] for row in (await club.http.get(PROFILES_URL, params={"page[size]": 500})).json()["data"]]
    return [await get_profile(club, each) for each in ids]
