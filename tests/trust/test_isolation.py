"""Two organizations interleaved for a moment; `make trust` has the long form."""

import pytest
from trust.registry import PROOFS, run_proof
from trust.without_tenant_conditions import remove_conditions


@pytest.mark.timeout(120)
def test_no_answer_to_one_organization_holds_anything_of_another() -> None:
    (proof,) = (each for each in PROOFS if each.name == "isolation")
    found = run_proof(proof, scale=0.001)
    assert [check for check in found.checks if not check.holds] == [], found.command
    assert found.holds


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        (
            "SELECT 1 FROM a WHERE community_id = $1 AND x = $2",
            "SELECT 1 FROM a WHERE ($1::int IS NOT NULL) AND x = $2",
        ),
        ("JOIN b ON b.community_id = $12", "JOIN b ON ($12::int IS NOT NULL)"),
        ("WHERE a.community_id = $1::text::int", "WHERE ($1::text::int IS NOT NULL)"),
        ("ON b.community_id = a.community_id", "ON b.community_id = a.community_id"),
        ("WHERE other_community_id = $1", "WHERE other_community_id = $1"),
    ],
)
def test_a_condition_on_the_community_is_removed_and_its_parameter_stays(statement: str, without: str) -> None:
    assert remove_conditions(statement) == (without, int(statement != without))
