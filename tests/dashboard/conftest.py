"""Pages wait for what a busy machine takes longer to compute than a page would."""

from __future__ import annotations

import pytest

from regulars.dashboard.pages import overview


@pytest.fixture(autouse=True)
def patient_overview(monkeypatch: pytest.MonkeyPatch) -> None:
    """The overview waits for its grid."""
    monkeypatch.setattr(overview, "GRID_WAIT_SECONDS", 30.0)
