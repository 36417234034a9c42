"""Requests with an Idempotency-Key: the first response is stored with its facts and sent again."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from regulars.core.errors import ResponseErasedError, ValidationError, field_error
from regulars.model.unit_of_work import UnitOfWork

RETENTION = timedelta(hours=24)
MAX_KEY_LENGTH = 255

IMPORT_NAMESPACE = "import"
"""The namespace of keys of imports."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The digest of a key within its namespace, and that of the request that it came with."""

    key_hash: bytes
    request_hash: bytes


def hash_key(key: str, target: bytes, body: bytes, namespace: str) -> IdempotencyKey:
    """The key of a request, unique within `namespace`. Raises Refused when it is too long or not printable.

    Only a digest of the key is stored, because clients put names and e-mail addresses into keys.
    """
    if len(key) > MAX_KEY_LENGTH or not key.isprintable():
        raise field_error("Idempotency-Key", f"must be at most {MAX_KEY_LENGTH} printable characters")
    return IdempotencyKey(
        # As SQL computes it for keys that were stored in plain text before: migration 0016.
        hashlib.sha256(f"{namespace}\n{key}".encode()).digest(),
        hashlib.blake2b(target + b"\n" + body, digest_size=16).digest(),
    )


_EARLIER = """
SELECT key_hash, request_hash, status, response_body
FROM idempotency_keys
WHERE community_id = $1 AND key_hash = ANY ($2) AND day >= $3 AND created_at > $4
"""

_KEEP = """
INSERT INTO idempotency_keys (
    community_id, day, created_at, key_hash, request_hash, status, response_body, profile_id, profile_ids,
    transaction_id
)
SELECT $1, $2, $3, input.key_hash, input.request_hash, input.status, input.response_body, input.profile_id,
    input.profile_ids::uuid[], input.transaction_id
FROM unnest($4::bytea[], $5::bytea[], $6::smallint[], $7::bytea[], $8::uuid[], $9::text[], $10::bigint[])
    AS input (key_hash, request_hash, status, response_body, profile_id, profile_ids, transaction_id)
"""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response that was sent to the first request under a key; None once it was erased."""

    request_hash: bytes
    status: int | None
    body: bytes | None

    def replay(self, idempotency_key: IdempotencyKey) -> tuple[int, bytes]:
        """The response, to the same request. Raises Refused for another one, Erased where it was erased."""
        if self.request_hash != idempotency_key.request_hash:
            raise key_conflict()
        if self.status is None or self.body is None:
            raise ResponseErasedError(
                "This request was processed before, and a profile that it concerned has been erased since, with the "
                "response: do not send it again."
            )
        return self.status, self.body


@dataclass(frozen=True, slots=True)
class ResponseToStore:
    """A response to store, and the profiles that it concerns: when one of them is erased, the response is blanked.

    `transaction_id` is the transaction that it shows, which a profile may claim later. A response that `quotes`
    rejected rows is blanked as well when a profile that they name is erased.
    """

    idempotency_key: IdempotencyKey
    status: int
    body: bytes
    profile_ids: Collection[UUID]
    transaction_id: int | None = None
    quotes_rows: bool = False

    @property
    def profile_id(self) -> UUID | None:
        """The profile that it concerns, if there is exactly one and it quotes nothing."""
        return next(iter(self.profile_ids)) if len(self.profile_ids) == 1 and not self.quotes_rows else None

    @property
    def profile_ids_literal(self) -> str | None:
        """The profiles that it concerns as an array, if there are several or it quotes rows."""
        if len(self.profile_ids) > 1 or self.quotes_rows:
            return f"{{{','.join(sorted(map(str, self.profile_ids)))}}}"
        return None


async def find_responses(uow: UnitOfWork, asked: list[IdempotencyKey]) -> dict[bytes, StoredResponse]:
    """By key: the first answer of the last 24 hours; keys that are new are left out.

    The keys stay locked until the transaction ends, so that two requests with one key never both write.
    """
    keys = sorted({each.key_hash for each in asked})
    # In the order of the locks' own numbers, so that two batches never wait for each other.
    await uow.execute(
        """
        SELECT pg_advisory_xact_lock(number)
        FROM (
            SELECT DISTINCT hashtextextended($1::text || ':' || encode(key, 'hex'), 0) AS number
            FROM unnest($2::bytea[]) AS key
            ORDER BY number
        ) AS locks
        """,
        str(uow.community_id),
        keys,
    )
    since = uow.now - RETENTION
    rows = await uow.fetch(_EARLIER, uow.community_id, keys, since.date(), since)
    return {row["key_hash"]: StoredResponse(row["request_hash"], row["status"], row["response_body"]) for row in rows}


async def store(uow: UnitOfWork, answers: Sequence[ResponseToStore]) -> None:
    """Stores the responses to new keys, in the transaction of their facts."""
    await uow.execute(
        _KEEP,
        uow.community_id,
        uow.now.date(),
        uow.now,
        [each.idempotency_key.key_hash for each in answers],
        [each.idempotency_key.request_hash for each in answers],
        [each.status for each in answers],
        [each.body for each in answers],
        [each.profile_id for each in answers],
        [each.profile_ids_literal for each in answers],
        [each.transaction_id for each in answers],
    )


async def run_once(
    uow: UnitOfWork,
    idempotency_key: IdempotencyKey,
    handle: Callable[[], Awaitable[tuple[int, bytes]]],
    profile_ids: Collection[UUID] = (),
) -> tuple[int, bytes]:
    """The answer to a request with a key: the earlier one, or `first`, which is then stored.

    It concerns `profile_ids` and every profile that the writing touched. Raises Refused where the key came with
    another request before, Erased where the earlier answer was erased with a profile.
    """
    earlier = await find_responses(uow, [idempotency_key])
    if idempotency_key.key_hash in earlier:
        return earlier[idempotency_key.key_hash].replay(idempotency_key)
    status, content = await handle()
    concerned = uow.affected()
    transaction_id = next(iter(concerned.transactions)) if len(concerned.transactions) == 1 else None
    profiles = concerned.profiles | set(profile_ids)
    await store(
        uow,
        [ResponseToStore(idempotency_key, status, content, profiles, transaction_id, uow.response_quotes_rows)],
    )
    return status, content


def key_conflict() -> ValidationError:
    """The refusal of a key that came with another request before."""
    return field_error("Idempotency-Key", "was used for another request in the last 24 hours: choose a new one")
