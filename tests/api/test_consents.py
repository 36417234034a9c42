"""Consents have two views: writing either updates both."""

from typing import Any

import pytest

from api.profile_calls import PROFILES_URL, create_profile, get_errors, get_profile, update_profile
from clubs import Club


async def _comms(club: Club, profile_id: str) -> dict[str, Any]:
    read = (await club.http.get(f"{PROFILES_URL}/{profile_id}/attributes/comms")).json()["data"]
    comms: dict[str, Any] = (await get_profile(club, profile_id))["attributes"]["comms"]
    assert comms == read
    return comms


async def _write(club: Club, profile_id: str, comms: dict[str, Any], at: str = "attributes/comms") -> dict[str, Any]:
    response = await club.http.put(f"{PROFILES_URL}/{profile_id}/{at}", json=comms)
    assert response.status_code == 200, response.text
    written: dict[str, Any] = response.json()["data"]
    assert written == await _comms(club, profile_id)
    return written


async def test_the_comms_attributes_of_a_new_profile_are_null(club: Club) -> None:
    profile = await create_profile(club)
    comms = await _comms(club, profile["id"])
    assert comms.pop("profile_id") == profile["id"]
    assert set(comms.values()) == {None}
    assert {f"{channel}_promo" for channel in ("email", "sms", "push", "phone", "post")} < set(comms)


@pytest.mark.parametrize("channel", ["email", "sms", "push", "phone", "post"])
async def test_a_promo_is_the_consent_to_marketing(club: Club, channel: str) -> None:
    profile = await create_profile(club, consents={f"{channel}_marketing": True})
    assert (await _comms(club, profile["id"]))[f"{channel}_promo"] is True
    await _write(club, profile["id"], {f"{channel}_promo": False})
    assert (await get_profile(club, profile["id"]))["consents"] == {f"{channel}_marketing": False}
    await update_profile(club, profile["id"], consents={f"{channel}_marketing": None})
    assert (await _comms(club, profile["id"]))[f"{channel}_promo"] is None
    await _write(club, profile["id"], {f"{channel}_promo": True})
    await _write(club, profile["id"], {f"{channel}_promo": None})
    assert (await get_profile(club, profile["id"]))["consents"] == {}


@pytest.mark.parametrize(
    ("status", "optout", "bounced", "verification"),
    [
        ("enabled", False, False, "not_sent"),
        ("verified", False, False, "verified"),
        ("hard_bounced", False, True, "not_sent"),
        ("unsubscribed", True, False, "not_sent"),
        ("disabled", False, False, "not_sent"),
    ],
)
@pytest.mark.parametrize("channel", ["sms", "email", "push"])
async def test_a_status_sets_the_flags(
    club: Club, channel: str, status: str, optout: bool, bounced: bool, verification: str
) -> None:
    profile = await create_profile(club, **{f"{channel}_status": status})
    comms = await _comms(club, profile["id"])
    assert [comms[f"{channel}_{part}"] for part in ("optout", "bounced", "verification")] == [
        optout,
        bounced,
        verification,
    ]
    # What was read says nothing new.
    await _write(club, profile["id"], comms)
    assert (await get_profile(club, profile["id"]))[f"{channel}_status"] == status


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ({"sms_optout": True}, "unsubscribed"),
        ({"sms_bounced": True}, "hard_bounced"),
        ({"sms_verification": "verified"}, "verified"),
        ({"sms_verification": "sent"}, "enabled"),
        ({"sms_optout": False}, "enabled"),
        ({"sms_optout": True, "sms_bounced": True, "sms_verification": "verified"}, "unsubscribed"),
        ({"sms_bounced": True, "sms_verification": "verified"}, "hard_bounced"),
        ({"sms_promo": True}, "enabled"),
        ({"sms_promo": False}, None),
        ({"email_optout": True}, None),
    ],
)
async def test_flags_set_the_status(club: Club, written: dict[str, Any], status: str | None) -> None:
    profile = await create_profile(club)
    await _write(club, profile["id"], written)
    assert (await get_profile(club, profile["id"]))["sms_status"] == status
    at_once = await create_profile(club, attributes={"comms": written})
    assert at_once["sms_status"] == status


async def test_clearing_a_flag_restores_the_previous_status(club: Club) -> None:
    profile = await create_profile(club, email_status="verified")
    for written, status in (
        ({"email_optout": True}, "unsubscribed"),
        ({"email_optout": False}, "verified"),
        ({"email_bounced": True}, "hard_bounced"),
        ({"email_optout": True}, "unsubscribed"),
        ({"email_optout": False}, "hard_bounced"),
        ({"email_bounced": False}, "verified"),
    ):
        await _write(club, profile["id"], written)
        assert (await get_profile(club, profile["id"]))["email_status"] == status


async def test_a_written_status_overrides_the_flags(club: Club) -> None:
    profile = await create_profile(club, email_status="verified")
    await _write(club, profile["id"], {"email_bounced": True})
    await update_profile(club, profile["id"], email_status="enabled")
    await _write(club, profile["id"], {"email_optout": True})
    await _write(club, profile["id"], {"email_optout": False})
    assert (await get_profile(club, profile["id"]))["email_status"] == "enabled"
    await update_profile(club, profile["id"], email_status=None)
    assert (await _comms(club, profile["id"]))["email_optout"] is None


async def test_subscribing_as_clients_do(club: Club) -> None:
    profile = await create_profile(club, email_status="unsubscribed", consents={"email_marketing": False})
    await _write(club, profile["id"], {"email_optout": False, "email_promo": True}, "comms")
    after = await get_profile(club, profile["id"])
    assert (after["email_status"], after["consents"]) == ("enabled", {"email_marketing": True})


async def test_other_comms_attributes_are_stored_unchanged(club: Club) -> None:
    profile = await create_profile(club, attributes={"comms": {"email_discover": True, "terms_accepted_version": "2"}})
    comms = await _write(club, profile["id"], {"phone_optout": True, "email_discover": None})
    assert (comms["phone_optout"], comms["terms_accepted_version"]) == (True, "2")
    assert "email_discover" not in comms


async def test_a_response_can_be_sent_back_with_one_view_changed(club: Club) -> None:
    profile = await create_profile(club, consents={"sms_marketing": False}, sms_status="enabled")
    profile["attributes"]["comms"] |= {"sms_promo": True, "sms_optout": True}
    after = await update_profile(club, profile["id"], **profile)
    assert (after["consents"], after["sms_status"]) == ({"sms_marketing": True}, "unsubscribed")
    after |= {"consents": {"sms_marketing": False}, "sms_status": "verified"}
    last = await update_profile(club, profile["id"], **after)
    comms = last["attributes"]["comms"]
    assert (comms["sms_promo"], comms["sms_optout"], comms["sms_verification"]) == (False, False, "verified")


async def test_consents_are_written_one_by_one(club: Club) -> None:
    profile = await create_profile(club, consents={"sms_marketing": True, "personal_offers": True})
    after = await update_profile(club, profile["id"], consents={"personal_offers": False})
    assert after["consents"] == {"sms_marketing": True, "personal_offers": False}


@pytest.mark.parametrize(
    "comms",
    [{"sms_promo": "perhaps"}, {"sms_verification": 5}, {"note": "\0"}, {"": True}, {"x" * 256: True}],
)
async def test_invalid_comms_are_rejected(club: Club, comms: dict[str, Any]) -> None:
    profile = await create_profile(club)
    await get_errors(club, "PUT", f"/{profile['id']}/comms", comms)
    assert list(await get_errors(club, "PUT", f"/{profile['id']}", {"attributes": {"comms": comms}})) == ["attributes"]


async def test_comms_of_an_unknown_profile_are_a_404(club: Club) -> None:
    path = f"{PROFILES_URL}/00000000-0000-0000-0000-000000000000"
    assert (await club.http.get(f"{path}/attributes/comms")).status_code == 404
    assert (await club.http.put(f"{path}/comms", json={})).status_code == 404
