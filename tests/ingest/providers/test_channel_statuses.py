"""Unsubscribes, complaints and hard bounces that providers report set the status of the member."""

from __future__ import annotations

from typing import Any

import pytest

from api.profile_calls import PROFILES_URL, update_profile
from ingest.provider_client import AUTH_TOKEN, SIGNING_KEY, TOPIC, ProviderClient, verification_key
from loading.file_loader import FileLoader
from regulars.model import community as communities


async def _statuses(client: ProviderClient, name: str) -> tuple[str, dict[str, Any]]:
    answer = await client.club.http.post(f"{PROFILES_URL}/search-id", json={"type": "external_id", "id": name})
    profile_id = answer.json()["data"]["id"]
    return profile_id, (await client.club.http.get(f"{PROFILES_URL}/{profile_id}")).json()["data"]


async def _email_status(client: ProviderClient, name: str = "C1") -> str | None:
    status: str | None = (await _statuses(client, name))[1]["email_status"]
    return status


async def _reasons(client: ProviderClient) -> list[str]:
    rows = await client.rows("SELECT reason FROM outbox WHERE community_id = $1 AND changes::text = '{}' ORDER BY id")
    return [row["reason"] for row in rows if row["reason"].startswith("sending.")]


async def test_sendgrid_sets_the_status_with_the_reason(provider_client: ProviderClient, load: FileLoader) -> None:
    await provider_client.set_up("sendgrid", verification_key())
    await load.profiles("C1", "C2")
    event = provider_client.sendgrid_event
    await provider_client.sendgrid([event("bounce", regulars_profile="C1", type="blocked")])
    assert await _email_status(provider_client) is None
    bounce = event("bounce", regulars_profile="C1", type="bounce")
    await provider_client.sendgrid([bounce, event("delivered", regulars_profile="C2", sg_message_id="M2")])
    assert (await _email_status(provider_client), await _email_status(provider_client, "C2")) == ("hard_bounced", None)
    await provider_client.sendgrid(
        [event("spamreport", regulars_profile="C1"), event("unsubscribe", sg_message_id="M")]
    )
    profile_id, shown = await _statuses(provider_client, "C1")
    assert shown["email_status"] == "unsubscribed"
    assert shown["attributes"]["comms"]["email_optout"] is True
    # A bounce does not replace it, and an event that is stored already sets nothing after a new opt-in.
    await provider_client.sendgrid([event("bounce", regulars_profile="C1")])
    assert await _email_status(provider_client) == "unsubscribed"
    await update_profile(provider_client.club, profile_id, email_status="enabled")
    await provider_client.sendgrid([bounce])
    assert await _email_status(provider_client) == "enabled"
    assert await _reasons(provider_client) == ["sending.hard_bounced", "sending.complained"]


async def test_a_bounce_of_an_unsubscribed_address_is_visible_after_a_new_optin(
    provider_client: ProviderClient, load: FileLoader
) -> None:
    await provider_client.set_up("sendgrid", verification_key())
    await load.profiles("C1")
    event = provider_client.sendgrid_event
    for kind in ("unsubscribe", "bounce"):
        await provider_client.sendgrid([event(kind, regulars_profile="C1")])
        assert await _email_status(provider_client) == "unsubscribed"
    profile_id, _ = await _statuses(provider_client, "C1")
    comms = {"comms": {"email_optout": False}}
    after = await update_profile(provider_client.club, profile_id, attributes=comms)
    assert after["email_status"] == "hard_bounced"


@pytest.mark.parametrize(
    ("current", "reported", "status"),
    [
        ("kari@example.com", "kari@example.com", "hard_bounced"),
        ("Kari@Example.com", "Kari N. <kari@EXAMPLE.com>", "hard_bounced"),
        ("kari@blåbær.example", "kari@xn--blbr-roah.example", "hard_bounced"),
        ("kari@-", "KARI@-", "hard_bounced"),
        ("new@example.com", "kari@example.com", "enabled"),
        ("new@example.com", "", "hard_bounced"),
    ],
)
async def test_a_bounce_of_a_former_email_leaves_the_status_alone(
    provider_client: ProviderClient, load: FileLoader, current: str, reported: str, status: str
) -> None:
    await provider_client.set_up("sendgrid", verification_key())
    await load("profiles", f"external_id,email\nC1,{current}\n")
    await provider_client.sendgrid([provider_client.sendgrid_event("bounce", regulars_profile="C1", email=reported)])
    assert await _email_status(provider_client) == status
    # The member unsubscribes, not the address.
    await provider_client.sendgrid([provider_client.sendgrid_event("unsubscribe", regulars_profile="C1")])
    assert await _email_status(provider_client) == "unsubscribed"


async def test_every_provider_reports_the_address_that_bounced(
    provider_client: ProviderClient, load: FileLoader
) -> None:
    await load("profiles", "external_id,email,mobile_phone\nC1,kari@example.com,900 00 001\n")
    profile_id, _ = await _statuses(provider_client, "C1")
    await provider_client.set_up("mailgun", SIGNING_KEY)
    await provider_client.set_up("ses", TOPIC)
    await provider_client.set_up("twilio", AUTH_TOKEN)
    names = {"regulars_sending": "autumn", "regulars_profile": "C1"}
    tags = {name: [value] for name, value in names.items()}

    async def mailgun(address: str) -> None:
        fields = {"recipient": address, "user-variables": names}
        await provider_client.mailgun(provider_client.mailgun_event("failed", severity="permanent", **fields))

    async def ses(*addresses: str, bounced: str = "forwarded@example.org") -> None:
        mail = {"tags": tags, "destination": addresses, "messageId": f"{addresses} {bounced}"}
        await provider_client.ses("Bounce", mail, bounceType="Permanent", bouncedRecipients=[{"emailAddress": bounced}])

    async def twilio(number: str) -> None:
        status = {"MessageSid": f"SM{number}", "MessageStatus": "undelivered", "ErrorCode": "30005", "To": number}
        await provider_client.twilio(status, "regulars_sending=texts&regulars_profile=C1")

    async def statuses() -> tuple[str, str]:
        shown = await update_profile(provider_client.club, profile_id)
        await update_profile(provider_client.club, profile_id, email_status="enabled", sms_status="enabled")
        return shown["email_status"], shown["sms_status"]

    await mailgun("former@example.com")
    await ses("former@example.com")
    await ses("kari@example.com", "ola@example.com", bounced="ola@example.com")
    await twilio("+4790000002")
    assert await statuses() == ("enabled", "enabled")
    await mailgun("kari@example.com")
    await twilio("+4790000001")
    assert await statuses() == ("hard_bounced", "hard_bounced")
    await ses("kari@example.com")
    await twilio("whatsapp:+4790000001")
    assert await statuses() == ("hard_bounced", "hard_bounced")
    await ses("kari@example.com", "ola@example.com", bounced="kari@example.com")
    assert await statuses() == ("hard_bounced", "enabled")


async def test_a_message_without_an_id_sets_the_status_of_its_recipient(
    provider_client: ProviderClient, load: FileLoader
) -> None:
    await provider_client.set_up("sendgrid", verification_key())
    await load.profiles("C1")
    event = provider_client.sendgrid_event("bounce", regulars_profile="C1", type="bounce")
    del event["sg_message_id"]
    await provider_client.sendgrid([event])
    assert await _email_status(provider_client) == "hard_bounced"


async def test_a_community_may_leave_statuses_alone(provider_client: ProviderClient, load: FileLoader) -> None:
    await provider_client.set_up("sendgrid", verification_key())
    await load.profiles("C1")
    club = provider_client.club
    async with club.database.unscoped_connection() as connection:
        await communities.set_provider_statuses(connection, club.community.slug, False, club.clock())
    await provider_client.sendgrid([provider_client.sendgrid_event("unsubscribe", regulars_profile="C1")])
    assert await _email_status(provider_client) is None


async def test_a_report_that_a_message_is_not_spam_leaves_the_status_alone(
    provider_client: ProviderClient, load: FileLoader
) -> None:
    await load.profiles("C1")
    await provider_client.set_up("ses", TOPIC)
    mail = {"tags": {"regulars_sending": ["autumn"], "regulars_profile": ["C1"]}}
    recipients = [{"emailAddress": "a@example.org"}]
    for feedback, expected in (("not-spam", None), ("abuse", "unsubscribed")):
        await provider_client.ses("Complaint", mail, complainedRecipients=recipients, complaintFeedbackType=feedback)
        assert await _email_status(provider_client) == expected, feedback


async def test_the_other_providers_set_it_too(provider_client: ProviderClient, load: FileLoader) -> None:
    await load.profiles("C1", "C2", "C3", "C4")
    await provider_client.set_up("mailgun", SIGNING_KEY)
    mailgun = provider_client.mailgun_event
    variables = {"regulars_sending": "autumn", "regulars_profile": "C1"}
    await provider_client.mailgun(mailgun("failed", severity="permanent", **{"user-variables": variables}))
    assert await _email_status(provider_client, "C1") == "hard_bounced"
    await provider_client.set_up("ses", TOPIC)
    for name, kind, expected in (("C2", "Transient", None), ("C3", "Permanent", "hard_bounced")):
        tags = {"regulars_sending": ["autumn"], "regulars_profile": [name]}
        mail = {"messageId": f"m-{name}", "tags": tags}
        await provider_client.ses(
            "Bounce", mail, bounceType=kind, bouncedRecipients=[{"emailAddress": "a@example.org"}]
        )
        assert await _email_status(provider_client, name) == expected, name
    await provider_client.set_up("twilio", AUTH_TOKEN)
    query = "regulars_sending=autumn&regulars_profile=C4"
    status = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30005"}
    await provider_client.twilio(status, query)
    assert (await _statuses(provider_client, "C4"))[1]["sms_status"] == "hard_bounced"
