"""A few kills while webhooks are delivered; `make trust` has a hundred."""

import pytest
from trust.registry import PROOFS, run_proof


@pytest.mark.timeout(240)
def test_every_event_arrives_in_order_although_processes_are_killed() -> None:
    (proof,) = (each for each in PROOFS if each.name == "webhooks")
    found = run_proof(proof, scale=0.02)
    assert [check for check in found.checks if not check.holds] == [], found.command
    assert found.holds
