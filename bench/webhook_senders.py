"""Senders of webhooks in a process of their own: the product's, and a naive one that does a job for each delivery."""

import asyncio
import resource
import sys
import time

import httpx
import msgspec
import uvloop

from regulars.core.public_addresses import parse_networks
from regulars.storage.database import Database
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher
from regulars.webhooks.matching import match_events

NAIVE_TASKS = 32

# The naive one takes any delivery that is due: no order, one attempt.
_NEXT = """
SELECT id, event_id, body
FROM webhook_deliveries
WHERE community_id = $1 AND webhook_id = $2 AND due_at <= now()
ORDER BY due_at, id
LIMIT 1
FOR UPDATE SKIP LOCKED
"""

_DONE = """
UPDATE webhook_deliveries
SET status = 'delivered', attempts = 1, due_at = NULL, last_attempt_at = now(), response_status = $3
WHERE community_id = $1 AND id = $2
"""


class Sent(msgspec.Struct):
    """Seconds and CPU seconds that the sender took."""

    seconds: float
    cpu_seconds: float


async def match(database: Database, community_id: int) -> None:
    """Matches all stored events."""
    while (await match_events(database, community_id)).events:
        pass


async def send(database: Database, community_id: int) -> None:
    """Sends what is due, as the product does."""
    client = WebhookClient(parse_networks("127.0.0.0/8"))
    dispatcher = WebhookDispatcher(database, client)
    await dispatcher.dispatch(community_id)
    await dispatcher.finish()
    await client.close()


async def send_naively(database: Database, community_id: int) -> None:
    """Sends what is due, in a transaction for each delivery."""
    async with database.read_transaction(community_id) as scope:
        webhook = await scope.fetchrow("SELECT id, url FROM webhooks WHERE community_id = $1", community_id)

    async def work(http: httpx.AsyncClient) -> None:
        while True:
            async with database.write_transaction(community_id) as scope:
                row = await scope.fetchrow(_NEXT, community_id, webhook["id"])
                if row is None:
                    return
                headers = {"webhook-id": str(row["event_id"]), "content-type": "application/json"}
                response = await http.post(webhook["url"], content=row["body"], headers=headers)
                await scope.execute(_DONE, community_id, row["id"], response.status_code)

    async with httpx.AsyncClient() as http:
        await asyncio.gather(*(work(http) for _ in range(NAIVE_TASKS)))


async def main(name: str, url: str, community_id: int) -> None:
    """Runs one of the functions and prints what it took."""
    work = {"match": match, "product": send, "naive": send_naively}[name]
    async with Database(url, NAIVE_TASKS if name == "naive" else 8) as database:
        async with database.read_transaction(community_id) as scope:
            await scope.fetchval("SELECT 1")
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        await work(database, community_id)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(msgspec.json.encode(Sent(time.perf_counter() - began, cpu)).decode())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
