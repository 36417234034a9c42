"""Deliveries arrive: signed, in order for each profile, with the values that they promise."""

from typing import Any

from standardwebhooks import Webhook

from clubs import Club
from regulars.webhooks.dispatcher import WebhookDispatcher
from webhook_receiver import Receiver


async def listen(club: Club, receiver: Receiver, trigger: str, **fields: Any) -> dict[str, Any]:
    """Creates a webhook that sends to the receiver."""
    answer = await club.http.post("/api/v3/webhooks", json={"trigger": trigger, "url": receiver.url} | fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def create_profile(club: Club, headers: dict[str, str] | None = None, **fields: Any) -> str:
    answer = await club.http.post("/api/v3/profiles", json=fields, headers=headers)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["data"]["id"]
    return found


async def buy(club: Club, profile_id: str | None, total: float = 100, **fields: Any) -> int:
    body: dict[str, Any] = {
        "profile_id": profile_id,
        "transacted_at": "2026-10-20T10:00:00Z",
        "timezone": "UTC",
        "total": total,
        "items": [],
    }
    answer = await club.http.post("/api/v3/transactions", json=body | fields)
    assert answer.status_code == 201, answer.text
    found: int = answer.json()["data"]["id"]
    return found


async def deliver(club: Club, dispatcher: WebhookDispatcher) -> None:
    """Delivers all that is due now."""
    await dispatcher.dispatch(club.community.id)
    await dispatcher.finish()


async def test_a_profile_is_delivered_with_its_values(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "profile.created")
    profile_id = await create_profile(club, first_name="Ada", email="ada@example.com")
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert got.json["type"] == "profile.created"
    assert got.json["timestamp"] == "2026-11-01T00:00:00.000Z"
    assert got.json["id"] == got.id
    shown = (await club.http.get(f"/api/v3/profiles/{profile_id}")).json()["data"]
    values = (await club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")).json()["data"]
    assert got.json["data"] == shown | {"aggregations": values}


async def test_a_change_has_the_old_and_new_values(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    await listen(club, receiver, "aggregation.changed")
    profile_id = await create_profile(club)
    await buy(club, profile_id, 99.95)
    await deliver(club, dispatcher)
    created, bought = [each.json["data"] for each in receiver.received]
    assert created["cause"] == "profile.created"
    assert set(created["old"].values()) == {None}
    assert (bought["cause"], bought["profile_id"]) == ("transaction.created", profile_id)
    assert (bought["old"]["spend_12m"], bought["new"]["spend_12m"]) == (0, 99.95)
    assert bought["old"].keys() == bought["new"].keys()
    assert bought["new"].items() <= bought["aggregations"].items()


async def test_the_library_of_standard_webhooks_verifies_a_delivery(
    club: Club, receiver: Receiver, dispatcher: WebhookDispatcher
) -> None:
    from datetime import UTC, datetime

    club.clock.at = datetime.now(UTC)
    secret = (await listen(club, receiver, "profile.*"))["secret"]
    await create_profile(club)
    await deliver(club, dispatcher)
    (got,) = receiver.received
    assert Webhook(secret).verify(got.body, dict(got.headers)) == got.json
