"""Every worked case: the declarations give what the specification says, live and as of the same instant."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from aggregations.case import ME, Case
from aggregations.cases import CASES
from aggregations.store_facts import differences, read_as_of, read_live, store_case
from clubs import ManualClock
from hypothesis_settings import SEED
from oracle import expected_values
from postgres_servers import NAMES
from regulars.aggregations.reader import ValueReader
from regulars.storage.database import Database

_ON_THE_OLDEST = frozenset(case.name for case in random.Random(SEED).sample(CASES, len(CASES) // 3))
"""Cases that a short run also computes on the oldest server, others for each seed."""


def _runs() -> Iterator[Any]:
    """Each case on each server, by the day of its clock, because the partitions of another day take long to create."""
    for server, case in itertools.product(NAMES, sorted(CASES, key=lambda case: case.as_of)):
        marks = [] if server == NAMES[0] else [pytest.mark.slow]
        if marks and case.name not in _ON_THE_OLDEST:
            marks.append(pytest.mark.long)
        yield pytest.param(server, case, id=f"{case.name}-{server}", marks=marks)


@pytest.mark.parametrize(("database_urls", "case"), [*_runs()], indirect=["database_urls"])
async def test_worked_cases_have_the_expected_values(case: Case, database: Database, clock: ManualClock) -> None:
    community, facts = await store_case(database, clock, case)
    reader = ValueReader(database)
    values = await read_live(reader, community, ME)
    assert differences(values, case.expected) == {}
    every = expected_values(facts, ME, case.as_of)
    assert set(values) == set(every)
    assert differences(values, every) == {}
    assert differences(await read_as_of(reader, community, ME, case.as_of), every) == {}
