"""Fixtures of the provider tests."""

from pathlib import Path

import pytest

from clubs import Club
from ingest.provider_client import ProviderClient
from loading.file_loader import FileLoader


@pytest.fixture
def load(club: Club, tmp_path: Path) -> FileLoader:
    """Loads files into the club."""
    return FileLoader(club, tmp_path)


@pytest.fixture
def provider_client(club: Club) -> ProviderClient:
    """The club's webhooks, called as the providers call them."""
    return ProviderClient(club)
