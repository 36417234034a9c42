"""Batches of profiles: many are created or updated in one request."""

from typing import Any

import msgspec

from regulars.api.profile import examples, response_schemas
from regulars.api.profile.batch_response import RowBatch, chunks
from regulars.api.profile.profiles import require_type
from regulars.auth import audit_rules, permits
from regulars.core import validation
from regulars.core.errors import ValidationError, field_error
from regulars.model.import_batches import IMPORT_BATCHES
from regulars.model.profiles import profiles
from regulars.model.profiles.lookup import ProfileRef
from regulars.model.profiles.schema import ProfileIn, ProfileRow, validate
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


class ProfilesIn(msgspec.Struct, frozen=True):
    """Profiles, and what existing ones are matched by: `email`, `mobile_phone`, `external_id`, or the handle of an
    identity.
    """

    profiles: list[msgspec.Raw]
    match_criteria: str = "email"


def _ref(criteria: str, row: ProfileRow) -> ProfileRef | None:
    if criteria in ("email", "mobile_phone", "external_id"):
        value = row.columns.get(criteria)
    else:
        value = next((each.identifier for each in row.identities if each.handle == criteria), None)
    return None if value is None else (criteria, value)


_CHUNK_ROWS = 1_000
"""Profiles that are written in one call, which occupies the interpreter for less than 0.1 s."""


async def _write_rows(context: RequestContext, uow: UnitOfWork) -> RowBatch:
    criteria = context.body.match_criteria
    try:
        validation.check_text(criteria)
    except ValueError as error:
        raise field_error("match_criteria", str(error)) from None
    batch = RowBatch("profiles", context.body.profiles)
    rows = await context.app.worker_threads.run(batch.validate, ProfileIn, validate)
    for row in rows.values():
        require_type(context, row.columns.get("profile_type"))
    for chunk in chunks(rows, _CHUNK_ROWS):
        refs = [_ref(criteria, row) for row in chunk.values()]
        results = await profiles.upsert_matching(uow, list(chunk.values()), refs)
        for index, result in zip(chunk, results, strict=True):
            batch.outcomes[index] = result if isinstance(result, ValidationError) else result.outcome
    return batch


async def _batch(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await (await _write_rows(context, uow)).store_result(uow)


async def _queue(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    result = await (await _write_rows(context, uow)).store_result(uow)
    batch_id = result["data"]["batch_id"]  # type: ignore[index]
    return data_envelope({"message": "Profiles queued for batch import.", "batch_id": batch_id})


async def _read_batch(context: RequestContext) -> dict[str, object]:
    batch_id = context.path_uuid("batch_id")
    async with context.app.database.read_transaction(context.community_id) as scope:
        return data_envelope(await IMPORT_BATCHES.fetch_one(scope, batch_id))


def _endpoint(method: str, path: str, summary: str, **options: Any) -> Endpoint:
    return Endpoint(method, f"/api/v3/profiles{path}", summary, tag="profiles", **options)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint(
        "POST",
        "/batch.json",
        "Create or update many profiles",
        write_handler=_batch,
        schema=response_schemas.BATCH,
        request_model=ProfilesIn,
        request_example=examples.PROFILES,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.CREATE_PROFILES,
    ),
    _endpoint(
        "POST",
        "/batch",
        "Create or update many profiles, with the response of a queued batch",
        write_handler=_queue,
        schema=response_schemas.QUEUED_BATCH,
        request_model=ProfilesIn,
        request_example=examples.PROFILES,
        permit=permits.PROFILE_WRITE,
        audit=audit_rules.CREATE_PROFILES,
    ),
    _endpoint(
        "GET",
        "/batch/{batch_id}",
        "Get the result of a batch",
        read_handler=_read_batch,
        resource=IMPORT_BATCHES,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILES,
    ),
)
