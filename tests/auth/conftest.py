"""Fixtures of the tests of auth."""

import pytest

from auth.fake_time import FakeTime
from regulars.auth import authentication


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock of the authenticator's cache."""
    fake = FakeTime()
    monkeypatch.setattr(authentication, "time", fake)
    return fake
