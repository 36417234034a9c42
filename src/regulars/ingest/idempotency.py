"""Idempotency keys: the response to the first request with a key is stored with its facts, and replayed to retries."""

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
    """The digests of a key within its namespace, and of the request that has it."""

    key_hash: bytes
    request_hash: bytes


def hash_key(key: str, target: bytes, body: bytes, namespace: str) -> IdempotencyKey:
    """Hashes the key and the content of a request. Raises ValidationError if the key is too long or not printable.

    Only digests are stored, because clients put names and e-mail addresses into keys.
    """
    if len(key) > MAX_KEY_LENGTH or not key.isprintable():
        raise field_error("Idempotency-Key", f"must be at most {MAX_KEY_LENGTH} printable characters")
    return IdempotencyKey(
        hashlib.sha256(f"{namespace}\n{key}".encode()).digest(),
        hashlib.blake2b(target + b"\n" + body, digest_size=16).digest(),
    )


_FIND = """
SELECT key_hash, request_hash, status, response_body
FROM idempotency_keys
WHERE community_id = $1 AND key_hash = ANY ($2) AND day >= $3 AND created_at > $4
"""

_STORE = """
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
    """The response to the first request with a key; status and body are None after its erasure."""

    request_hash: bytes
    status: int | None
    body: bytes | None

    def replay(self, idempotency_key: IdempotencyKey) -> tuple[int, bytes]:
        """Returns the response, to the same request. Raises ValidationError for another one, ResponseErasedError."""
        if self.request_hash != idempotency_key.request_hash:
            raise key_conflict()
        if self.status is None or self.body is None:
            raise ResponseErasedError(
                "This request was processed before. Its response was erased with a profile that it concerned: do not "
                "send it again."
            )
        return self.status, self.body


@dataclass(frozen=True, slots=True)
class ResponseToStore:
    """A response to store, and the profiles that it names: when one of them is erased, the response is blanked.

    `transaction_id` is the transaction in the response, which a profile may claim later. The response has no values of
    rejected rows: they may name any profile.
    """

    idempotency_key: IdempotencyKey
    status: int
    body: bytes
    profile_ids: Collection[UUID]
    transaction_id: int | None = None

    @property
    def profile_id(self) -> UUID | None:
        """The profile that the response names, if there is exactly one."""
        return next(iter(self.profile_ids)) if len(self.profile_ids) == 1 else None

    @property
    def profile_ids_literal(self) -> str | None:
        """The profiles that the response names as an array literal, if there are several."""
        return f"{{{','.join(sorted(map(str, self.profile_ids)))}}}" if len(self.profile_ids) > 1 else None


async def find_responses(uow: UnitOfWork, requests: list[IdempotencyKey]) -> dict[bytes, StoredResponse]:
    """Finds the responses of the last 24 hours by key hash; new keys are left out.

    All keys stay locked until the transaction ends, so that only one of several requests with the same key writes.
    """
    keys = sorted({each.key_hash for each in requests})
    # Locked in the order of the lock numbers, so that two batches can't deadlock.
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
    rows = await uow.fetch(_FIND, uow.community_id, keys, since.date(), since)
    return {row["key_hash"]: StoredResponse(row["request_hash"], row["status"], row["response_body"]) for row in rows}


async def store(uow: UnitOfWork, responses: Sequence[ResponseToStore]) -> None:
    """Stores the responses to new keys in the transaction of their facts."""
    await uow.execute(
        _STORE,
        uow.community_id,
        uow.now.date(),
        uow.now,
        [each.idempotency_key.key_hash for each in responses],
        [each.idempotency_key.request_hash for each in responses],
        [each.status for each in responses],
        [each.body for each in responses],
        [each.profile_id for each in responses],
        [each.profile_ids_literal for each in responses],
        [each.transaction_id for each in responses],
    )


async def run_once(
    uow: UnitOfWork,
    idempotency_key: IdempotencyKey,
    handle: Callable[[], Awaitable[tuple[int, bytes]]],
    profile_ids: Collection[UUID] = (),
) -> tuple[int, bytes]:
    """Replays the response to an earlier request with the key, or calls `handle` and stores its response.

    The response names `profile_ids` and all profiles that the unit of work has affected. Raises ValidationError if the
    key was used for another request, ResponseErasedError if the response was erased with a profile.
    """
    stored = await find_responses(uow, [idempotency_key])
    if idempotency_key.key_hash in stored:
        return stored[idempotency_key.key_hash].replay(idempotency_key)
    status, body = await handle()
    affected = uow.affected()
    transaction_id = next(iter(affected.transactions)) if len(affected.transactions) == 1 else None
    profiles = affected.profiles | set(profile_ids)
    await store(uow, [ResponseToStore(idempotency_key, status, body, profiles, transaction_id)])
    return status, body


def key_conflict() -> ValidationError:
    """The error for a key that was used for another request."""
    return field_error("Idempotency-Key", "was used for another request in the last 24 hours: choose a new one")
