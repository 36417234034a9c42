"""Some hostile values, and requests drawn from the OpenAPI document; `make trust` has the long form."""

import pytest
from trust.registry import PROOFS, run_proof

from hypothesis_settings import SEED


@pytest.mark.timeout(240)
def test_hostile_values_are_answered_as_declared_and_cost_no_other_row() -> None:
    (proof,) = (each for each in PROOFS if each.name == "fuzzing")
    found = run_proof(proof, scale=0.002, seed=SEED)
    assert [check for check in found.checks if not check.holds] == [], found.command
    assert found.holds
