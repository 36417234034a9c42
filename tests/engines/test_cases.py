"""Every worked case of the specification, on every engine that computes over files, beside drawn profiles."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from aggregations.case import Case
from aggregations.cases import CASES
from engines.compute_fixtures import Compute, compute_facts, computed_differences, mismatches
from engines.input_tables import combine, combined_profile, combined_values, to_tables
from engines.random_clubs import random_club
from engines.table_formats import TableFormat, as_csv, as_parquet, as_table
from hypothesis_settings import SEED
from oracle import Community
from regulars.aggregations.definitions import REGISTRY

# A computation by Spark takes seconds, however little it computes. A case of a currency is one in any zone.
TOGETHER = {"JPY": "America/Havana", "KWD": "Australia/Lord_Howe"}
_ZONES = {zone: currency for currency, zone in TOGETHER.items()}


def _together(community: Community) -> Community:
    zone, currency = community.timezone, community.currency
    return Community(TOGETHER.get(currency, zone), _ZONES.get(zone, currency))


VALUES = [each.name for each in REGISTRY.aggregations]

COMMUNITIES: dict[Community, list[Case]] = {}
for _case in CASES:
    COMMUNITIES.setdefault(_together(_case.facts.community), []).append(_case)


SAMPLED = 3
"""Values of the short run of Spark: it plans for each of them, however few rows there are."""


def _sample() -> list[str]:
    """Names of values, others for each seed."""
    return sorted(random.Random(SEED).sample(VALUES, SAMPLED))


def _runs() -> Iterator[Any]:
    """Each engine with each community, in one form of its tables.

    On Spark a slow test has a sample of the values of the first community; all values and the other communities are long.
    """
    forms = (as_table, as_csv, as_parquet)
    for number, (community, form) in enumerate(zip(COMMUNITIES, cycle(forms), strict=False)):
        for engine in ("duckdb", "spark"):
            marks = [pytest.mark.slow, pytest.mark.long] if engine == "spark" else []
            name = f"{engine}-{community.timezone} {community.currency}-{form.__name__}"
            if marks and number == 0:
                yield pytest.param(engine, community, form, _sample(), id=f"{name}-sample", marks=pytest.mark.slow)
            yield pytest.param(engine, community, form, None, marks=marks, id=name)


@pytest.mark.parametrize(("compute", "community", "form", "names"), [*_runs()], indirect=["compute"])
def test_worked_cases_have_the_expected_values_on_every_engine(
    compute: Compute, community: Community, form: TableFormat, names: list[str] | None, tmp_path: Path
) -> None:
    cases = COMMUNITIES[community]
    drawn = random_club(SEED, 120, community)
    facts = combine([*(case.facts for case in cases), drawn.facts])
    case_entities = [(combined_profile(number, *case.facts.profiles), case.as_of) for number, case in enumerate(cases)]
    other_entities = [(combined_profile(len(cases), id_), at) for id_, at in drawn.entities]
    tables = {name: form(table, tmp_path / name) for name, table in to_tables(facts).items()}
    values = compute_facts(compute, facts, [*case_entities, *other_entities], names, **tables)
    assert all(each.keys() >= set(names or VALUES) for each in values.values())
    differing = {
        case.name: computed_differences(values[key], combined_values(number, case.expected))
        for number, (case, key) in enumerate(zip(cases, case_entities, strict=True))
    }
    assert {name: each for name, each in differing.items() if each} == {}
    # And the values that a case does not name.
    assert mismatches(values, facts, [*case_entities, *other_entities]) == {}
