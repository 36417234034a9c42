"""What the tests of access share."""

import pytest

from auth.fake_time import FakeTime
from regulars.auth import authentication


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The seconds that the authenticator counts."""
    found = FakeTime()
    monkeypatch.setattr(authentication, "time", found)
    return found
