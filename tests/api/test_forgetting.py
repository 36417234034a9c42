"""Forgetting a member: purged without a trace, or without a name and still counted."""

from api.profile_calls import PROFILES, bought, errors, made, memberships, owners, rows, shown
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
    "aggregations",
)


async def _counts(club: Club) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        [row] = await rows(club, f"SELECT count(*) FROM {table} WHERE community_id = $1")
        counts[table] = row["count"]
    return counts


async def test_a_purged_profile_is_in_no_table(club: Club) -> None:
    kept = await made(club, identities=[{"handle": "card", "identifier": "2"}], addresses=[{"city": "Oslo"}])
    await bought(club, kept["id"], "T-1")
    before = await _counts(club)

    answer = await club.http.post(
        PROFILES,
        json={
            "email": "kari@example.com",
            "addresses": [{}],
            "identities": [{"handle": "card", "identifier": "1"}],
        },
        headers={"Idempotency-Key": "kari"},
    )
    profile, twin = answer.json()["data"], await made(club)
    await bought(club, twin["id"], "T-2")
    await bought(club, profile["id"], "T-3", is_void=True)
    body = {"source_profile_id": twin["id"], "destination_profile_id": profile["id"]}
    assert (await club.http.post(f"{PROFILES}/merge", json=body)).status_code == 200

    path = f"{PROFILES}/{profile['id']}/purge"
    assert (await club.http.delete(path)).status_code == 204
    assert await _counts(club) == before
    assert (await club.http.delete(path)).status_code == 404
    assert (await club.http.get(f"{PROFILES}/{twin['id']}")).json() == {"message": f"There is no profile {twin['id']}."}
    assert await owners(club, "transactions") == [kept["id"]]


async def test_a_deleted_profile_can_be_purged(club: Club) -> None:
    profile = await made(club)
    await club.http.delete(f"{PROFILES}/{profile['id']}")
    assert (await club.http.delete(f"{PROFILES}/{profile['id']}/purge")).status_code == 204
    assert (await _counts(club))["memberships"] == 0


async def test_a_depersonalised_profile_keeps_what_is_counted(club: Club) -> None:
    kept = {
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
    profile = await made(
        club,
        **kept,
        **blanked,
        **lists,
        attributes={"appearance": {"hair": "red"}, "comms": {"note": "call her", "post_bounced": True}},
        identities=[{"handle": "card", "identifier": "1"}],
        addresses=[
            {"city": "Oslo", "iso": "NO", "iso_state": "NO-03", "state": "Oslo", "is_default": True},
            {"address_line_1": "Storgata 1", "country": "Sweden", "notes": "ring twice"},
        ],
    )
    await bought(club, profile["id"], "T-1")
    club.clock.step(days=1)
    answer = await club.http.post(f"{PROFILES}/{profile['id']}/depersonalise")
    assert answer.status_code == 200
    after = answer.json()["data"]
    assert after == await shown(club, profile["id"])
    assert after | kept == after
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
    told = [
        {name: each[name] for name in ("city", "address_line_1", "notes", "iso", "country", "iso_state", "state")}
        for each in after["addresses"]
    ]
    bare = {"city": None, "address_line_1": None, "notes": None}
    assert told == [
        bare | {"iso": "NO", "country": None, "iso_state": "NO-03", "state": "Oslo"},
        bare | {"iso": None, "country": "Sweden", "iso_state": None, "state": None},
    ]
    assert [each["is_default"] for each in after["addresses"]] == [True, False]
    assert await memberships(club, profile["id"]) == [("in", "2026-01-02 03:04", True)]
    assert await owners(club, "transactions") == [profile["id"]]
    assert (await made(club, **blanked))["id"] != profile["id"]


async def test_forgetting_needs_somebody(club: Club) -> None:
    path = f"{PROFILES}/00000000-0000-0000-0000-000000000000"
    assert (await club.http.delete(f"{path}/purge")).status_code == 404
    assert (await club.http.post(f"{path}/depersonalise")).status_code == 404
    assert list(await errors(club, "POST", "/merge", {})) == ["source_profile_id"]
