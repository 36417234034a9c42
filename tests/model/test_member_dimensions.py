"""Age groups and reach are declared once, and PostgreSQL computes them as Python declares them."""

from itertools import product

from clubs import Club
from regulars.model.consents import CHANNEL_STATUSES, REACH_RULES
from regulars.model.member_dimensions import AGE_GROUP_STARTS, AGE_GROUPS


async def test_each_age_is_in_the_group_that_begins_last_before_it(club: Club) -> None:
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT age, age_group(20000615, 20000615 + age * 10000) AS name FROM generate_series(0, 110) AS age"
        )
    assert {row["age"]: row["name"] for row in rows} == {
        age: [name for name, start in AGE_GROUP_STARTS.items() if (start or 0) <= age][-1] for age in range(111)
    }
    assert list(AGE_GROUPS) == list(AGE_GROUP_STARTS)


async def test_an_age_is_completed_on_the_birthday(club: Club) -> None:
    async with club.database.read_transaction(club.community.id) as scope:
        row = await scope.fetchrow(
            "SELECT age_group(20000615, 20150614) AS before, age_group(20000615, 20150615) AS birthday,"
            " age_group(NULL, 20150615) AS unknown"
        )
    assert dict(row) == {"before": "-14", "birthday": "15-19", "unknown": None}


async def test_a_member_is_reached_where_status_and_consent_allow_it(club: Club) -> None:
    async with club.database.read_transaction(club.community.id) as scope:
        for status, granted in product(CHANNEL_STATUSES, (True, False, None)):
            consents = {rule.consent: granted for rule in REACH_RULES if rule.consent and granted is not None}
            channels = await scope.fetchval("SELECT reachable_channels($1::jsonb, $2, $2, $2)", consents, status)
            assert channels == [
                rule.channel for rule in REACH_RULES if status in rule.statuses and (granted or rule.consent is None)
            ]
