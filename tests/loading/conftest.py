"""Fixtures of the loading tests."""

from pathlib import Path

import pytest

from clubs import Club
from loading.file_loader import FileLoader
from loading.file_reading import WriteFile


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """Writes a file."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def load(club: Club, tmp_path: Path) -> FileLoader:
    """Loads files into the club."""
    return FileLoader(club, tmp_path)
