"""The populated store of the last release is upgraded by this version and answers as before.

Until 0.2.0 is released the store is of its unreleased schema: after a change of a migration it is created again, see
make_release_store.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from clubs import ManualClock
from postgres_servers import on_both_servers_if_long
from regulars.bootstrap import schema_statements
from regulars.ingest import stored_dispatches, stored_profiles, voided_statuses
from regulars.storage.database import Database
from regulars.storage.migrate import migrate, role_of
from storage.release_store import AS_OF, answer, client, differences, prepare, read_answers, restore_script

REDEFINED = {
    *("spend_12m", "spend_12m_sum", "spend_atv_12m", "most_spend_12m_location"),
    *("delivery", "open", "click_to_open", "bounce", "unsubscribe"),
}
"""Values and rates whose definition has changed since: what they follow from is compared by `verify`."""


def lost(recorded: Any, found: Any, path: str = "") -> list[str]:
    """What of a recorded answer is missing or different in another one. Additional fields are allowed."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        return [
            each
            for key, value in recorded.items()
            if key not in REDEFINED
            for each in lost(value, found.get(key), f"{path}.{key}")
        ]
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        pairs = zip(recorded, found, strict=True)
        return [each for place, pair in enumerate(pairs) for each in lost(*pair, f"{path}[{place}]")]
    return [] if recorded == found else [f"{path}: {recorded!r} became {found!r}"]


def test_lost_names_each_difference() -> None:
    assert lost({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}], "d": 4}) == []
    assert lost({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == [".a[1].b: 2 became 3"]
    assert lost({"a": [1]}, {"a": []}) == [".a: [1] became []"]
    assert lost({"a": 1}, {}) == [".a: 1 became None"]


@on_both_servers_if_long
async def test_the_store_of_the_last_release_is_upgraded_and_answers_as_before(empty_urls: tuple[str, str]) -> None:
    await asyncio.to_thread(restore_script, empty_urls[0])
    await asyncio.to_thread(migrate, empty_urls[0], role_of(empty_urls[1]), schema_statements())
    tokens, recorded = read_answers()
    async with Database(empty_urls[1], 4, ManualClock(AS_OF)) as database:
        await prepare(database)
        assert await differences(database) == []
        async with client(database, tokens) as http:
            for each in recorded:
                assert lost(each["answer"], await answer(http, each)) == [], (each["path"], each["body"])
        for pending, restate in (
            (voided_statuses.list_pending, voided_statuses.apply),
            (stored_profiles.list_pending, stored_profiles.normalize),
            (stored_dispatches.list_pending, stored_dispatches.restate_keys),
        ):
            (community_id,) = await pending(database)
            await restate(database, community_id)
            assert await pending(database) == []
        assert await differences(database) == []
