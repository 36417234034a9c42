"""Many writers on few profiles for a moment; `make trust` has the long form."""

import pytest
from trust.registry import PROOFS, run_proof


@pytest.mark.timeout(120)
def test_every_acknowledged_write_is_counted_once() -> None:
    (proof,) = (each for each in PROOFS if each.name == "contention")
    found = run_proof(proof, scale=0.02)
    assert [check for check in found.checks if not check.holds] == [], found.command
    assert found.holds
