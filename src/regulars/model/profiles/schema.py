"""Profiles: the request, its validation, the stored profile, and the update of one by the other."""

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import money, phones, timestamps, validation
from regulars.core.errors import QuotingText, ValidationError
from regulars.model import addresses, consents, identities
from regulars.model.addresses import AddressIn, AddressRow
from regulars.model.community import Community
from regulars.model.consents import ConsentState
from regulars.model.identities import IdentityIn, IdentityRow
from regulars.model.profiles.gender import normalize_gender
from regulars.model.profiles.stores import LocationRef, location_ref, store_ref

IdList = list[Annotated[int, msgspec.Meta(ge=0, le=validation.MAX_ID)]] | None | UnsetType
JsonObject = dict[str, Any] | None | UnsetType
ShortText = Annotated[str, msgspec.Meta(max_length=64)] | None | UnsetType

MAX_LIST_IDS = 1000
"""The maximum number of subunits, groups and favourite stores of a profile."""


class ProfileIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a profile in a request. Absent fields are unchanged."""

    external_id: validation.Code = UNSET
    title: validation.Text = UNSET
    first_name: validation.Text = UNSET
    last_name: validation.Text = UNSET
    email: validation.Text = UNSET
    gender: ShortText = UNSET
    mobile_phone: validation.Code = UNSET
    birth_day: validation.Int = UNSET
    birth_month: validation.Int = UNSET
    birth_year: validation.Int = UNSET
    currency: validation.Text = UNSET
    joined_at: validation.Text = UNSET
    joined_location_id: validation.Id = UNSET
    joined_location_external_id: validation.Code = UNSET
    joined_location_external_code: validation.Code = UNSET
    preferred_location_id: validation.Id = UNSET
    preferred_location_external_id: validation.Code = UNSET
    preferred_location_external_code: validation.Code = UNSET
    identities: list[IdentityIn] | UnsetType | None = UNSET
    addresses: list[AddressIn] | UnsetType | None = UNSET
    attributes: JsonObject = UNSET
    tags: validation.JsonList = UNSET
    statuses: validation.JsonList = UNSET
    custom_fields: validation.JsonCollection = UNSET
    profile_type: ShortText = UNSET
    optin_channel: validation.Text = UNSET
    optin_subchannel: validation.Text = UNSET
    consents: JsonObject = UNSET
    sms_status: validation.Text = UNSET
    email_status: validation.Text = UNSET
    push_status: validation.Text = UNSET
    subunit_ids: IdList = UNSET
    group_ids: IdList = UNSET
    favorite_stores: list[str | int] | UnsetType | None = UNSET
    properties: JsonObject = UNSET


COLUMNS: Mapping[str, str] = {
    "external_id": "text",
    "profile_type": "text",
    "title": "text",
    "first_name": "text",
    "last_name": "text",
    "email": "text",
    "mobile_phone": "text",
    "mobile_phone_e164": "text",
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
"""The types of the columns that are written, by name."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stored profile. Encoded as JSON it has no fields with defaults."""

    profile_id: UUID
    external_id: str | None = None
    profile_type: str = "active"
    title: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    mobile_phone: str | None = None
    mobile_phone_e164: str | None = None
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
    def consent_state(self) -> ConsentState:
        """The consents in both views."""
        statuses = {channel: getattr(self, f"{channel}_status") for channel in consents.STATUS_CHANNELS}
        return ConsentState(self.consents, statuses, self.attributes.get("comms") or {})

    @property
    def contacts(self) -> Mapping[str, str | None]:
        """The normalized address that each channel uses, if it is a field of the profile."""
        email, phone = self.email and self.email.lower(), self.mobile_phone_e164 or self.mobile_phone
        return {"email": email, "sms": phone, "phone": phone}

    def with_consent_state(self, state: ConsentState) -> "Profile":
        """Returns the profile with other consents, in both views."""
        return msgspec.structs.replace(
            self,
            consents=dict(state.consents),
            attributes={**self.attributes, "comms": dict(state.comms)},
            **{f"{channel}_status": status for channel, status in state.statuses.items()},
        )


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A validated profile: the fields of the request. `columns` are stored unchanged."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    location_refs: Mapping[str, LocationRef | None] = field(default_factory=dict)
    favorite_stores: tuple[LocationRef, ...] | None = None
    consents: Mapping[str, bool | None] = field(default_factory=dict)
    channel_statuses: Mapping[str, str | None] = field(default_factory=dict)
    comms: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    identities: tuple[IdentityRow, ...] = ()
    addresses: tuple[AddressRow, ...] | None = None

    @property
    def external_id(self) -> str | None:
        """The external id of the request, or None."""
        external_id: str | None = self.columns.get("external_id")
        return external_id


# Validation -------------------------------------------------------------------------------------------


def _email(text: str) -> str | None:
    found = validation.check_text(text).strip()
    if found and not validation.is_email(found):
        raise ValueError("must be an e-mail address")
    return found or None


def _phone(value: str | int) -> str | None:
    found = validation.check_code(value)
    if found is None:
        return None
    if len(found) > 64:
        raise ValueError("must be at most 64 characters")
    if phones.has_exponent(found):
        advice = "format the column as text in the spreadsheet"
        raise ValueError(
            QuotingText(f"must be a phone number, not {found}: {advice}", f"must be a phone number: {advice}")
        )
    return found


def _gender(text: str) -> str | None:
    return normalize_gender(validation.check_text(text))


def _currency(text: str) -> str | None:
    return money.parse_currency(text) if text.strip() else None


def _profile_type(text: str) -> str:
    if not validation.check_text(text).strip():
        raise ValueError("must not be empty")
    return text


def _within(least: int, most: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return check


def _numbers(values: list[int]) -> list[int]:
    if len(values) > MAX_LIST_IDS:
        raise ValueError(f"must be at most {MAX_LIST_IDS} ids")
    return list(dict.fromkeys(values))


_CHECKS: tuple[tuple[str, Callable[[Any], object], object], ...] = (
    ("external_id", validation.check_code, None),
    ("title", validation.check_text, None),
    ("first_name", validation.check_text, None),
    ("last_name", validation.check_text, None),
    ("email", _email, None),
    ("gender", _gender, None),
    ("mobile_phone", _phone, None),
    ("birth_day", _within(1, 31), None),
    ("birth_month", _within(1, 12), None),
    ("birth_year", _within(1850, 2100), None),
    ("currency", _currency, None),
    ("joined_at", timestamps.parse_timestamp, None),
    ("profile_type", _profile_type, "active"),
    ("optin_channel", validation.check_text, None),
    ("optin_subchannel", validation.check_text, None),
    ("subunit_ids", _numbers, []),
    ("group_ids", _numbers, []),
    ("properties", validation.check_json, {}),
    ("tags", validation.check_json, []),
    ("statuses", validation.check_json, []),
    ("custom_fields", validation.check_json, []),
)


def validate(profile: ProfileIn) -> ProfileRow:
    """Validates a profile without the database. Raises ValidationError."""
    reader = validation.FieldReader()
    for name, check, empty in _CHECKS:
        reader.read(name, getattr(profile, name), check, empty)
    _check_birth_date(reader.columns, reader.errors, reader.columns)

    others = validation.FieldReader()
    others.read("consents", profile.consents, consents.validate_consents, {})
    for channel in consents.STATUS_CHANNELS:
        others.read(f"{channel}_status", getattr(profile, f"{channel}_status"), consents.validate_status)
    others.read("attributes", profile.attributes, _attributes, ({}, {}))
    others.read("favorite_stores", profile.favorite_stores, _stores, ())
    for kind in ("joined", "preferred"):
        others.read(f"{kind}_location_id", *_place(profile, kind, others.errors))
    for name, check_all in (("identities", identities.validate_list), ("addresses", addresses.validate_list)):
        try:
            if (parts := getattr(profile, name)) is not UNSET:
                others.columns[name] = check_all(parts or ())
        except ValidationError as error:
            others.errors |= error.with_prefix(name).errors
    reader.errors |= others.errors
    reader.result()
    return _row(reader.columns, others.columns)


def _row(columns: dict[str, Any], others: dict[str, Any]) -> ProfileRow:
    attributes, comms = others.get("attributes", ({}, {}))
    statuses = {channel: f"{channel}_status" for channel in consents.STATUS_CHANNELS}
    return ProfileRow(
        columns=columns,
        location_refs={
            name: others[name] for name in ("joined_location_id", "preferred_location_id") if name in others
        },
        favorite_stores=others.get("favorite_stores"),
        consents=others.get("consents", {}),
        channel_statuses={channel: others[name] for channel, name in statuses.items() if name in others},
        comms=comms,
        attributes=attributes,
        identities=others.get("identities", ()),
        addresses=others.get("addresses"),
    )


def _attributes(value: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    validation.check_json(value)
    comms = value.get("comms")
    if comms is not None and not isinstance(comms, dict):
        raise ValueError("must hold comms as an object")
    rest = {name: each for name, each in value.items() if name != "comms"}
    return rest, consents.validate_comms(comms or {})


def _stores(values: list[str | int]) -> tuple[LocationRef, ...]:
    if len(values) > MAX_LIST_IDS:
        raise ValueError(f"must be at most {MAX_LIST_IDS} ids")
    return tuple(store_ref(f"favorite_stores.{index}", value) for index, value in enumerate(values))


def _place(
    profile: ProfileIn, kind: str, errors: dict[str, str]
) -> tuple[LocationRef | UnsetType | None, Callable[[LocationRef], LocationRef]]:
    ways = [(by, getattr(profile, f"{kind}_location_{by}")) for by in ("id", "external_id", "external_code")]
    references = [(by, value) for by, value in ways if value is not UNSET]
    found: LocationRef | UnsetType | None = None if references else UNSET
    for by, value in references:
        if value is not None and value != "":
            path = f"{kind}_location_{by}"
            try:
                found = location_ref(path, by, value)
            except ValueError as error:
                errors[path] = str(error)
            break
    return found, lambda ref: ref


def _check_birth_date(whole: Mapping[str, Any], errors: dict[str, str], written: Mapping[str, Any]) -> None:
    day, month = whole.get("birth_day"), whole.get("birth_month")
    if day is None or month is None:
        return
    # Without a year 29 February is valid.
    if day > calendar.monthrange(whole.get("birth_year") or 2000, month)[1]:
        path = next((name for name in ("birth_day", "birth_month", "birth_year") if name in written), "birth_day")
        errors.setdefault(path, "makes a date that does not exist")


_BIRTH = ("birth_day", "birth_month", "birth_year")


def _is_future_birth(profile: Profile, today: datetime) -> bool:
    born = (profile.birth_year or 0, profile.birth_month or 1, profile.birth_day or 1)
    return born > (today.year, today.month, today.day)


# Updates ------------------------------------------------------------------------------------------------


def apply(
    before: Profile, row: ProfileRow, location_ids: Mapping[LocationRef, int], now: datetime, community: Community
) -> Profile:
    """Returns the profile after the update by a row. Raises ValidationError."""
    errors: dict[str, str] = {}
    columns = dict(row.columns)
    for name, ref in row.location_refs.items():
        columns[name] = None if ref is None else _located(ref, location_ids, errors)
    if row.favorite_stores is not None:
        stores = [_located(ref, location_ids, errors) for ref in row.favorite_stores]
        columns["favorite_stores"] = list(dict.fromkeys(stores))
    if columns.get("profile_type") == "deleted" and before.deleted_at is None:
        columns["deleted_at"] = now
    if row.attributes:
        attributes = {**before.attributes, **row.attributes}
        columns["attributes"] = {name: value for name, value in attributes.items() if value is not None}
    if columns.get("mobile_phone", before.mobile_phone) != before.mobile_phone:
        columns["phone_country"] = phones.country_of(columns["mobile_phone"])
        columns["mobile_phone_e164"] = phones.to_e164(columns["mobile_phone"], community.country)
    after = msgspec.structs.replace(before, **columns)
    _check_birth_date({name: getattr(after, name) for name in _BIRTH}, errors, columns)
    if columns.keys() & set(_BIRTH) and _is_future_birth(
        after, now.astimezone(timestamps.zone_info(community.timezone))
    ):
        errors.setdefault("birth_year", "makes a birth in the future")
    if errors:
        raise ValidationError(errors)
    return _with_consents(before, after, row)


def _located(ref: LocationRef, location_ids: Mapping[LocationRef, int], errors: dict[str, str]) -> int | None:
    found = location_ids.get(ref)
    if found is None:
        errors[ref.path] = QuotingText(f"There is no location {ref.value}", "There is no location with this id")
    return found


def _with_consents(before: Profile, profile: Profile, row: ProfileRow) -> Profile:
    stored = before.consent_state
    # A client may send back both views with one of them changed: only differences from the stored profile count.
    answers = {name: each for name, each in row.consents.items() if stored.consents.get(name) != each}
    statuses = {name: each for name, each in row.channel_statuses.items() if stored.statuses[name] != each}
    start = consents.leave_contacts(stored, before.contacts, profile.contacts, row.comms, row.channel_statuses)
    after = consents.apply_comms(start, row.comms)
    if answers or statuses:
        after = consents.apply_consents(after, answers, statuses)
    return with_consents(profile, start, after)


def with_consents(profile: Profile, before: ConsentState, after: ConsentState) -> Profile:
    """Returns the profile after a write of its consents, with the statuses that follow from them."""
    after = consents.follow_consents(before, after, profile.contacts)
    return profile if after == profile.consent_state else profile.with_consent_state(after)
