"""Communities: loyalty clubs with a country, a time zone and a currency, each of one organization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from regulars.core import countries, money, timestamps
from regulars.core.errors import NotFoundError, ValidationError
from regulars.model import events
from regulars.model.transactions.void_statuses import DEFAULT_VOID_STATUSES, normalize_void_statuses
from regulars.storage.database import transaction

PERSONAL = "personal"
"""The attribute with names of properties that reports leave out, as a list or separated by commas."""


@dataclass(frozen=True, slots=True)
class Community:
    """A community. Its amounts are stored with `minor_digits` decimals."""

    id: int
    organization_id: int
    slug: str
    name: str
    country: str
    timezone: str
    currency: str
    minor_digits: int
    attributes: Mapping[str, Any]
    member_handles: frozenset[str] | None = None
    """The handles of identities that members may write; None allows all but the reserved ones."""
    triggers: tuple[str, ...] = ()
    """The triggers of its active webhooks, if it was read in a transaction of the community."""
    segments_version: UUID | None = None
    """Changes with every change of a segment; None if the community has none."""
    void_statuses: tuple[str, ...] = DEFAULT_VOID_STATUSES
    """Statuses of transactions that are void, in lower case."""
    has_new_void_statuses: bool = False
    """Whether stored transactions are still to be voided or restored by `void_statuses`."""
    updates_channel_statuses: bool = True
    """Whether what providers report sets the channel statuses of members."""
    version: str = field(default="", compare=False)
    """Changes with every change of the community or of the triggers; empty if it was read without them."""


_COLUMNS = (
    "id, organization_id, slug, name, country, timezone, currency, minor_digits, attributes, member_handles, "
    "segments_version, void_statuses, has_new_void_statuses, updates_channel_statuses"
)


def _community(row: Any) -> Community:
    values = dict(row)
    values["attributes"] = msgspec.json.decode(values["attributes"])
    if values["member_handles"] is not None:
        values["member_handles"] = frozenset(values["member_handles"])
    values["triggers"] = tuple(values.get("triggers", ()))
    values["minor_digits"] = money.minor_digits(values["currency"])
    values["void_statuses"] = tuple(values["void_statuses"])
    return Community(**values)


VERSION_SQL = f"concat_ws(' ', communities.xmin, array_to_string({events.TRIGGERS_SQL}, ' '))"
"""SQL expression of the version of community $1: the transaction that wrote its row, and its triggers."""


async def get_by_id(connection: Any, community_id: int) -> Community:
    """Returns the community with an id. Raises NotFoundError."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, {events.TRIGGERS_SQL} AS triggers, {VERSION_SQL} AS version FROM communities WHERE id = $1",
        community_id,
    )
    if row is None:
        raise NotFoundError(f"There is no community {community_id}.")
    return _community(row)


_CURRENCY = "hashtext('regulars.currency')"


def currency_lock_statement(community_id: int) -> str:
    """A statement that locks the currency of a community until the transaction ends, shared with other writers."""
    return f"SELECT pg_advisory_xact_lock_shared({_CURRENCY}, {int(community_id)})"


_WRITERS = f"""
SELECT virtualtransaction
FROM pg_locks
WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = ({_CURRENCY}::bigint & 4294967295)::oid AND objid = $1::bigint::oid
"""


async def list_writers(connection: Any, community_id: int) -> frozenset[str]:
    """The running database transactions that write facts of a community, by an id that is never reused."""
    rows = await connection.fetch(_WRITERS, community_id)
    return frozenset(row["virtualtransaction"] for row in rows)


async def get_by_slug(connection: Any, slug: str) -> Community:
    """Returns the community with a slug. Raises NotFoundError."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM communities WHERE slug = $1", slug)
    if row is None:
        raise NotFoundError(f"There is no community {slug!r}: `regulars community list` names them.")
    return _community(row)


async def list_all(connection: Any) -> list[Community]:
    """Returns all communities in the order of their slugs."""
    return [_community(row) for row in await connection.fetch(f"SELECT {_COLUMNS} FROM communities ORDER BY slug")]


async def get_or_create_organization(connection: Any, name: str, now: datetime) -> int:
    """Returns the id of the organization with a name, creating it if there is none."""
    await connection.execute(
        "INSERT INTO organizations (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        name,
        now,
    )
    found: int = await connection.fetchval("SELECT id FROM organizations WHERE name = $1", name)
    return found


_CREATE = """
WITH new_community AS (
    INSERT INTO communities (
        id, organization_id, customer_id, loyalty_club_id, slug, name, country, timezone,
        currency, minor_digits, attributes, created_at, updated_at, void_statuses
    )
    VALUES ($9::int, $1, coalesce($10, $9::int), coalesce($11, $9::int), $2, $3, $4, $5, $6, $7, $8, $12, $12, $13)
    RETURNING id
)
INSERT INTO cache_versions (community_id)
SELECT id FROM new_community
RETURNING community_id
"""


@dataclass(frozen=True, slots=True)
class NewCommunity:
    """The settings of a community to create or update. `customer_id` and `loyalty_club_id` default to its id."""

    slug: str
    name: str
    country: str
    timezone: str
    currency: str
    organization: str = ""
    attributes: Mapping[str, str] | None = None
    id: int | None = None
    customer_id: int | None = None
    loyalty_club_id: int | None = None
    void_statuses: Sequence[str] | None = None
    """None: those of the stored community, for a new one the default."""


def _void_statuses(new: NewCommunity, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if new.void_statuses is None else normalize_void_statuses(new.void_statuses)


MAX_NUMBER = 2**31 - 1
"""The highest id of a community, and number of a customer or a loyalty club."""


def is_valid_slug(text: str) -> bool:
    """Whether a text is a valid slug of a community."""
    return bool(text) and all(letter.isalnum() or letter in "-_" for letter in text)


def _checked(new: NewCommunity) -> tuple[str, str, str]:
    errors: dict[str, str] = {}
    found: dict[str, str] = {}
    for name, check in (("country", countries.alpha_2), ("currency", money.parse_currency)):
        try:
            found[name] = check(getattr(new, name))
        except ValueError as error:
            errors[name] = str(error)
    try:
        timestamps.zone_info(new.timezone)
    except ValueError as error:
        errors["timezone"] = str(error)
    if not is_valid_slug(new.slug):
        errors["slug"] = "must be letters, digits, - and _"
    for name in ("id", "customer_id", "loyalty_club_id"):
        number = getattr(new, name)
        if number is not None and not 1 <= number <= MAX_NUMBER:
            errors[name] = f"is {number}. Allowed: 1 to {MAX_NUMBER}"
    if errors:
        raise ValidationError(errors)
    return found["country"], new.timezone, found["currency"]


async def create(connection: Any, new: NewCommunity, now: datetime) -> Community:
    """Creates a community, and its organization if there is none with that name.

    Raises ValidationError, also for a slug or number that another community has.
    """
    country, timezone, currency = _checked(new)
    if not new.name.strip():
        raise ValidationError({"name": "must not be empty"})
    async with transaction(connection):
        organization = await get_or_create_organization(connection, new.organization or new.name, now)
        chosen = new.id or await _next_id(connection)
        # The row of cache versions belongs to the new community.
        await connection.execute(f"SET LOCAL regulars.community_id = '{int(chosen)}'")
        try:
            await connection.execute(
                _CREATE,
                organization,
                new.slug,
                new.name,
                country,
                timezone,
                currency,
                money.minor_digits(currency),
                dict(new.attributes or {}),
                chosen,
                new.customer_id,
                new.loyalty_club_id,
                now,
                list(_void_statuses(new, DEFAULT_VOID_STATUSES)),
            )
        except asyncpg.UniqueViolationError as error:
            raise ValidationError({_UNIQUE[error.constraint_name]: "is taken by another community"}) from None
    return await get_by_id(connection, chosen)


_UNIQUE = {
    "communities_pkey": "id",
    "communities_loyalty_club_id_key": "loyalty_club_id",
    "communities_slug_key": "slug",
}
"""The field of each unique constraint."""


async def _next_id(connection: Any) -> int:
    """The next id that is free, and free as the number of a loyalty club, which it is by default."""
    while True:
        found: int = await connection.fetchval("SELECT nextval(pg_get_serial_sequence('communities', 'id'))::int")
        if not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM communities WHERE $1 IN (id, loyalty_club_id))", found
        ):
            return found


_UPDATE = """
UPDATE communities
SET name = $2, country = $3, timezone = $4, currency = $5, minor_digits = $6,
    attributes = coalesce($7, attributes),
    customer_id = coalesce($8, customer_id),
    loyalty_club_id = coalesce($9, loyalty_club_id),
    updated_at = $10,
    void_statuses = $11,
    has_new_void_statuses = has_new_void_statuses OR void_statuses <> $11
WHERE id = $1
  AND (name, country, timezone, currency, attributes, customer_id, loyalty_club_id, void_statuses)
      IS DISTINCT FROM
      ($2, $3, $4, $5, coalesce($7, attributes), coalesce($8, customer_id), coalesce($9, loyalty_club_id), $11)
"""


async def upsert(connection: Any, new: NewCommunity, now: datetime) -> bool:
    """Creates a community or updates the one with that slug; returns whether anything changed.

    Raises ValidationError; the currency is fixed after the first transaction.
    """
    try:
        before = await get_by_slug(connection, new.slug)
    except NotFoundError:
        await create(connection, new, now)
        return True
    async with transaction(connection):
        await connection.execute(f"SET LOCAL regulars.community_id = '{int(before.id)}'")
        is_new, moves_values = await apply_changes(connection, before, new, now)
        if moves_values:
            await connection.execute(
                "UPDATE cache_versions SET values_version = values_version + 1 WHERE community_id = $1", before.id
            )
    return is_new


async def set_void_statuses(connection: Any, slug: str, statuses: Sequence[str], now: datetime) -> Community:
    """Sets the statuses of transactions that are void; returns the community.

    Stored transactions follow when `ingest.voided_statuses.apply` has run. Raises NotFoundError and ValidationError.
    """
    before = await get_by_slug(connection, slug)
    new = NewCommunity(slug, before.name, before.country, before.timezone, before.currency, void_statuses=statuses)
    async with transaction(connection):
        await connection.execute(f"SET LOCAL regulars.community_id = '{int(before.id)}'")
        await apply_changes(connection, before, new, now)
    return await get_by_id(connection, before.id)


async def set_provider_statuses(connection: Any, slug: str, is_on: bool, now: datetime) -> None:
    """Sets whether what providers report sets the channel statuses of members. Raises NotFoundError."""
    community_id = (await get_by_slug(connection, slug)).id
    async with transaction(connection):
        await connection.execute(f"SET LOCAL regulars.community_id = '{int(community_id)}'")
        await connection.execute(
            "UPDATE communities SET updates_channel_statuses = $2, updated_at = $3 WHERE id = $1",
            community_id,
            is_on,
            now,
        )


async def set_member_handles(connection: Any, slug: str, handles: Sequence[str] | None, now: datetime) -> None:
    """Sets the handles of identities that a community's members may write; None allows all but the reserved ones.

    Raises NotFoundError.
    """
    community_id = (await get_by_slug(connection, slug)).id
    async with transaction(connection):
        await connection.execute(f"SET LOCAL regulars.community_id = '{int(community_id)}'")
        await connection.execute(
            "UPDATE communities SET member_handles = $2, updated_at = $3 WHERE id = $1", community_id, handles, now
        )


# The refresh job recomputes the members after this position.
_RECOMPUTE_MEMBERS = """
INSERT INTO compaction_state (community_id, backfilled_up_to)
VALUES ($1, '00000000-0000-0000-0000-000000000000')
ON CONFLICT (community_id) DO UPDATE
SET backfilled_up_to = excluded.backfilled_up_to
"""


async def apply_changes(connection: Any, before: Community, new: NewCommunity, now: datetime) -> tuple[bool, bool]:
    """Updates a community; returns whether anything changed, and whether the values of profiles depend on it.

    Raises ValidationError by field.
    """
    country, timezone, currency = _checked(new)
    void_statuses = _void_statuses(new, before.void_statuses)
    attributes = before.attributes if new.attributes is None else new.attributes
    changes_personal = attributes.get(PERSONAL) != before.attributes.get(PERSONAL)
    if changes_personal or (currency, void_statuses) != (before.currency, before.void_statuses):
        # Concurrent writers convert amounts into the old currency, void transactions by the old statuses, and leave
        # out the old personal properties: wait for them, so that later queries see them.
        await connection.execute(f"SELECT pg_advisory_xact_lock({_CURRENCY}, $1)", before.id)
    if currency != before.currency and await connection.fetchval(
        "SELECT EXISTS (SELECT FROM transactions WHERE community_id = $1)", before.id
    ):
        raise ValidationError({"currency": f"is fixed after the first transaction: it is {before.currency}"})
    status = await connection.execute(
        _UPDATE,
        before.id,
        new.name,
        country,
        timezone,
        currency,
        money.minor_digits(currency),
        None if new.attributes is None else dict(new.attributes),
        new.customer_id,
        new.loyalty_club_id,
        now,
        list(void_statuses),
    )
    if changes_personal:
        await connection.execute(_RECOMPUTE_MEMBERS, before.id)
    return status == "UPDATE 1", (timezone, currency) != (before.timezone, before.currency)
