"""A replica has the values of the oracle after any changes of a club, and refreshes by other processes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.histories import History, histories, replay
from aggregations.store_facts import differences, in_oracle_form
from aggregations.system_under_test import SystemUnderTest
from aggregations.test_live import product_of
from clubs import ManualClock
from hypothesis_settings import property_test
from oracle import Facts, expected_values
from query.replica_client import fetch
from regulars.aggregations.table import VALUE_COLUMNS
from regulars.jobs.refresh_due import refresh_community
from regulars.query.replica.cache import ReplicaCache
from regulars.storage.database import Database

pytestmark = pytest.mark.timeout(3000)

_ALL = f"SELECT r.profile_id, {', '.join(f'r.{name}' for name in VALUE_COLUMNS)} FROM members AS r"


# A member whose join lies in the future is one from then on, whether the profile was refreshed or not.
_MEMBERS = """
SELECT count(*)
FROM (
    SELECT DISTINCT ON (profile_id) profile_id, type
    FROM memberships
    WHERE community_id = $1 AND is_effective AND occurred_at <= $2
    ORDER BY profile_id, occurred_at DESC, id DESC
) AS latest
WHERE type = 'in'
"""


async def all_is_true(product: SystemUnderTest, cache: ReplicaCache, facts: Facts, now: datetime) -> None:
    """Compares every value of every member with the oracle's."""
    known = {mine: theirs for theirs, mine in product.profiles.items()}
    rows = await fetch(product.club, cache, _ALL)
    async with product.club.database.read_transaction(product.club.community.id) as scope:
        members = await scope.fetchval(_MEMBERS, scope.community_id, now)
    assert len(rows) == members
    for profile_id, *found in rows:
        theirs = known[UUID(str(profile_id))]
        row = {"profile_id": profile_id, **dict(zip(VALUE_COLUMNS, found, strict=True))}
        # Outside it has three letters, and so it has in the replica.
        row["likely_country_iso"] = row["likely_country"]
        shown = in_oracle_form(row, now, product.club.community.minor_digits) | {"profile_id": theirs}
        wrong = differences(shown, expected_values(facts, theirs, now))
        assert wrong == {}, wrong


@pytest.mark.slow
@property_test(2)
@given(history=histories(max_actions=25), data=st.data())
async def test_a_replica_has_every_value_after_any_changes(
    history: History, data: st.DataObject, database: Database, clock: ManualClock
) -> None:
    async with product_of(history, database, clock) as product:
        cache, before = ReplicaCache(database, 100), history.world
        for action, after, now in replay(history):
            clock.at = now
            await product.perform(action, before, after)
            before = after
            if data.draw(st.booleans(), "is refreshed"):
                await refresh_community(database, product.club.community.id, lambda: False)
            if data.draw(st.booleans(), "is queried"):
                await all_is_true(product, cache, after, now)
        await all_is_true(product, cache, before, clock.at)
