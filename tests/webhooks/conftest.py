"""Fixtures of the tests of webhooks."""

from collections.abc import AsyncIterator

import pytest_asyncio

from clubs import Club
from regulars.core.public_addresses import parse_networks
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher
from webhook_receiver import Receiver, receiving


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that accepts everything."""
    async with receiving() as running:
        yield running


@pytest_asyncio.fixture
async def client() -> AsyncIterator[WebhookClient]:
    """A client that may send to this machine."""
    made = WebhookClient(parse_networks("127.0.0.0/8"))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def dispatcher(club: Club, client: WebhookClient) -> AsyncIterator[WebhookDispatcher]:
    """The delivery of one process."""
    made = WebhookDispatcher(club.database, client)
    yield made
    await made.close()
