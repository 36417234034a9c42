"""A profile as it comes in and as it is kept, and what the one makes of the other."""

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.facts import addresses, consents, given, identities, instants, money, phones
from regulars.facts.addresses import AddressIn, AddressRow
from regulars.facts.consents import Standing
from regulars.facts.identities import IdentityIn, IdentityRow
from regulars.facts.profile_places import PlaceRef, place_ref, store_ref
from regulars.facts.refusals import Refused

Numbers = list[Annotated[int, msgspec.Meta(ge=0, le=given.LARGEST_ID)]] | None | UnsetType
Names = dict[str, Any] | None | UnsetType
Short = Annotated[str, msgspec.Meta(max_length=64)] | None | UnsetType

MOST_NUMBERS = 1000
"""No profile is in more subunits or groups, or has more favourite stores."""


class ProfileIn(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as it comes in. What is absent stays as it is."""

    external_id: given.Code = UNSET
    title: given.Text = UNSET
    first_name: given.Text = UNSET
    last_name: given.Text = UNSET
    email: given.Text = UNSET
    gender: Short = UNSET
    mobile_phone: given.Code = UNSET
    birth_day: given.Whole = UNSET
    birth_month: given.Whole = UNSET
    birth_year: given.Whole = UNSET
    currency: given.Text = UNSET
    joined_at: given.Text = UNSET
    joined_location_id: given.Id = UNSET
    joined_location_external_id: given.Code = UNSET
    joined_location_external_code: given.Code = UNSET
    preferred_location_id: given.Id = UNSET
    preferred_location_external_id: given.Code = UNSET
    preferred_location_external_code: given.Code = UNSET
    identities: list[IdentityIn] | UnsetType | None = UNSET
    addresses: list[AddressIn] | UnsetType | None = UNSET
    attributes: Names = UNSET
    tags: given.Several = UNSET
    statuses: given.Several = UNSET
    custom_fields: given.Collection = UNSET
    profile_type: Short = UNSET
    optin_channel: given.Text = UNSET
    optin_subchannel: given.Text = UNSET
    consents: Names = UNSET
    sms_status: given.Text = UNSET
    email_status: given.Text = UNSET
    push_status: given.Text = UNSET
    subunit_ids: Numbers = UNSET
    group_ids: Numbers = UNSET
    favorite_stores: list[str | int] | UnsetType | None = UNSET
    properties: Names = UNSET


COLUMNS: Mapping[str, str] = {
    "external_id": "text",
    "profile_type": "text",
    "title": "text",
    "first_name": "text",
    "last_name": "text",
    "email": "text",
    "mobile_phone": "text",
    "phone_country": "text",
    "gender": "text",
    "birth_day": "smallint",
    "birth_month": "smallint",
    "birth_year": "smallint",
    "currency": "text",
    "joined_at": "timestamptz",
    "joined_location_id": "bigint",
    "preferred_location_id": "bigint",
    "optin_channel": "text",
    "optin_subchannel": "text",
    "consents": "jsonb",
    "sms_status": "text",
    "email_status": "text",
    "push_status": "text",
    "subunit_ids": "bigint[]",
    "group_ids": "bigint[]",
    "favorite_stores": "bigint[]",
    "properties": "jsonb",
    "attributes": "jsonb",
    "tags": "jsonb",
    "statuses": "jsonb",
    "custom_fields": "jsonb",
    "merged_into": "uuid",
    "deleted_at": "timestamptz",
}
"""The columns of a profile that are written, and their types."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as it is kept."""

    profile_id: UUID
    external_id: str | None = None
    profile_type: str = "active"
    title: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    mobile_phone: str | None = None
    phone_country: str | None = None
    gender: str | None = None
    birth_day: int | None = None
    birth_month: int | None = None
    birth_year: int | None = None
    currency: str | None = None
    joined_at: datetime | None = None
    joined_location_id: int | None = None
    preferred_location_id: int | None = None
    optin_channel: str | None = None
    optin_subchannel: str | None = None
    consents: dict[str, bool] = {}
    sms_status: str | None = None
    email_status: str | None = None
    push_status: str | None = None
    subunit_ids: list[int] = []
    group_ids: list[int] = []
    favorite_stores: list[int] = []
    properties: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    tags: Any = []
    statuses: Any = []
    custom_fields: Any = []
    merged_into: UUID | None = None
    deleted_at: datetime | None = None

    @property
    def standing(self) -> Standing:
        """Its consents, in both views."""
        statuses = {channel: getattr(self, f"{channel}_status") for channel in consents.WITH_STATUS}
        return Standing(self.consents, statuses, self.attributes.get("comms") or {})

    def with_standing(self, standing: Standing) -> "Profile":
        """It with other consents, both views changed alike."""
        return msgspec.structs.replace(
            self,
            consents=dict(standing.consents),
            attributes={**self.attributes, "comms": dict(standing.comms)},
            **{f"{channel}_status": status for channel, status in standing.statuses.items()},
        )


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile that was checked: what was given of it. `columns` are taken as they are."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, PlaceRef | None] = field(default_factory=dict)
    favorite_stores: tuple[PlaceRef, ...] | None = None
    consents: Mapping[str, bool | None] = field(default_factory=dict)
    channel_statuses: Mapping[str, str | None] = field(default_factory=dict)
    comms: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    identities: tuple[IdentityRow, ...] = ()
    addresses: tuple[AddressRow, ...] | None = None

    @property
    def external_id(self) -> str | None:
        """Its id in another system, where one was given."""
        found: str | None = self.columns.get("external_id")
        return found


# Checks -----------------------------------------------------------------------------------------------

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def _email(text: str) -> str | None:
    found = given.text(text).strip()
    if found and not _EMAIL.fullmatch(found):
        raise ValueError("must be an e-mail address")
    return found or None


def _phone(value: str | int) -> str | None:
    found = (given.code(value) or "").strip()
    if len(found) > 64:
        raise ValueError("must be at most 64 characters")
    return found or None


def _currency(text: str) -> str | None:
    return money.currency(text) if text.strip() else None


def _profile_type(text: str) -> str:
    if not given.text(text).strip():
        raise ValueError("must not be empty")
    return text


def _within(least: int, most: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return check


def _numbers(values: list[int]) -> list[int]:
    if len(values) > MOST_NUMBERS:
        raise ValueError(f"must be at most {MOST_NUMBERS} ids")
    return list(dict.fromkeys(values))


_CHECKS: tuple[tuple[str, Callable[[Any], object], object], ...] = (
    ("external_id", given.code, None),
    ("title", given.text, None),
    ("first_name", given.text, None),
    ("last_name", given.text, None),
    ("email", _email, None),
    ("gender", given.text, None),
    ("mobile_phone", _phone, None),
    ("birth_day", _within(1, 31), None),
    ("birth_month", _within(1, 12), None),
    ("birth_year", _within(1850, 2100), None),
    ("currency", _currency, None),
    ("joined_at", instants.instant, None),
    ("profile_type", _profile_type, "active"),
    ("optin_channel", given.text, None),
    ("optin_subchannel", given.text, None),
    ("subunit_ids", _numbers, []),
    ("group_ids", _numbers, []),
    ("properties", given.json, {}),
    ("tags", given.json, []),
    ("statuses", given.json, []),
    ("custom_fields", given.json, []),
)


def checked(profile: ProfileIn) -> ProfileRow:
    """A profile held to the rules that need nothing but itself. Raises Refused by path."""
    reading = given.Reading()
    for name, check, empty in _CHECKS:
        reading.read(name, getattr(profile, name), check, empty)
    _check_birth_date(reading.columns, reading.errors, reading.columns)

    others = given.Reading()
    others.read("consents", profile.consents, consents.answers, {})
    for channel in consents.WITH_STATUS:
        others.read(f"{channel}_status", getattr(profile, f"{channel}_status"), consents.status)
    others.read("attributes", profile.attributes, _attributes, ({}, {}))
    others.read("favorite_stores", profile.favorite_stores, _stores, ())
    for kind in ("joined", "preferred"):
        others.read(f"{kind}_location_id", *_place(profile, kind, others.errors))
    for name, check_all in (("identities", identities.checked_list), ("addresses", addresses.checked_list)):
        try:
            if (parts := getattr(profile, name)) is not UNSET:
                others.columns[name] = check_all(parts or ())
        except Refused as refusal:
            others.errors |= refusal.within(name).errors
    reading.errors |= others.errors
    reading.done()
    return _row(reading.columns, others.columns)


def _row(columns: dict[str, Any], others: dict[str, Any]) -> ProfileRow:
    attributes, comms = others.get("attributes", ({}, {}))
    statuses = {channel: f"{channel}_status" for channel in consents.WITH_STATUS}
    return ProfileRow(
        columns=columns,
        places={name: others[name] for name in ("joined_location_id", "preferred_location_id") if name in others},
        favorite_stores=others.get("favorite_stores"),
        consents=others.get("consents", {}),
        channel_statuses={channel: others[name] for channel, name in statuses.items() if name in others},
        comms=comms,
        attributes=attributes,
        identities=others.get("identities", ()),
        addresses=others.get("addresses"),
    )


def _attributes(value: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    given.json(value)
    comms = value.get("comms")
    if comms is not None and not isinstance(comms, dict):
        raise ValueError("must hold comms as an object")
    rest = {name: each for name, each in value.items() if name != "comms"}
    return rest, consents.comms(comms or {})


def _stores(values: list[str | int]) -> tuple[PlaceRef, ...]:
    if len(values) > MOST_NUMBERS:
        raise ValueError(f"must be at most {MOST_NUMBERS} ids")
    return tuple(store_ref(f"favorite_stores.{index}", value) for index, value in enumerate(values))


def _place(
    profile: ProfileIn, kind: str, errors: dict[str, str]
) -> tuple[PlaceRef | UnsetType | None, Callable[[PlaceRef], PlaceRef]]:
    ways = [(by, getattr(profile, f"{kind}_location_{by}")) for by in ("id", "external_id", "external_code")]
    told = [(by, value) for by, value in ways if value is not UNSET]
    found: PlaceRef | UnsetType | None = None if told else UNSET
    for by, value in told:
        if value is not None and value != "":
            path = f"{kind}_location_{by}"
            try:
                found = place_ref(path, by, value)
            except ValueError as error:
                errors[path] = str(error)
            break
    return found, lambda ref: ref


def _check_birth_date(whole: Mapping[str, Any], errors: dict[str, str], written: Mapping[str, Any]) -> None:
    day, month = whole.get("birth_day"), whole.get("birth_month")
    if day is None or month is None:
        return
    # Without a year any 29 February may be.
    if day > calendar.monthrange(whole.get("birth_year") or 2000, month)[1]:
        path = next((name for name in ("birth_day", "birth_month", "birth_year") if name in written), "birth_day")
        errors.setdefault(path, "makes a date that does not exist")


# What a row makes of a profile --------------------------------------------------------------------------


def changed(before: Profile, row: ProfileRow, location_ids: Mapping[PlaceRef, int], now: datetime) -> Profile:
    """A profile after a row was written. Raises Refused by path."""
    errors: dict[str, str] = {}
    columns = dict(row.columns)
    for name, ref in row.places.items():
        columns[name] = None if ref is None else _located(ref, location_ids, errors)
    if row.favorite_stores is not None:
        stores = [_located(ref, location_ids, errors) for ref in row.favorite_stores]
        columns["favorite_stores"] = list(dict.fromkeys(stores))
    if columns.get("profile_type") == "deleted" and before.deleted_at is None:
        columns["deleted_at"] = now
    if row.attributes:
        kept = {**before.attributes, **row.attributes}
        columns["attributes"] = {name: value for name, value in kept.items() if value is not None}
    if columns.get("mobile_phone", before.mobile_phone) != before.mobile_phone:
        columns["phone_country"] = phones.country(columns["mobile_phone"])
    after = msgspec.structs.replace(before, **columns)
    _check_birth_date(
        {name: getattr(after, name) for name in ("birth_day", "birth_month", "birth_year")}, errors, columns
    )
    if errors:
        raise Refused(errors)
    return _with_consents(after, row)


def _located(ref: PlaceRef, location_ids: Mapping[PlaceRef, int], errors: dict[str, str]) -> int | None:
    found = location_ids.get(ref)
    if found is None:
        errors[ref.path] = f"There is no location {ref.value}"
    return found


def _with_consents(profile: Profile, row: ProfileRow) -> Profile:
    if not row.consents and not row.channel_statuses and not row.comms:
        return profile
    before = profile.standing
    # What was read is sent back with one of the views changed: only what says something new counts.
    answers = {name: each for name, each in row.consents.items() if before.consents.get(name) != each}
    statuses = {name: each for name, each in row.channel_statuses.items() if before.statuses[name] != each}
    after = consents.with_answers(consents.with_comms(before, row.comms), answers, statuses)
    return profile if after == before else profile.with_standing(after)
