"""Every worked case: the declarations give what the specification says, live and as of the same instant."""

import pytest

from aggregations.case import ME, Case
from aggregations.cases import CASES
from aggregations.store_facts import differences, read_as_of, read_live, store_case
from clubs import ManualClock
from oracle import expected_values
from postgres_servers import on_both_servers
from regulars.aggregations.reader import ValueReader
from regulars.storage.database import Database


@on_both_servers
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_worked_cases_have_the_expected_values(case: Case, database: Database, clock: ManualClock) -> None:
    community, facts = await store_case(database, clock, case)
    reader = ValueReader(database)
    values = await read_live(reader, community, ME)
    assert differences(values, case.expected) == {}
    every = expected_values(facts, ME, case.as_of)
    assert set(values) == set(every)
    assert differences(values, every) == {}
    assert differences(await read_as_of(reader, community, ME, case.as_of), every) == {}
