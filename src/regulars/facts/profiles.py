"""Profiles: the members of a community, shown, made and changed, one by one or thousands at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal
from uuid import UUID

import msgspec

from regulars.facts import memberships, profile_lookup
from regulars.facts.addresses import ADDRESSES
from regulars.facts.consents import DERIVED
from regulars.facts.identities import IDENTITIES
from regulars.facts.profile_lookup import Ref
from regulars.facts.profile_rows import ProfileIn, ProfileRow, checked
from regulars.facts.profile_writes import Written, clashes, put, save
from regulars.facts.racing import OvertakenError, again
from regulars.facts.refusals import Refused, refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.writing import Writing

Outcome = Literal["loaded", "unchanged"] | Refused


def _parts(resource: Resource) -> str:
    """All of a profile's things of one kind, as a list in JSON."""
    pairs = ", ".join(
        f"'{each.name}', "
        + (
            f"to_char({resource.expression(each)}, 'YYYY-MM-DD HH24:MI:SS')"
            if each.kind is Kind.TIME
            else resource.expression(each)
        )
        for each in resource.fields
        if each.shown
    )
    return f"""(
        SELECT coalesce(json_agg(json_build_object({pairs}) ORDER BY r.id), '[]')
        FROM {resource.source}
        WHERE r.community_id = owner.community_id AND r.profile_id = owner.profile_id
    )"""


def _handles(name: str) -> Field:
    """The handles of a list of texts, or of objects that have one."""
    return Field(
        f"{name}.handle",
        Kind.STRING,
        f"SELECT coalesce(one ->> 'handle', one #>> '{{}}') FROM jsonb_array_elements(r.{name}) AS one",
        shown=False,
        several=True,
    )


def _identity(name: str) -> Field:
    return Field(
        f"identities.{name}",
        Kind.STRING,
        f"""SELECT identities.{name}
        FROM identities
        WHERE identities.community_id = r.community_id AND identities.profile_id = r.profile_id""",
        shown=False,
        several=True,
    )


def _place(kind: str, name: str) -> Field:
    return Field(
        f"{kind}_location.{name}",
        Kind.STRING,
        f"""(
            SELECT locations.{name}
            FROM locations
            WHERE locations.community_id = r.community_id AND locations.id = r.{kind}_location_id
        )""",
        shown=False,
    )


_BLANK_COMMS = msgspec.json.encode(dict.fromkeys(DERIVED)).decode()

COMMS = f"""(
    jsonb_build_object('profile_id', r.profile_id)
    || '{_BLANK_COMMS}'::jsonb
    || coalesce(r.attributes -> 'comms', '{{}}')
)"""
"""The comms attributes of a profile, null where nothing is known."""

PROFILES = Resource(
    "profile",
    # What a subquery calls r hides the profile, so the profile has another name for them.
    """profiles AS r
    CROSS JOIN LATERAL (SELECT r.community_id, r.profile_id) AS owner""",
    (
        Field("id", Kind.UUID, "r.profile_id"),
        Field("member_id", Kind.INTEGER, meaning="The id that reports use; read only."),
        Field("external_id", Kind.STRING),
        Field("title", Kind.STRING),
        Field("first_name", Kind.STRING),
        Field("last_name", Kind.STRING),
        Field("email", Kind.STRING, meaning="Unique in a community, without case."),
        Field("gender", Kind.STRING),
        Field("mobile_phone", Kind.STRING, meaning="Unique in a community."),
        Field("birth_day", Kind.INTEGER),
        Field("birth_month", Kind.INTEGER),
        Field("birth_year", Kind.INTEGER),
        Field("currency", Kind.STRING),
        Field("joined_at", Kind.TIME),
        Field("joined_location_id", Kind.INTEGER),
        Field("preferred_location_id", Kind.INTEGER),
        Field("identities", Kind.LIST, _parts(IDENTITIES)),
        Field("addresses", Kind.LIST, _parts(ADDRESSES)),
        Field("attributes", Kind.OBJECT, f"r.attributes || jsonb_build_object('comms', {COMMS})"),
        Field("tags", Kind.LIST),
        Field("statuses", Kind.LIST),
        Field("custom_fields", Kind.OBJECT),
        Field("profile_type", Kind.STRING),
        Field("optin_channel", Kind.STRING),
        Field("optin_subchannel", Kind.STRING),
        Field("consents", Kind.OBJECT, meaning="By name: true or false; what was never asked is not there."),
        Field("sms_status", Kind.STRING),
        Field("email_status", Kind.STRING),
        Field("push_status", Kind.STRING),
        Field("subunit_ids", Kind.LIST),
        Field("group_ids", Kind.LIST),
        Field("favorite_stores", Kind.LIST, meaning="Ids of locations."),
        Field("properties", Kind.OBJECT),
        Field("created_at", Kind.TIME),
        Field("updated_at", Kind.TIME),
        _handles("tags"),
        _handles("statuses"),
        _identity("handle"),
        _identity("identifier"),
        _place("joined", "name"),
        _place("joined", "external_id"),
        _place("preferred", "name"),
        _place("preferred", "external_id"),
    ),
    where="r.deleted_at IS NULL",
)

# One by one -----------------------------------------------------------------------------------------------


async def create(writing: Writing, profile: ProfileIn) -> UUID:
    """Makes a profile; gives its id. Raises Refused by path."""
    return await _put_one(writing, checked(profile), None)


async def update(writing: Writing, profile_id: UUID, profile: ProfileIn) -> None:
    """Changes what is given of a profile. Raises Refused by path, NotFound."""
    row = checked(profile)
    await profile_lookup.locked_one(writing, profile_id)
    await _put_one(writing, row, profile_id)


async def _put_one(writing: Writing, row: ProfileRow, target: UUID | None) -> UUID:
    [result] = await again(writing, lambda: put(writing, [row], [target]))
    if isinstance(result, Refused):
        raise result
    return result.profile_id


async def write_comms(writing: Writing, profile_id: UUID, comms: Mapping[str, object]) -> None:
    """Changes comms attributes, and with them consents and statuses. Raises NotFound."""
    await profile_lookup.locked_one(writing, profile_id)
    await _put_one(writing, ProfileRow(comms=comms), profile_id)


async def turn(writing: Writing, profile_id: UUID, profile_type: str) -> None:
    """Gives a profile a type: `deleted` is a member who leaves now, any other brings a deleted one back in.

    Raises NotFound where there is no such profile or it was merged, Refused where another profile took its
    e-mail or phone meanwhile.
    """
    before = (await profile_lookup.locked(writing, [profile_id])).get(profile_id)
    if before is None or before.merged_into is not None:
        raise profile_lookup.gone(profile_id, None if before is None else before.merged_into)
    leaves = profile_type == "deleted"
    after = msgspec.structs.replace(
        before, profile_type=profile_type, deleted_at=(before.deleted_at or writing.now) if leaves else None
    )

    async def work() -> None:
        if refusals := await clashes(writing, [(before, after)]):
            raise refusals[0]
        await save(writing, [after])

    if after != before:
        await again(writing, work)
    await memberships.turn(writing, [profile_id], "out" if leaves else "in")
    if leaves:
        # Its facts stay, and so would its values, were it to come back.
        writing.remove(profile_id)
    else:
        writing.touch_member(profile_id, "profile.updated")


async def delete(writing: Writing, profile_id: UUID) -> None:
    """A member leaves now; its facts stay. Raises NotFound."""
    await profile_lookup.locked_one(writing, profile_id)
    await turn(writing, profile_id, "deleted")


# In bulk ------------------------------------------------------------------------------------------------

_HOLDERS = """
SELECT external_id, profile_id, merged_into, deleted_at
FROM profiles
WHERE community_id = $1 AND external_id = ANY ($2)
"""


async def put_many(writing: Writing, rows: Sequence[ProfileRow]) -> list[Outcome]:
    """Makes or changes profiles by external id, which each row must have; gives an outcome a row."""
    outcomes: list[Outcome] = [
        refuse("external_id", "is required: it tells a row that comes again from a new one") for _ in rows
    ]
    told = [index for index, row in enumerate(rows) if row.external_id is not None]
    results = await put_matching(
        writing,
        [rows[index] for index in told],
        [("external_id", rows[index].external_id or "") for index in told],
    )
    for index, result in zip(told, results, strict=True):
        outcomes[index] = result if isinstance(result, Refused) else result.outcome
    return outcomes


async def put_matching(
    writing: Writing, rows: Sequence[ProfileRow], refs: Sequence[Ref | None]
) -> list[Written | Refused]:
    """Changes the profiles that refs mean, makes one for each row whose ref means none.

    Rows that mean the same profile are written one after the other.
    """
    results: dict[int, Written | Refused] = {}
    left = list(range(len(rows)))
    while left:
        results |= await again(writing, partial(_put_once_each, writing, rows, refs, left))
        left = [index for index in left if index not in results]
    return [results[index] for index in range(len(rows))]


async def _put_once_each(
    writing: Writing, rows: Sequence[ProfileRow], refs: Sequence[Ref | None], left: Sequence[int]
) -> dict[int, Written | Refused]:
    targets, results = await _targets(writing, [(index, ref) for index in left if (ref := refs[index]) is not None])
    chosen: dict[object, int] = {}
    for index in left:
        if index not in results:
            ref = refs[index]
            key = targets.get(index) or (index if ref is None else (ref[0], ref[1].lower()))
            chosen.setdefault(key, index)
    order = list(chosen.values())
    written = await put(writing, [rows[index] for index in order], [targets.get(index) for index in order])
    for index, result in zip(order, written, strict=True):
        ref = refs[index]
        is_new = ref is not None and ref[0] == "external_id" and index not in targets
        if is_new and isinstance(result, Refused) and "external_id" in result.errors:
            # Nobody had it when it was looked up.
            raise OvertakenError
    return results | dict(zip(order, written, strict=True))


async def _targets(
    writing: Writing, wanted: Iterable[tuple[int, Ref]]
) -> tuple[dict[int, UUID], dict[int, Written | Refused]]:
    by_ref: dict[Ref, list[int]] = {}
    for index, ref in wanted:
        by_ref.setdefault(ref, []).append(index)
    external_ids = [value for handle, value in by_ref if handle == "external_id"]
    others = [ref for ref in by_ref if ref[0] != "external_id"]
    meant = await profile_lookup.resolve(writing, others)
    refusals: dict[Ref, Refused] = {}
    holders = await writing.fetch(_HOLDERS, writing.community_id, external_ids) if external_ids else []
    for row in holders:
        ref = ("external_id", row["external_id"])
        if row["merged_into"] is not None:
            refusals[ref] = refuse("external_id", f"is of a profile that was merged into {row['merged_into']}")
        elif row["deleted_at"] is not None:
            refusals[ref] = refuse("external_id", "is of a profile that was deleted: make it active first")
        else:
            meant[ref] = row["profile_id"]
    return (
        {index: profile_id for ref, profile_id in meant.items() for index in by_ref[ref]},
        {index: refusal for ref, refusal in refusals.items() for index in by_ref[ref]},
    )


_MISSING = """
INSERT INTO profiles (community_id, profile_id, external_id, joined_at, created_at, updated_at)
SELECT $1, missing.profile_id, missing.external_id, $4, $4, $4
FROM unnest($2::uuid[], $3::text[]) AS missing (profile_id, external_id)
ORDER BY missing.external_id COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING profile_id
"""


async def create_missing(writing: Writing, external_ids: Collection[str]) -> dict[str, UUID]:
    """The profiles of external ids, made where there are none; who is made joins now.

    Left out is who was deleted.
    """
    refs = {("external_id", each) for each in external_ids}
    found = await profile_lookup.resolve(writing, refs)
    missing = sorted(external_id for _, external_id in refs - found.keys())
    if missing:
        new_ids = [profile_lookup.new_id() for _ in missing]
        rows = await writing.fetch(_MISSING, writing.community_id, new_ids, missing, writing.now)
        made = [row["profile_id"] for row in rows]
        await memberships.join(writing, [memberships.Join(each, writing.now) for each in made])
        writing.touch_members(made, "profile.created")
        # Whoever made some of them at once had made them when the statement returned.
        found = await profile_lookup.resolve(writing, refs)
    return {external_id: profile_id for (_, external_id), profile_id in found.items()}
