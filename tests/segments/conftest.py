"""Fixtures of the tests of segments."""

from __future__ import annotations

import pytest_asyncio

from clubs import Club
from segments.segment_client import SegmentClient, segment_client


@pytest_asyncio.fixture
async def client(club: Club) -> SegmentClient:
    """A client with all permits of the Reporting API."""
    return await segment_client(club)
