"""Requests with an Idempotency-Key: the first answer is kept with its facts and given again."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from regulars.facts.refusals import Refused, refuse
from regulars.facts.writing import Writing

KEPT = timedelta(hours=24)
LONGEST = 255


@dataclass(frozen=True, slots=True)
class Keyed:
    """A key, and the digest of the request that it came with."""

    key: str
    request: bytes


def keyed(key: str, target: bytes, body: bytes) -> Keyed:
    """The key of a request. Raises Refused when it is too long or not printable."""
    if len(key) > LONGEST or not key.isprintable():
        raise refuse("Idempotency-Key", f"must be at most {LONGEST} printable characters")
    return Keyed(key, hashlib.blake2b(target + b"\n" + body, digest_size=16).digest())


_EARLIER = """
SELECT key, request, status, answer
FROM idempotency_keys
WHERE community_id = $1 AND key = ANY ($2) AND day >= $3 AND created_at > $4
"""

_KEEP = """
INSERT INTO idempotency_keys (community_id, day, key, request, status, answer, created_at)
SELECT $1, $2, kept.key, kept.request, kept.status, kept.answer, $3
FROM unnest($4::text[], $5::bytea[], $6::smallint[], $7::bytea[]) AS kept (key, request, status, answer)
"""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The answer that was given to the first request under a key."""

    request: bytes
    status: int
    answer: bytes

    def given_again(self, once: Keyed) -> tuple[int, bytes]:
        """The answer, to the same request. Raises Refused for another one."""
        if self.request != once.request:
            raise key_refusal()
        return self.status, self.answer


async def earlier_answers(writing: Writing, asked: list[Keyed]) -> dict[str, Earlier]:
    """By key: the first answer of the last 24 hours; keys that are new are left out.

    The keys stay locked until the transaction ends, so that two requests with one key never both write.
    """
    keys = sorted({each.key for each in asked})
    # In the order of the locks' own numbers, so that two batches never wait for each other.
    await writing.execute(
        """
        SELECT pg_advisory_xact_lock(number)
        FROM (
            SELECT DISTINCT hashtextextended($1::text || ':' || key, 0) AS number
            FROM unnest($2::text[]) AS key
            ORDER BY number
        ) AS locks
        """,
        str(writing.community_id),
        keys,
    )
    since = writing.now - KEPT
    rows = await writing.fetch(_EARLIER, writing.community_id, keys, since.date(), since)
    return {row["key"]: Earlier(row["request"], row["status"], row["answer"]) for row in rows}


async def keep(writing: Writing, answers: list[tuple[Keyed, int, bytes]]) -> None:
    """Keeps the answers to new keys, in the transaction of their facts."""
    await writing.execute(
        _KEEP,
        writing.community_id,
        writing.now.date(),
        writing.now,
        [each.key for each, _, _ in answers],
        [each.request for each, _, _ in answers],
        [status for _, status, _ in answers],
        [answer for _, _, answer in answers],
    )


async def answered(
    writing: Writing, once: Keyed, first: Callable[[], Awaitable[tuple[int, bytes]]]
) -> tuple[int, bytes]:
    """The answer to a request with a key: the earlier one, or `first`, which is then kept.

    Raises Refused where the key came with another request before.
    """
    earlier = await earlier_answers(writing, [once])
    if once.key in earlier:
        return earlier[once.key].given_again(once)
    status, content = await first()
    await keep(writing, [(once, status, content)])
    return status, content


def key_refusal() -> Refused:
    """The refusal of a key that came with another request before."""
    return refuse("Idempotency-Key", "was used for another request in the last 24 hours: choose a new one")
