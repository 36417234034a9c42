"""docs/trust.md says what the stored results say, and nothing else."""

from pathlib import Path

from trust.registry import PROOFS, Proof, run_proof
from trust.result import Check, Figure, Machine, Result
from trust.run import Run

from trust import page, result

MACHINE = Machine("processor", 2, 8.0, "Linux", {"python": "3.11"})


def test_the_page_is_rendered_from_the_stored_results() -> None:
    assert page.PAGE.read_text() == page.render(result.load_all()), "python -m trust --render"


def test_a_failed_check_is_shown_and_proofs_without_a_result_are_named(tmp_path: Path) -> None:
    kills = PROOFS[0]
    found = Result(
        name=kills.name,
        title=kills.title,
        command="python -m trust kills --seed 7",
        seed=7,
        scale=0.5,
        began="2026-01-02T03:04:05+00:00",
        seconds=90,
        machine=MACHINE,
        figures=[Figure("kills survived", 100), Figure("restart, longest", 1.25, "s")],
        checks=[
            Check("each write is present once", "0 of 10 missing", True),
            Check("verify is clean", "2 differ", False),
        ],
    )
    result.store(found, tmp_path)
    assert result.load_all(tmp_path) == {kills.name: found}
    text = page.render({kills.name: found})
    assert "| **1 of 2 (at 0.5 of the full size)** | 2026-01-02 | `python -m trust kills --seed 7` |" in text
    assert "| verify is clean | 2 differ | **fails** |" in text
    assert "| restart, longest | 1.25 s |" in text
    assert f"Not run yet: {'; '.join(each.title for each in PROOFS[1:])}." in text


class Broken(Proof):
    """A proof that fails half-way."""

    @property
    def run(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """What it does."""

        def broken(run: Run) -> None:
            run.figure("requests sent", 3)
            raise RuntimeError("the server did not come up")

        return broken


def test_an_exception_within_a_proof_is_a_failed_check_and_figures_are_stored() -> None:
    found = run_proof(Broken("kills", "Broken", 1), seed=1)
    assert found.figures == [Figure("requests sent", 3)]
    assert found.checks == [Check("the proof runs to its end", "RuntimeError: the server did not come up", False)]
    assert not found.holds
