"""What the club knows about its members, and when they came and went: rows of profiles and memberships."""

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Literal

from msgspec import Struct

from regulars.demo.mall.countries import COUNTRIES
from regulars.demo.mall.members import MallMember
from regulars.demo.mall.names import Sex, family_name, first_name, to_ascii
from regulars.demo.mall.stores import MALLS
from regulars.demo.rows import Consents, MemberAddressRecord, MembershipRecord, ProfileRecord

GROUPS = {1: "students", 2: "families", 3: "seniors", 4: "staff", 5: "test panel", 6: "car park"}
"""The member groups that `group_ids` name."""

_DOMAINS = ("example.com", "example.org", "example.net")
_LANGUAGES = ("en", "en", "en", "de", "uk", "ar")
_APPS = ("ios", "android")


class _Answers(Struct, frozen=True):
    """By which channels a member can be reached, what it consented to when it joined, and what holds now."""

    has_email: bool
    has_phone: bool
    has_app: bool
    on_joining: Consents
    now: Consents


class _Person(Struct, frozen=True):
    first_name: str
    last_name: str
    sex: Sex
    birth_year: int
    birth_month: int
    birth_day: int
    age: int


def profile(member: MallMember, as_of: datetime, seed: int) -> ProfileRecord:
    """A member's profile as it stands at the end of the history, also of one who has left."""
    dice = Random(f"profile of {member.number} of {seed}")
    answers = _answers(member, seed)
    person = _person(member, as_of, dice)
    favourites = _favourites(member, dice)
    known = dice.random()
    return {
        "external_id": member.external_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": _email(person, member.number, dice) if answers.has_email else None,
        "mobile_phone": member.country.phone(member.number) if answers.has_phone else None,
        "gender": _gender(person.sex, dice.random()),
        "birth_day": person.birth_day if known < 0.8 else None,
        "birth_month": person.birth_month if known < 0.8 else None,
        "birth_year": person.birth_year if known < 0.88 else None,
        "currency": member.country.currency,
        "joined_at": member.joined_at,
        "joined_location_external_id": member.joined_shop.external_id,
        "preferred_location_external_id": favourites[0] if favourites else None,
        "addresses": _addresses(member, dice),
        "optin_channel": member.optin_channel,
        "optin_subchannel": member.optin_subchannel,
        "consents": answers.now,
        "sms_status": _status("sms_marketing", answers, dice) if answers.has_phone else None,
        "email_status": _status("email_marketing", answers, dice) if answers.has_email else None,
        "push_status": "enabled" if answers.now.get("push_marketing") else "disabled",
        "subunit_ids": _malls(member, dice),
        "group_ids": _groups(member, person.age, dice),
        "favorite_stores": favourites,
        "properties": {"language": _language(member, dice)},
    }


def memberships(member: MallMember, seed: int) -> Iterator[MembershipRecord]:
    """A member's joining and, of those who left, the leaving and the joining again."""
    answers = _answers(member, seed)
    yield _membership(member, 1, "in", member.joined_at, answers.on_joining)
    if member.left_at is not None:
        yield _membership(member, 2, "out", member.left_at, answers.now)
    if member.rejoined_at is not None:
        yield _membership(member, 3, "in", member.rejoined_at, answers.now)


def _membership(
    member: MallMember, number: int, kind: Literal["in", "out"], at: datetime, consents: Consents
) -> MembershipRecord:
    return {
        "external_id": f"{member.external_id}-{number}",
        "profile": member.external_id,
        "type": kind,
        "at": at,
        "optin_channel": member.optin_channel,
        "optin_subchannel": member.optin_subchannel,
        "consents": consents,
    }


def _answers(member: MallMember, seed: int) -> _Answers:
    chance = Random(f"answers of {member.number} of {seed}").random
    # Who joins by e-mail has one; every profile has an e-mail or a telephone.
    has_email = chance() < 0.92 or member.optin_channel == "web"
    has_phone = chance() < 0.87 or not has_email
    has_app = member.optin_channel in _APPS or chance() < 0.25
    chances = {
        "sms_marketing": 0.62 if has_phone else None,
        "email_marketing": 0.74 if has_email else None,
        "push_marketing": 0.7 if has_app else None,
        "personal_offers": None if member.optin_channel == "import" else 0.55,
    }
    on_joining = {name: chance() < share for name, share in chances.items() if share is not None}
    # Later more say no who had said yes than the other way round.
    now = {name: chance() > 0.13 if yes else chance() < 0.04 for name, yes in on_joining.items()}
    return _Answers(has_email, has_phone, has_app, on_joining, now)


def _status(consent: str, answers: _Answers, dice: Random) -> str:
    chance = dice.random()
    if answers.on_joining[consent] and not answers.now[consent]:
        # Most take a consent back by the link in a message, the others in their settings.
        return "unsubscribed" if chance < 0.75 else "enabled"
    if chance < 0.03:
        return "hard_bounced"
    if chance < 0.04:
        return "disabled"
    return "verified" if chance < 0.82 else "enabled"


def _person(member: MallMember, as_of: datetime, dice: Random) -> _Person:
    chance = dice.random
    country = member.country.iso if chance() < 0.93 else dice.choice(COUNTRIES).iso
    sex: Sex = "female" if chance() < 0.61 else "male"
    age = min(max(round(dice.gauss(43, 16)), 16), 92)
    return _Person(
        first_name=first_name(country, sex, chance),
        last_name=family_name(country, sex, chance),
        sex=sex,
        birth_year=as_of.year - age,
        birth_month=1 + int(12 * chance()),
        birth_day=1 + int(28 * chance()),
        age=age,
    )


def _email(person: _Person, number: int, dice: Random) -> str:
    # The number keeps addresses apart, which a community needs.
    name = f"{to_ascii(person.first_name)}.{to_ascii(person.last_name)}"
    return f"{name}{number}@{dice.choice(_DOMAINS)}"


def _gender(sex: Sex, chance: float) -> str | None:
    if chance < 0.08:
        return None
    return "other" if chance < 0.1 else sex


def _addresses(member: MallMember, dice: Random) -> list[MemberAddressRecord]:
    chance = dice.random()
    if chance < 0.12:
        return []
    towns = [member.town] if chance < 0.94 else [member.town, dice.choice(member.country.towns)]
    return [
        {
            **member.country.address(town, dice.choice(member.country.streets), dice.randint(1, 120)),
            "is_default": place == 0,
        }
        for place, town in enumerate(towns)
    ]


def _favourites(member: MallMember, dice: Random) -> list[str]:
    if member.town.mall_city is None:
        return []
    preferred = list(dict.fromkeys(shop.external_id for shop in member.shops))
    return preferred[: dice.choice((0, 0, 0, 1, 1, 2, 3))]


def _malls(member: MallMember, dice: Random) -> list[int]:
    if member.town.mall_city is None:
        return []
    others = [mall.number for mall in MALLS if mall.country is member.country and mall is not member.mall]
    second = [dice.choice(others)] if others and dice.random() < 0.08 else []
    return sorted([member.mall.number, *second])


def _groups(member: MallMember, age: int, dice: Random) -> list[int]:
    chance = dice.random
    shares = {
        1: 0.4 if 18 <= age <= 27 else 0.0,
        2: 0.45 if 28 <= age <= 48 else 0.05,
        3: 0.85 if age >= 67 else 0.0,
        4: 0.015,
        5: 0.03,
        6: 0.15 if member.town.mall_city else 0.0,
    }
    return [group for group, share in shares.items() if chance() < share]


def _language(member: MallMember, dice: Random) -> str:
    return member.country.language if dice.random() < 0.91 else dice.choice(_LANGUAGES)
