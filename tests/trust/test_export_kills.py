"""A few kills while exports are written; `make trust` has a hundred."""

import pytest
from trust.registry import PROOFS, run_proof


@pytest.mark.timeout(240)
def test_every_export_ends_and_leaves_nothing_when_processes_are_killed() -> None:
    (proof,) = (each for each in PROOFS if each.name == "export_kills")
    found = run_proof(proof, scale=0.02)
    assert [check for check in found.checks if not check.holds] == [], found.command
