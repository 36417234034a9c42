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


@pytest.mark.parametrize(
    ("contact", "status"),
    [({}, None), ({"email": "a@example.com"}, "enabled"), ({"email_status": "verified"}, "verified")],
)
async def test_a_consent_that_is_taken_back_enables_no_channel_without_an_address(
    club: Club, contact: dict[str, Any], status: str | None
) -> None:
    profile = await create_profile(club, consents={"email_marketing": True}, **contact)
    after = await update_profile(club, profile["id"], consents={"email_marketing": None})
    assert after["email_status"] == status


_KNOWN = {"email_verification": "verified", "email_bounced": True, "email_optout": True}


@pytest.mark.parametrize(
    ("stored", "written", "expected"),
    [
        ({"email_status": "verified"}, {"email": "b@example.com"}, ("enabled", False, False, "not_sent")),
        ({"email_status": "hard_bounced"}, {"email": "b@example.com"}, ("enabled", False, False, "not_sent")),
        (
            {"email_status": "verified", "consents": {"email_marketing": False}},
            {"email": "b@example.com"},
            (None, None, None, None),
        ),
        # What the member and the community decided stays.
        ({"email_status": "unsubscribed"}, {"email": "b@example.com"}, ("unsubscribed", True, False, "not_sent")),
        ({"email_status": "disabled"}, {"email": "b@example.com"}, ("disabled", False, False, "not_sent")),
        (
            {"email_status": "enabled", "consents": {"email_marketing": False}},
            {"email": "b@example.com"},
            ("enabled", False, False, "not_sent"),
        ),
        (
            {"attributes": {"comms": _KNOWN}},
            {"email": "b@example.com"},
            ("unsubscribed", True, False, "not_sent"),
        ),
        # Without an address, those who consent can be written to once there is one.
        ({"email_status": "verified"}, {"email": None}, (None, None, None, None)),
        ({}, {"email": None}, (None, None, None, None)),
        (
            {"email_status": "verified", "consents": {"email_marketing": True}},
            {"email": None},
            ("enabled", False, False, "not_sent"),
        ),
        # The same address.
        ({"email_status": "verified"}, {"email": "A@Example.com"}, ("verified", False, False, "verified")),
        # What the request says, it says of the new address.
        (
            {"email_status": "verified"},
            {"email": "b@example.com", "email_status": "verified"},
            ("verified", False, False, "verified"),
        ),
        (
            {"email_status": "hard_bounced"},
            {"email": "b@example.com", "email_status": "verified"},
            ("verified", False, False, "verified"),
        ),
        (
            {"attributes": {"comms": _KNOWN}},
            {"email": "b@example.com", "email_status": "unsubscribed"},
            ("unsubscribed", True, False, "not_sent"),
        ),
        (
            {"email_status": "verified"},
            {"email": "b@example.com", "attributes": {"comms": {"email_verification": "verified"}}},
            ("verified", False, False, "verified"),
        ),
        (
            {"attributes": {"comms": {"email_verification": "verified", "email_bounced": True}}},
            {"email": "b@example.com", "attributes": {"comms": {"email_bounced": True}}},
            ("hard_bounced", False, True, "not_sent"),
        ),
        (
            {"attributes": {"comms": {"email_verification": "verified", "email_bounced": True}}},
            {"email": "b@example.com", "attributes": {"comms": {"email_optout": False}}},
            ("enabled", False, False, "not_sent"),
        ),
    ],
)
async def test_another_email_is_neither_verified_nor_bounced(
    club: Club, stored: dict[str, Any], written: dict[str, Any], expected: tuple[object, ...]
) -> None:
    profile = await create_profile(club, email="a@example.com", **stored)
    for _ in range(2):
        after = await update_profile(club, profile["id"], **written)
        comms = after["attributes"]["comms"]
        flags = (comms[f"email_{flag}"] for flag in ("optout", "bounced", "verification"))
        assert (after["email_status"], *flags) == expected


async def test_a_response_is_sent_back_with_another_email(club: Club) -> None:
    profile = await create_profile(club, email="a@example.com", email_status="verified")
    body = profile | {"email": "b@example.com"}
    assert (await update_profile(club, profile["id"], **body))["email_status"] == "verified"
    body |= {"email": "c@example.com", "email_status": "enabled"}
    assert (await update_profile(club, profile["id"], **body))["email_status"] == "enabled"


async def test_an_address_has_nothing_of_the_time_without_one(club: Club) -> None:
    profile = await create_profile(club, email_status="verified", sms_status="hard_bounced")
    after = await update_profile(club, profile["id"], email="a@example.com", mobile_phone="+4790000001")
    assert (after["email_status"], after["sms_status"]) == ("enabled", "enabled")


async def test_another_phone_number_is_neither_verified_nor_bounced(club: Club) -> None:
    comms = {"phone_verification": "verified", "phone_bounced": False, "phone_optout": True, "phone_promo": True}
    profile = await create_profile(
        club, mobile_phone="+4790000001", sms_status="verified", email_status="verified", attributes={"comms": comms}
    )
    same = await update_profile(club, profile["id"], mobile_phone="900 00 001")
    assert (same["sms_status"], same["attributes"]["comms"]["phone_verification"]) == ("verified", "verified")
    after = await update_profile(club, profile["id"], mobile_phone="900 00 002")
    written = after["attributes"]["comms"]
    assert (after["sms_status"], written["sms_verification"], after["email_status"]) == (
        "enabled",
        "not_sent",
        "verified",
    )
    assert [written[name] for name in comms] == [None, None, True, True]


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
