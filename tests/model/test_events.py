"""Events of commits: stored with the fact, and only if an active webhook listens to them."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import pytest

from clubs import Club
from regulars.core.errors import NotFoundError
from regulars.ingest.commit import commit
from regulars.model import events
from regulars.model.events import Event
from regulars.model.unit_of_work import UnitOfWork


async def listen(club: Club, trigger: str, **fields: Any) -> int:
    """Creates a webhook."""
    answer = await club.http.post("/api/v3/webhooks", json={"trigger": trigger, "url": "https://a.example"} | fields)
    assert answer.status_code == 201, answer.text
    found: int = answer.json()["data"]["id"]
    return found


async def stored(club: Club) -> list[dict[str, Any]]:
    """The events of a community, in their order."""
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            """
            SELECT type, profile_id, subject_id, data, namespace
            FROM webhook_events WHERE community_id = $1 ORDER BY id
            """,
            club.community.id,
        )
    return [{**row, "data": None if row["data"] is None else msgspec.json.decode(row["data"])} for row in rows]


async def types(club: Club) -> list[str]:
    return [each["type"] for each in await stored(club)]


async def create_profile(club: Club, **headers: str) -> str:
    answer = await club.http.post("/api/v3/profiles", json={"first_name": "Ada"}, headers=headers)
    found: str = answer.json()["data"]["id"]
    return found


def purchase(profile_id: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "profile_id": profile_id,
        "transacted_at": "2026-10-20T10:00:00Z",
        "timezone": "UTC",
        "total": 100,
        "items": [],
    } | fields


async def buy(club: Club, profile_id: str | None, headers: dict[str, str] | None = None, **fields: Any) -> int:
    answer = await club.http.post("/api/v3/transactions", json=purchase(profile_id, **fields), headers=headers)
    assert answer.status_code == 201, answer.text
    found: int = answer.json()["data"]["id"]
    return found


@pytest.mark.parametrize(
    ("trigger", "event_type", "expected"),
    [
        ("profile.created", "profile.created", True),
        ("profile.created", "profile.updated", False),
        ("profile.*", "profile.updated", True),
        ("profile.*", "profiles.updated", False),
        ("*", "export.failed", True),
        ("pro*", "profile.created", False),
    ],
)
def test_a_trigger_is_a_type_a_group_or_all(trigger: str, event_type: str, expected: bool) -> None:
    assert events.matches(trigger, event_type) is expected


async def test_a_community_without_webhooks_stores_no_events(club: Club) -> None:
    await listen(club, "*", is_active=False)
    await buy(club, await create_profile(club))
    assert await stored(club) == []


async def test_only_events_with_a_listener_are_stored(club: Club) -> None:
    await listen(club, "transaction.*")
    transaction_id = await buy(club, profile_id := await create_profile(club))
    assert await stored(club) == [
        {
            "type": "transaction.created",
            "profile_id": UUID(profile_id),
            "subject_id": str(transaction_id),
            "data": None,
            "namespace": None,
        }
    ]


async def test_changes_of_values_have_their_cause(club: Club) -> None:
    await listen(club, "aggregation.changed")
    await buy(club, await create_profile(club))
    created, bought = [each["data"] for each in await stored(club)]
    assert (created["cause"], bought["cause"]) == ("profile.created", "transaction.created")
    assert created["changes"]["dimension_join"] == [None, "JN"]
    assert bought["changes"]["spend_12m"] == [0, 10000]


async def test_every_change_of_a_profile_is_an_event(club: Club) -> None:
    await listen(club, "profile.*")
    profile_id, other = await create_profile(club), await create_profile(club)
    path = f"/api/v3/profiles/{profile_id}"
    await club.http.put(path, json={"first_name": "Grace"})
    await club.http.put(path, json={"first_name": "Grace"})
    identity = {"handle": "card", "identifier": "7"}
    for name, body, key in (("identities", identity, "card"), ("addresses", {"country": "NOR"}, None)):
        made = await club.http.post(f"{path}/{name}", json=body)
        row = f"{path}/{name}/{key or made.json()['data']['id']}"
        assert (await club.http.put(row, json=body | {"identifier": "8", "city": "Oslo"})).status_code == 200
        assert (await club.http.delete(row)).status_code == 204
    merged = {"source_profile_id": other, "destination_profile_id": profile_id}
    assert (await club.http.post("/api/v3/profiles/merge", json=merged)).status_code == 200
    await club.http.put(f"{path}/update-type", json={"profile_type": "deleted"})
    await club.http.put(f"{path}/update-type", json={"profile_type": "member"})
    await club.http.delete(path)
    assert await types(club) == [
        "profile.created",
        "profile.created",
        *["profile.updated"] * 7,
        "profile.merged",
        "profile.deleted",
        "profile.updated",
        "profile.deleted",
    ]


async def test_depersonalising_leaves_no_earlier_event(club: Club) -> None:
    await listen(club, "profile.*")
    profile_id = await create_profile(club)
    assert (await club.http.post(f"/api/v3/profiles/{profile_id}/depersonalise")).status_code == 200
    assert await types(club) == ["profile.depersonalised"]


async def test_every_change_of_a_transaction_is_an_event(club: Club) -> None:
    await listen(club, "transaction.*")
    profile_id = await create_profile(club)
    anonymous = await buy(club, None)
    at = f"/api/v3/transactions/{anonymous}"
    await club.http.put(at, json={"profile_id": profile_id})
    await club.http.post(f"{at}/items", json={"name": "Shirt", "price_current": 5, "price_sell": 5, "quantity": 1})
    await club.http.delete(at)
    assert [(each["type"], each["profile_id"], each["data"]) for each in await stored(club)] == [
        ("transaction.created", None, None),
        ("transaction.updated", UUID(profile_id), None),
        ("transaction.updated", UUID(profile_id), None),
        (
            "transaction.deleted",
            UUID(profile_id),
            {"id": anonymous, "external_id": None, "profile_id": profile_id},
        ),
    ]


async def test_a_purge_leaves_nothing_but_the_deletion(club: Club) -> None:
    await listen(club, "*")
    await buy(club, profile_id := await create_profile(club))
    assert (await club.http.delete(f"/api/v3/profiles/{profile_id}/purge")).status_code == 204
    assert [(each["type"], each["data"]) for each in await stored(club)] == [
        ("profile.deleted", {"id": profile_id, "is_purged": True})
    ]


async def test_events_have_the_namespace_of_their_caller(club: Club) -> None:
    await listen(club, "*")
    profile_id = await create_profile(club, **{"X-Namespace": "crm"})
    await buy(club, profile_id, {"X-Namespace": "till"})
    await buy(club, profile_id)
    assert [(each["type"], each["namespace"]) for each in await stored(club)] == [
        ("profile.created", "crm"),
        ("aggregation.changed", "crm"),
        ("transaction.created", "till"),
        ("aggregation.changed", "till"),
        ("transaction.created", None),
        ("aggregation.changed", None),
    ]
    answer = await club.http.post("/api/v3/profiles", json={}, headers={"X-Namespace": "x" * 256})
    assert (answer.status_code, "X-Namespace" in answer.text) == (422, True)


async def test_a_change_by_several_callers_has_no_namespace(club: Club) -> None:
    await listen(club, "aggregation.changed")
    first, second = UUID(await create_profile(club)), UUID(await create_profile(club))

    async def work(uow: UnitOfWork) -> None:
        await uow.execute("UPDATE profiles SET joined_at = '2020-01-01' WHERE community_id = $1", uow.community_id)
        uow.mark_dirty(first, "profile.updated", "crm")
        uow.mark_dirty(second, "profile.updated", "crm")
        uow.mark_dirty(second, "profile.updated")

    await commit(club.database, club.community.id, work)
    found = {each["profile_id"]: each["namespace"] for each in (await stored(club))[2:]}
    assert found == {first: "crm", second: None}


async def test_events_of_a_row_that_is_rolled_back_are_dropped(club: Club) -> None:
    await listen(club, "export.*")

    async def work(uow: UnitOfWork) -> None:
        uow.record_event("export.completed", None, 1, {"format": "csv"})
        with suppress(NotFoundError):
            async with uow.tracked_savepoint():
                uow.record_event("export.failed", None, 2)
                raise NotFoundError("rolled back")

    await commit(club.database, club.community.id, work)
    assert [(each["type"], each["subject_id"], each["data"]) for each in await stored(club)] == [
        ("export.completed", "1", {"format": "csv"})
    ]


async def test_any_write_transaction_may_record_events(club: Club) -> None:
    await listen(club, "export.completed")
    events.take_announced()
    async with club.database.write_transaction(club.community.id) as scope:
        await events.record(scope, [Event("export.failed", subject_id="1")])
    assert events.take_announced() == set()
    async with club.database.write_transaction(club.community.id) as scope:
        await events.record(scope, [Event("export.completed", subject_id="1", data={"rows": 2})])
    assert await types(club) == ["export.completed"]
    assert events.take_announced() == {club.community.id}
