"""What tests of webhooks have in common: subscriptions, facts, and deliveries."""

from typing import Any

from clubs import Club
from regulars.webhooks.dispatcher import WebhookDispatcher
from webhook_receiver import Receiver

WEBHOOKS_URL = "/api/v3/webhooks"


async def listen(club: Club, receiver: Receiver, trigger: str, **fields: Any) -> dict[str, Any]:
    """Creates a webhook that sends to the receiver."""
    return await post(club, WEBHOOKS_URL, {"trigger": trigger, "url": receiver.url} | fields)


async def post(club: Club, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The data of a successful response."""
    response = await club.http.post(path, json=body, headers=headers)
    assert response.status_code in (200, 201), response.text
    found: dict[str, Any] = response.json()["data"]
    return found


async def create_profile(club: Club, headers: dict[str, str] | None = None, **fields: Any) -> str:
    """Creates a profile and returns its id."""
    return str((await post(club, "/api/v3/profiles", fields, headers))["id"])


async def buy(club: Club, profile_id: str | None, total: float = 100, **fields: Any) -> int:
    """Creates a transaction and returns its id."""
    body: dict[str, Any] = {
        "profile_id": profile_id,
        "transacted_at": "2026-10-20T10:00:00Z",
        "timezone": "UTC",
        "total": total,
        "items": [],
    }
    return int((await post(club, "/api/v3/transactions", body | fields))["id"])


async def deliver(club: Club, dispatcher: WebhookDispatcher) -> None:
    """Matches the events of the club, and sends all that is due now."""
    await dispatcher.dispatch(club.community.id)
    await dispatcher.finish()


async def deliveries(club: Club, webhook_id: int, **filters: Any) -> list[dict[str, Any]]:
    """The log of a webhook, in the order of the events."""
    params: dict[str, Any] = {"page[size]": 500, "sort": "id"} | {
        f"filter[{name}]": value for name, value in filters.items()
    }
    response = await club.http.get(f"{WEBHOOKS_URL}/{webhook_id}/deliveries", params=params)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def webhook(club: Club, webhook_id: int) -> dict[str, Any]:
    """A webhook as the API shows it."""
    found: dict[str, Any] = (await club.http.get(f"{WEBHOOKS_URL}/{webhook_id}")).json()["data"]
    return found
