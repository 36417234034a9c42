"""A copy has every value that the oracle has, whatever happens in a club, whoever else brings it up to date."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.histories import History, histories, replay
from aggregations.product import Product
from aggregations.stored import differences, in_oracle_form
from aggregations.test_live import product_of
from clubs import SetClock
from oracle import Facts, values
from query.copying import asked
from randomness import drawn
from regulars.aggregations.store import NAMES
from regulars.jobs.sweep import sweep_community
from regulars.query.columns import Copies
from regulars.storage.database import Database

pytestmark = pytest.mark.timeout(3000)

_ALL = f"SELECT r.profile_id, {', '.join(f'r.{name}' for name in NAMES)} FROM members AS r"


# Who joins by the clock is a member from then on, whether the sweep has been there or not.
_MEMBERS = """
SELECT count(*)
FROM (
    SELECT DISTINCT ON (profile_id) profile_id, type
    FROM memberships
    WHERE community_id = $1 AND counted AND at <= $2
    ORDER BY profile_id, at DESC, id DESC
) AS latest
WHERE type = 'in'
"""


async def all_is_true(product: Product, copies: Copies, facts: Facts, now: datetime) -> None:
    """Compares every value of every member with the oracle's."""
    known = {mine: theirs for theirs, mine in product.profiles.items()}
    rows = await asked(product.club, copies, _ALL)
    async with product.club.database.reading(product.club.community.id) as scope:
        members = await scope.fetchval(_MEMBERS, scope.community_id, now)
    assert len(rows) == members
    for profile_id, *found in rows:
        theirs = known[UUID(str(profile_id))]
        row = {"profile_id": profile_id, **dict(zip(NAMES, found, strict=True))}
        # Outside it has three letters, and so it has in the copy.
        row["likely_country_iso"] = row["likely_country"]
        shown = in_oracle_form(row, now, product.club.community.minor_digits) | {"profile_id": theirs}
        wrong = differences(shown, values(facts, theirs, now))
        assert wrong == {}, wrong


@drawn(10)
@given(history=histories(max_actions=25), data=st.data())
async def test_a_copy_has_every_value_after_everything_that_happens(
    history: History, data: st.DataObject, database: Database, clock: SetClock
) -> None:
    async with product_of(history, database, clock) as product:
        copies, before = Copies(100), history.world
        for action, after, now in replay(history):
            clock.at = now
            await product.do(action, before, after)
            before = after
            if data.draw(st.booleans(), "is swept"):
                await sweep_community(database, product.club.community.id, lambda: False)
            if data.draw(st.booleans(), "is asked"):
                await all_is_true(product, copies, after, now)
        await all_is_true(product, copies, before, clock.at)
