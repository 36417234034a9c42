"""Profiles of a community: the resource that the API shows, and writes of one or many profiles."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal
from uuid import UUID

import msgspec

from regulars.core.errors import QuotingText, ValidationError, field_error
from regulars.core.field_type import FieldType
from regulars.model import memberships
from regulars.model.addresses import ADDRESSES
from regulars.model.concurrency import UniqueConflictError, retry_on_conflict
from regulars.model.consents import COMMS_ATTRIBUTES
from regulars.model.identities import IDENTITIES
from regulars.model.locations import EMBEDDED_LOCATIONS
from regulars.model.profiles import lookup, unique_values
from regulars.model.profiles.lookup import ProfileRef
from regulars.model.profiles.schema import ProfileIn, ProfileRow, validate
from regulars.model.profiles.write import ProfileWriteResult, record_deletion, save, write_rows
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork

Outcome = Literal["accepted", "unchanged"] | ValidationError


def _subresource_sql(resource: Resource) -> str:
    """The SQL of a JSON list of a profile's subresources."""
    pairs = ", ".join(
        f"'{each.name}', "
        + (
            f"to_char({resource.expression(each)}, 'YYYY-MM-DD HH24:MI:SS')"
            if each.type is FieldType.TIMESTAMP
            else resource.expression(each)
        )
        for each in resource.fields
        if each.is_visible
    )
    return f"""(
        SELECT coalesce(json_agg(json_build_object({pairs}) ORDER BY r.id), '[]')
        FROM {resource.from_clause}
        WHERE r.community_id = owner.community_id AND r.profile_id = owner.profile_id
    )"""


def _handle_field(name: str) -> ResourceField:
    """A field of the handles in a list whose elements are texts, or objects with a handle."""
    return ResourceField(
        f"{name}.handle",
        FieldType.STRING,
        f"SELECT coalesce(one ->> 'handle', one #>> '{{}}') FROM jsonb_array_elements(r.{name}) AS one",
        is_visible=False,
        is_multivalued=True,
    )


def _identity_field(name: str) -> ResourceField:
    return ResourceField(
        f"identities.{name}",
        FieldType.STRING,
        f"""SELECT identities.{name}
        FROM identities
        WHERE identities.community_id = r.community_id AND identities.profile_id = r.profile_id""",
        is_visible=False,
        is_multivalued=True,
    )


def _location_field(kind: str, name: str) -> ResourceField:
    return ResourceField(
        f"{kind}_location.{name}",
        FieldType.STRING,
        f"""(
            SELECT locations.{name}
            FROM locations
            WHERE locations.community_id = r.community_id AND locations.id = r.{kind}_location_id
        )""",
        is_visible=False,
    )


def _embedded_location(kind: str) -> ResourceField:
    pairs = ", ".join(
        f"'{each.name}', "
        + (
            f"to_char(place.{each.name}, 'YYYY-MM-DD HH24:MI:SS')"
            if each.type is FieldType.TIMESTAMP
            else f"place.{each.name}"
        )
        for each in EMBEDDED_LOCATIONS.fields
    )
    return ResourceField(
        f"{kind}_location",
        FieldType.OBJECT,
        f"""(
            SELECT json_build_object({pairs})
            FROM locations AS place
            WHERE place.community_id = r.community_id AND place.id = r.{kind}_location_id
        )""",
        embeds=EMBEDDED_LOCATIONS,
    )


# Days are added to the first of the month, so that 29 February is 1 March in other years.
_BIRTH_DATE = "make_date(r.birth_year, r.birth_month, 1) + (r.birth_day - 1)"

_NEXT_BIRTHDAY = """(
    SELECT min(birthday.day)
    FROM communities AS home
    CROSS JOIN LATERAL (
        SELECT (
            coalesce(nullif(current_setting('regulars.now', TRUE), '')::timestamptz, now()) AT TIME ZONE home.timezone
        )::date AS day
    ) AS today
    CROSS JOIN generate_series(0, 1) AS years
    CROSS JOIN LATERAL (
        SELECT make_date(date_part('year', today.day)::int + years, r.birth_month, 1) + (r.birth_day - 1) AS day
    ) AS birthday
    WHERE home.id = r.community_id AND birthday.day >= today.day
)"""

_BLANK_COMMS = msgspec.json.encode(dict.fromkeys(COMMS_ATTRIBUTES)).decode()

COMMS_SQL = f"""(
    jsonb_build_object('profile_id', r.profile_id)
    || '{_BLANK_COMMS}'::jsonb
    || coalesce(r.attributes -> 'comms', '{{}}')
)"""
"""The comms attributes of a profile, null where nothing is known."""

_ABOUT_ANOTHER_ADDRESS = (
    "Another one is neither verified nor bounced, unless the same request says so; who unsubscribed stays unsubscribed."
)

PROFILES = Resource(
    "profile",
    # Subqueries use the alias r themselves, so they refer to the profile as owner.
    """profiles AS r
    CROSS JOIN LATERAL (SELECT r.community_id, r.profile_id) AS owner""",
    (
        ResourceField("id", FieldType.UUID, "r.profile_id"),
        ResourceField("member_id", FieldType.INTEGER, description="The id that reports use; read only."),
        ResourceField("external_id", FieldType.STRING),
        ResourceField("title", FieldType.STRING),
        ResourceField("first_name", FieldType.STRING),
        ResourceField("last_name", FieldType.STRING),
        ResourceField(
            "full_name",
            FieldType.STRING,
            "nullif(concat_ws(' ', r.first_name, r.last_name), '')",
            description="Read only.",
        ),
        ResourceField(
            "email",
            FieldType.STRING,
            description=f"Unique in a community, without case. {_ABOUT_ANOTHER_ADDRESS}",
        ),
        ResourceField("gender", FieldType.STRING),
        ResourceField(
            "mobile_phone",
            FieldType.STRING,
            description=f"As it was written; unique in a community by E.164. {_ABOUT_ANOTHER_ADDRESS}",
        ),
        ResourceField(
            "mobile_phone_e164",
            FieldType.STRING,
            description="Read only: the phone in E.164, by the country of the community; null if it is no number there.",
        ),
        ResourceField("birth_day", FieldType.INTEGER),
        ResourceField("birth_month", FieldType.INTEGER),
        ResourceField("birth_year", FieldType.INTEGER),
        ResourceField("birth_date", FieldType.DATE, _BIRTH_DATE, description="Read only; null without a year."),
        ResourceField(
            "next_birthday",
            FieldType.DATE,
            _NEXT_BIRTHDAY,
            description="Read only: today or later, on the date of the community; 29 February is 1 March in other years.",
        ),
        ResourceField("currency", FieldType.STRING),
        ResourceField("joined_at", FieldType.TIMESTAMP),
        ResourceField("joined_location_id", FieldType.INTEGER),
        _embedded_location("joined"),
        ResourceField("preferred_location_id", FieldType.INTEGER),
        _embedded_location("preferred"),
        ResourceField("identities", FieldType.LIST, _subresource_sql(IDENTITIES), embeds=IDENTITIES),
        ResourceField("addresses", FieldType.LIST, _subresource_sql(ADDRESSES), embeds=ADDRESSES),
        ResourceField("attributes", FieldType.OBJECT, f"r.attributes || jsonb_build_object('comms', {COMMS_SQL})"),
        ResourceField("tags", FieldType.LIST),
        ResourceField("statuses", FieldType.LIST),
        ResourceField("custom_fields", FieldType.OBJECT),
        ResourceField("profile_type", FieldType.STRING),
        ResourceField("optin_channel", FieldType.STRING),
        ResourceField("optin_subchannel", FieldType.STRING),
        ResourceField("consents", FieldType.OBJECT, description="By name: true or false; unknown consents are absent."),
        ResourceField("sms_status", FieldType.STRING),
        ResourceField("email_status", FieldType.STRING),
        ResourceField("push_status", FieldType.STRING),
        ResourceField("subunit_ids", FieldType.LIST),
        ResourceField("group_ids", FieldType.LIST),
        ResourceField("favorite_stores", FieldType.LIST, description="Ids of locations."),
        ResourceField("properties", FieldType.OBJECT),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP),
        _handle_field("tags"),
        _handle_field("statuses"),
        _identity_field("handle"),
        _identity_field("identifier"),
        _location_field("joined", "name"),
        _location_field("joined", "external_id"),
        _location_field("preferred", "name"),
        _location_field("preferred", "external_id"),
    ),
    where="r.deleted_at IS NULL",
)

ALL_PROFILES = replace(PROFILES, where="true")
"""Profiles including deleted ones."""

# One by one -----------------------------------------------------------------------------------------------


async def create(uow: UnitOfWork, profile: ProfileIn) -> UUID:
    """Creates a profile and returns its ID. Raises ValidationError."""
    return await _write_one(uow, validate(profile), None)


async def update(uow: UnitOfWork, profile_id: UUID, profile: ProfileIn) -> None:
    """Updates a profile. Raises ValidationError and NotFoundError."""
    row = validate(profile)
    await lookup.fetch_one_for_update(uow, profile_id)
    await _write_one(uow, row, profile_id)


async def _write_one(uow: UnitOfWork, row: ProfileRow, target: UUID | None) -> UUID:
    [result] = await retry_on_conflict(uow, lambda: write_rows(uow, [row], [target]))
    if isinstance(result, ValidationError):
        raise result
    return result.profile_id


async def update_comms(uow: UnitOfWork, profile_id: UUID, comms: Mapping[str, object]) -> None:
    """Updates comms attributes, and consents and statuses with them. Raises NotFoundError."""
    await lookup.fetch_one_for_update(uow, profile_id)
    await _write_one(uow, ProfileRow(comms=comms), profile_id)


async def set_type(uow: UnitOfWork, profile_id: UUID, profile_type: str) -> None:
    """Sets the type of a profile. With `deleted` the member leaves now; another type restores a deleted profile.

    Raises NotFoundError for a profile that does not exist or was merged, and ValidationError if another profile has
    its e-mail address or phone number by now.
    """
    before = (await lookup.fetch_for_update(uow, [profile_id])).get(profile_id)
    if before is None or before.merged_into is not None:
        raise lookup.not_found_error(profile_id, None if before is None else before.merged_into)
    leaves = profile_type == "deleted"
    after = msgspec.structs.replace(
        before, profile_type=profile_type, deleted_at=(before.deleted_at or uow.now) if leaves else None
    )

    async def work() -> None:
        if errors := await unique_values.find_conflicts(uow, [(before, after)]):
            raise errors[0]
        await save(uow, [(before, after)])

    if after != before:
        await retry_on_conflict(uow, work)
    await memberships.set_state(uow, [profile_id], "out" if leaves else "in")
    if leaves:
        # Its facts stay, and its values with them if it is restored.
        uow.remove(profile_id)
        if before.deleted_at is None:
            record_deletion(uow, profile_id)
    else:
        uow.mark_member_dirty(profile_id, "profile.updated")
        uow.record_event("profile.updated", profile_id)


async def delete(uow: UnitOfWork, profile_id: UUID) -> None:
    """Deletes a profile: the member leaves now, and the facts stay. Raises NotFoundError."""
    await lookup.fetch_one_for_update(uow, profile_id)
    await set_type(uow, profile_id, "deleted")


# Many rows ----------------------------------------------------------------------------------------------

_BY_EXTERNAL_ID = """
SELECT external_id, profile_id, merged_into, deleted_at
FROM profiles
WHERE community_id = $1 AND external_id = ANY ($2)
"""


async def upsert_many(uow: UnitOfWork, rows: Sequence[ProfileRow]) -> list[Outcome]:
    """Creates or updates profiles by external id, which each row must have. Returns an outcome per row."""
    outcomes: list[Outcome] = [
        field_error("external_id", "is required: it identifies the row in later imports") for _ in rows
    ]
    with_ids = [index for index, row in enumerate(rows) if row.external_id is not None]
    results = await upsert_matching(
        uow,
        [rows[index] for index in with_ids],
        [("external_id", rows[index].external_id or "") for index in with_ids],
    )
    for index, result in zip(with_ids, results, strict=True):
        outcomes[index] = result if isinstance(result, ValidationError) else result.outcome
    return outcomes


async def upsert_matching(
    uow: UnitOfWork, rows: Sequence[ProfileRow], refs: Sequence[ProfileRef | None]
) -> list[ProfileWriteResult | ValidationError]:
    """Updates the profile of each row's reference, or creates one where the reference is unknown or None.

    Rows with the same profile are written one after the other.
    """
    results: dict[int, ProfileWriteResult | ValidationError] = {}
    remaining = list(range(len(rows)))
    while remaining:
        results |= await retry_on_conflict(uow, partial(_write_distinct, uow, rows, refs, remaining))
        remaining = [index for index in remaining if index not in results]
    return [results[index] for index in range(len(rows))]


async def _write_distinct(
    uow: UnitOfWork, rows: Sequence[ProfileRow], refs: Sequence[ProfileRef | None], remaining: Sequence[int]
) -> dict[int, ProfileWriteResult | ValidationError]:
    targets, results = await _targets(uow, [(index, ref) for index in remaining if (ref := refs[index]) is not None])
    keys: dict[int, object] = {}
    for index in remaining:
        if index not in results:
            ref = refs[index]
            keys[index] = targets.get(index) or (
                index if ref is None else unique_values.key_of(ref, uow.community.country)
            )
    order = await unique_values.rows_of_round(uow, rows, keys)
    written = await write_rows(uow, [rows[index] for index in order], [targets.get(index) for index in order])
    for index, result in zip(order, written, strict=True):
        ref = refs[index]
        is_new = ref is not None and ref[0] == "external_id" and index not in targets
        if is_new and isinstance(result, ValidationError) and "external_id" in result.errors:
            # A concurrent writer created it after the lookup.
            raise UniqueConflictError
    return results | dict(zip(order, written, strict=True))


async def _targets(
    uow: UnitOfWork, refs_by_index: Iterable[tuple[int, ProfileRef]]
) -> tuple[dict[int, UUID], dict[int, ProfileWriteResult | ValidationError]]:
    by_ref: dict[ProfileRef, list[int]] = {}
    for index, ref in refs_by_index:
        by_ref.setdefault(ref, []).append(index)
    external_ids = [value for handle, value in by_ref if handle == "external_id"]
    others = [ref for ref in by_ref if ref[0] != "external_id"]
    profile_ids = await lookup.resolve(uow, others)
    errors: dict[ProfileRef, ValidationError] = {}
    rows = await uow.fetch(_BY_EXTERNAL_ID, uow.community_id, external_ids) if external_ids else []
    for row in rows:
        ref = ("external_id", row["external_id"])
        if row["merged_into"] is not None:
            merged = "is of a profile that was merged into"
            message = QuotingText(f"{merged} {row['merged_into']}", f"{merged} another one")
            errors[ref] = field_error("external_id", message)
        elif row["deleted_at"] is not None:
            errors[ref] = field_error("external_id", "is of a profile that was deleted: make it active first")
        else:
            profile_ids[ref] = row["profile_id"]
    return (
        {index: profile_id for ref, profile_id in profile_ids.items() for index in by_ref[ref]},
        {index: error for ref, error in errors.items() for index in by_ref[ref]},
    )


_CREATE_MISSING = """
INSERT INTO profiles (community_id, profile_id, external_id, joined_at, created_at, updated_at)
SELECT $1, missing.profile_id, missing.external_id, $4, $4, $4
FROM unnest($2::uuid[], $3::text[]) AS missing (profile_id, external_id)
ORDER BY missing.external_id COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING profile_id
"""


async def get_or_create_ids(uow: UnitOfWork, external_ids: Collection[str]) -> dict[str, UUID]:
    """The ids of profiles by external id. Missing profiles are created and join now; deleted ones are left out."""
    refs = {("external_id", each) for each in external_ids}
    found = await lookup.resolve(uow, refs)
    missing = sorted(external_id for _, external_id in refs - found.keys())
    if missing:
        new_ids = [lookup.new_id() for _ in missing]
        rows = await uow.fetch(_CREATE_MISSING, uow.community_id, new_ids, missing, uow.now)
        created = [row["profile_id"] for row in rows]
        await memberships.insert_joins(uow, [memberships.MemberJoin(each, uow.now) for each in created])
        uow.mark_members_dirty(created, "profile.created")
        for profile_id in created:
            uow.record_event("profile.created", profile_id)
        # Concurrent inserts of the same profiles have committed when the statement returns.
        found = await lookup.resolve(uow, refs)
    return {external_id: profile_id for (_, external_id), profile_id in found.items()}
