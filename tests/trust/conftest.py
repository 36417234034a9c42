"""Servers of short proofs start with a copy of a migrated database."""

from collections.abc import Iterator

import pytest

import migrated_store
from trust import server


@pytest.fixture(scope="session", autouse=True)
def _migrated_stores() -> Iterator[None]:
    server.prepare_store = migrated_store.copy_to
    yield
    server.prepare_store = server.create_empty_store
