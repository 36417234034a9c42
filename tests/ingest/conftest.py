"""What tests of ingest have to hand: a file of any content, and a club to load files into."""

from pathlib import Path

import pytest

from clubs import Club
from ingest.provider_client import ProviderClient
from loading.file_loader import FileLoader
from loading.file_reading import WriteFile


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Writes a file."""

    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


@pytest.fixture
def load(club: Club, tmp_path: Path) -> FileLoader:
    """Loads files into the club."""
    return FileLoader(club, tmp_path)


@pytest.fixture
def provided(club: Club) -> ProviderClient:
    """The club as providers reach it."""
    return ProviderClient(club)
