"""Webhooks over HTTP."""

import base64
from typing import Any

import pytest

from clubs import Club

AT = "/api/v3/webhooks"
CROSSING = {"and": [{"<": [{"var": "old.spend_12m"}, 1000]}, {">=": [{"var": "new.spend_12m"}, 1000]}]}


async def created(club: Club, **fields: Any) -> dict[str, Any]:
    answer = await club.http.post(AT, json={"trigger": "aggregation.changed", "url": "https://a.example/x"} | fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def test_the_secret_of_a_webhook_is_returned_once(club: Club) -> None:
    found = await created(
        club, namespace="crm", user_id="7", retry_daily=3, retry_hourly=4, queue="slow", condition=CROSSING
    )
    secret = found.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 24
    assert found == {
        "id": found["id"],
        "trigger": "aggregation.changed",
        "url": "https://a.example/x",
        "namespace": "crm",
        "user_id": 7,
        "is_active": True,
        "retry_daily": 3,
        "retry_hourly": 4,
        "queue": "slow",
        "condition": CROSSING,
        "disabled_at": None,
        "disabled_reason": None,
        "created_at": "2026-11-01 00:00:00",
        "updated_at": "2026-11-01 00:00:00",
    }
    assert (await club.http.get(f"{AT}/{found['id']}")).json() == {"data": found}
    assert (await club.http.get(AT)).json()["data"] == [found]
    assert (await club.http.put(f"{AT}/{found['id']}", json=found)).json() == {"data": found}


async def test_each_webhook_has_its_own_constant_secret(club: Club) -> None:
    first, second = await created(club), await created(club)
    assert first["secret"] != second["secret"]
    await club.http.put(f"{AT}/{first['id']}", json={"url": "http://b.example"})
    async with club.database.read_transaction(club.community.id) as scope:
        stored = await scope.fetchval(
            "SELECT secret FROM webhooks WHERE community_id = $1 AND id = $2", club.community.id, first["id"]
        )
    assert stored == base64.b64decode(first["secret"].removeprefix("whsec_"))


async def test_absent_fields_of_a_webhook_stay_and_null_clears(club: Club) -> None:
    found = await created(club, condition=CROSSING, queue="slow", is_active=False)
    changed = await club.http.put(f"{AT}/{found['id']}", json={"condition": None, "is_active": 1, "retry_daily": "2"})
    data = changed.json()["data"]
    assert (data["condition"], data["is_active"], data["retry_daily"], data["queue"]) == (
        None,
        True,
        2,
        "slow",
    )
    found = await created(club, condition=False)
    assert found["condition"] is False


async def test_a_deleted_webhook_is_gone(club: Club) -> None:
    found = await created(club)
    assert (await club.http.delete(f"{AT}/{found['id']}")).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert (await club.http.request(method, f"{AT}/{found['id']}", json={})).status_code == 404


async def test_webhooks_are_filtered_by_any_of_their_fields(club: Club) -> None:
    first = await created(club, namespace="CRM", retry_daily=2, condition=CROSSING)
    second = await created(club, trigger="profile.created", is_active=False, user_id=9, retry_hourly=5, queue="q")
    for name, value, expected in (
        ("id", first["id"], first),
        ("trigger", "PROFILE.created", second),
        ("namespace", "crm", first),
        ("user_id", 9, second),
        ("is_active", "0", second),
        ("is_active", "true", first),
        ("retry_daily", 2, first),
        ("retry_hourly", 5, second),
        ("queue", "Q", second),
        ("condition][nullable", 1, second),
        ("condition][nullable", 0, first),
        ("url", "https://A.example/x", None),
        ("created_at", "2026-11-01 00:00:00", None),
        ("updated_at][gte", "2026-11-01", None),
    ):
        data = (await club.http.get(AT, params={f"filter[{name}]": value})).json()["data"]
        wanted = [expected] if expected else [first, second]
        assert [each["id"] for each in data] == [each["id"] for each in wanted], name


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"trigger": ""}, "trigger"),
        ({"trigger": None}, "trigger"),
        ({"trigger": "\0"}, "trigger"),
        ({"trigger": "x" * 256}, "trigger"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": "ftp://a.example"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a.example:99999"}, "url"),
        ({"url": "https://a.example/a b"}, "url"),
        ({"url": "https://a.example/\r\nX: y"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://a.example/" + "x" * 2048}, "url"),
        ({"url": "https://a.example/\0"}, "url"),
        ({"user_id": "me"}, "user_id"),
        ({"user_id": 10**30}, "user_id"),
        ({"retry_daily": -1}, "retry_daily"),
        ({"retry_daily": 10**30}, "retry_daily"),
        ({"retry_hourly": 1.5}, "retry_hourly"),
        ({"is_active": "maybe"}, "is_active"),
        ({"queue": 5}, "queue"),
        ({"namespace": "\0"}, "namespace"),
        ({"condition": {"eval": ["x"]}}, "condition"),
        ({"condition": {"and": [{"==": [1, {"run": 1}]}]}}, "condition"),
        ({"condition": {}}, "condition"),
        ({"condition": {"<": [1, 2], ">": [1, 2]}}, "condition"),
        ({"condition": "a\0"}, "condition"),
        ({"condition": list(range(1001))}, "condition"),
    ],
)
async def test_a_field_that_does_not_fit_is_refused_by_path(club: Club, fields: dict[str, Any], path: str) -> None:
    answer = await club.http.post(AT, json={"trigger": "t", "url": "https://a.example"} | fields)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [path]


async def test_trigger_and_url_are_required(club: Club) -> None:
    answer = await club.http.post(AT, json={})
    assert answer.json()["errors"] == {"trigger": ["is required"], "url": ["is required"]}


async def test_a_condition_is_nested_only_so_deep(club: Club) -> None:
    condition: Any = True
    for _ in range(19):
        condition = {"!": [condition]}
    answer = await club.http.post(AT, json={"trigger": "t", "url": "https://a.example", "condition": condition})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["condition"])


@pytest.mark.parametrize(
    "condition",
    [True, 5, "x", [], CROSSING, {"var": "new"}, {"if": [{"missing": ["a"]}, 1, {"cat": ["a", 2]}]}],
)
async def test_a_condition_is_stored_as_received(club: Club, condition: Any) -> None:
    assert (await created(club, condition=condition))["condition"] == condition
