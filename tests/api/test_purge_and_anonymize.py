"""Purge and anonymization of members."""

from api.profile_calls import (
    PROFILES_URL,
    create_profile,
    fetch_rows,
    get_errors,
    get_profile,
    insert_transaction,
    list_memberships,
    row_owners,
)
from clubs import Club

TABLES = (
    "profiles",
    "identities",
    "addresses",
    "memberships",
    "transactions",
    "transaction_items",
    "transaction_claims",
    "outbox",
    "profile_aggregations",
)


async def _counts(club: Club) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        [row] = await fetch_rows(club, f"SELECT count(*) FROM {table} WHERE community_id = $1")
        counts[table] = row["count"]
    return counts


async def test_a_purged_profile_is_in_no_table(club: Club) -> None:
    other = await create_profile(club, identities=[{"handle": "card", "identifier": "2"}], addresses=[{"city": "Oslo"}])
    await insert_transaction(club, other["id"], "T-1")
    before = await _counts(club)

    response = await club.http.post(
        PROFILES_URL,
        json={
            "email": "kari@example.com",
            "addresses": [{}],
            "identities": [{"handle": "card", "identifier": "1"}],
        },
        headers={"Idempotency-Key": "kari"},
    )
    profile, twin = response.json()["data"], await create_profile(club)
    await insert_transaction(club, twin["id"], "T-2")
    await insert_transaction(club, profile["id"], "T-3", is_void=True)
    body = {"source_profile_id": twin["id"], "destination_profile_id": profile["id"]}
    assert (await club.http.post(f"{PROFILES_URL}/merge", json=body)).status_code == 200

    path = f"{PROFILES_URL}/{profile['id']}/purge"
    assert (await club.http.delete(path)).status_code == 204
    assert await _counts(club) == before
    assert (await club.http.delete(path)).status_code == 404
    assert (await club.http.get(f"{PROFILES_URL}/{twin['id']}")).json() == {
        "message": f"There is no profile {twin['id']}."
    }
    assert await row_owners(club, "transactions") == [other["id"]]


async def test_a_deleted_profile_can_be_purged(club: Club) -> None:
    profile = await create_profile(club)
    await club.http.delete(f"{PROFILES_URL}/{profile['id']}")
    assert (await club.http.delete(f"{PROFILES_URL}/{profile['id']}/purge")).status_code == 204
    assert (await _counts(club))["memberships"] == 0


async def test_an_anonymized_profile_keeps_what_is_counted(club: Club) -> None:
    other = {
        "gender": "female",
        "birth_year": 1984,
        "joined_at": "2026-01-02 03:04:05",
        "optin_channel": "web",
        "optin_subchannel": "shop",
        "consents": {"sms_marketing": True, "post_marketing": False},
        "sms_status": "verified",
        "email_status": "unsubscribed",
        "subunit_ids": [1],
        "group_ids": [2],
    }
    blanked = {
        "external_id": "P-1",
        "title": "Ms",
        "first_name": "Kari",
        "last_name": "Nordmann",
        "email": "kari@example.com",
        "mobile_phone": "+4790000000",
        "birth_day": 29,
        "birth_month": 2,
    }
    lists = {"tags": ["vip"], "statuses": ["gold"], "custom_fields": [{"a": 1}], "properties": {"a": 1}}
    profile = await create_profile(
        club,
        **other,
        **blanked,
        **lists,
        attributes={"appearance": {"hair": "red"}, "comms": {"note": "call her", "post_bounced": True}},
        identities=[{"handle": "card", "identifier": "1"}],
        addresses=[
            {"city": "Oslo", "iso": "NO", "iso_state": "NO-03", "state": "Oslo", "is_default": True},
            {"address_line_1": "Storgata 1", "country": "Sweden", "notes": "ring twice"},
        ],
    )
    await insert_transaction(club, profile["id"], "T-1")
    club.clock.advance(days=1)
    response = await club.http.post(f"{PROFILES_URL}/{profile['id']}/depersonalise")
    assert response.status_code == 200
    after = response.json()["data"]
    assert after == await get_profile(club, profile["id"])
    assert after | other == after
    assert after["member_id"] == profile["member_id"]
    assert after | dict.fromkeys(blanked) == after
    assert [after[name] for name in lists] == [[], [], [], {}]
    assert after["identities"] == []
    assert "appearance" not in after["attributes"]
    comms = after["attributes"]["comms"]
    assert ("note" in comms, comms["sms_promo"], comms["post_bounced"], comms["email_optout"]) == (
        False,
        True,
        True,
        True,
    )
    names = [
        {name: each[name] for name in ("city", "address_line_1", "notes", "iso", "country", "iso_state", "state")}
        for each in after["addresses"]
    ]
    bare = {"city": None, "address_line_1": None, "notes": None}
    assert names == [
        bare | {"iso": "NO", "country": None, "iso_state": "NO-03", "state": "Oslo"},
        bare | {"iso": None, "country": "Sweden", "iso_state": None, "state": None},
    ]
    assert [each["is_default"] for each in after["addresses"]] == [True, False]
    assert await list_memberships(club, profile["id"]) == [("in", "2026-01-02 03:04", True)]
    assert await row_owners(club, "transactions") == [profile["id"]]
    assert (await create_profile(club, **blanked))["id"] != profile["id"]


async def test_erasure_of_an_unknown_profile_is_a_404(club: Club) -> None:
    path = f"{PROFILES_URL}/00000000-0000-0000-0000-000000000000"
    assert (await club.http.delete(f"{path}/purge")).status_code == 404
    assert (await club.http.post(f"{path}/depersonalise")).status_code == 404
    assert list(await get_errors(club, "POST", "/merge", {})) == ["source_profile_id"]
