"""A few kills in the middle of writes; `make trust` has two hundred."""

import pytest
from trust.registry import PROOFS, run_proof


@pytest.mark.timeout(240)
def test_every_acknowledged_write_survives_kills_of_server_worker_and_database() -> None:
    (proof,) = (each for each in PROOFS if each.name == "kills")
    found = run_proof(proof, scale=0.01)
    assert [check for check in found.checks if not check.holds] == [], found.command
    assert found.holds
