"""What the tests of access share."""

import pytest

from access.watch import Watch
from regulars.access import authentication


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The seconds that the authenticator counts."""
    found = Watch()
    monkeypatch.setattr(authentication, "time", found)
    return found
