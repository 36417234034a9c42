"""Every worked case: the declarations give what the specification says, live and as of the same instant."""

import pytest

from aggregations.case import ME, Case
from aggregations.cases import CASES
from aggregations.stored import as_of, differences, live, stored_now
from clubs import SetClock
from oracle import values
from regulars.aggregations.reading import Reader
from regulars.storage.database import Database
from servers import on_both_servers


@on_both_servers
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_worked_cases_come_out(case: Case, database: Database, clock: SetClock) -> None:
    community, facts = await stored_now(database, clock, case)
    reader = Reader(database)
    found = await live(reader, community, ME)
    assert differences(found, case.expected) == {}
    every = values(facts, ME, case.as_of)
    assert set(found) == set(every)
    assert differences(found, every) == {}
    assert differences(await as_of(reader, community, ME, case.as_of), every) == {}
