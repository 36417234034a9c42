"""What tests of ingest have to hand: a file of any content, and a club to load files into."""

from pathlib import Path

import pytest

from clubs import Club
from ingest.loading import Loading
from ingest.provided import Provided
from ingest.reading import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file."""

    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


@pytest.fixture
def load(club: Club, tmp_path: Path) -> Loading:
    """Loads files into the club."""
    return Loading(club, tmp_path)


@pytest.fixture
def provided(club: Club) -> Provided:
    """The club as providers reach it."""
    return Provided(club)
