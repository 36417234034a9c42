"""Members drawn at random, filters over them, and what plain Python makes of both."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

PLATFORMS = ("ios", "android", "web", "pos", "api", "import")
CHANNELS = (None, "iOS app", "android", "web shop", "till")
SUBUNITS = (1, 2, 3, 70)
CONSENTS = ("sms_marketing", "email_marketing", "profiling")
GENDERS = (None, "female", "male")
LANGUAGES = (None, "no", "sv")
SPENT = (0, 10, 250, 1000)

RandomMember = dict[str, Any]


def random_member(chance: random.Random) -> RandomMember:
    """What is sent of a member, and what it has spent."""
    drawn: RandomMember = {
        "gender": chance.choice(GENDERS),
        "optin_channel": chance.choice(CHANNELS),
        "birth_year": chance.choice((None, 1940, 1987, 2011, 2012)),
        "birth_month": chance.choice((None, 1, 11, 12)),
        "subunit_ids": chance.sample(SUBUNITS, chance.randint(0, 3)),
        "consents": {name: chance.random() < 0.5 for name in CONSENTS if chance.random() < 0.7},
        "email_status": chance.choice((None, "enabled", "verified", "disabled")),
        "properties": {} if (language := chance.choice(LANGUAGES)) is None else {"language": language},
    }
    return drawn | {"spent": chance.choice(SPENT)}


def as_request(drawn: Mapping[str, Any]) -> RandomMember:
    """The profile as a client sends it."""
    return {name: value for name, value in drawn.items() if name != "spent" and value is not None}


def report_fields(drawn: Mapping[str, Any], today: date) -> RandomMember:
    """The fields of the reports, by their names."""
    channel = drawn["optin_channel"]
    word = None if channel is None else channel.split()[0].lower()
    # Who consents and has no status is enabled.
    can_be_reached = drawn["email_status"] in (None, "enabled", "verified")
    is_reached = can_be_reached and drawn["consents"].get("email_marketing") is True
    return {
        "gender": drawn["gender"],
        "optin_channel": channel,
        "optin_platform": None if word is None else word if word in PLATFORMS else "other",
        "age": _age(drawn, today),
        "birth_year_group": None if drawn["birth_year"] is None else drawn["birth_year"] // 5 * 5,
        "subunit_ids": drawn["subunit_ids"],
        "consents_true": [name for name, given in drawn["consents"].items() if given],
        "consents_false": [name for name, given in drawn["consents"].items() if not given],
        "marketing_via_email": is_reached,
        "properties": drawn["properties"],
        "aggregations.spend_all": drawn["spent"],
        "aggregations.dimension_frequency": "F1" if drawn["spent"] else "F0",
    }


def _age(drawn: Mapping[str, Any], today: date) -> str | None:
    if drawn["birth_year"] is None:
        return None
    years = today.year - drawn["birth_year"] - ((today.month, today.day) < (drawn["birth_month"] or 1, 1))
    if years < 15:
        return "-14"
    return "80-" if years >= 80 else f"{years // 5 * 5}-{years // 5 * 5 + 4}"


FILTER_VALUES: Mapping[str, Sequence[Any]] = {
    "gender": GENDERS,
    "optin_channel": CHANNELS,
    "optin_platform": (None, "ios", "other"),
    "age": (None, "-14", "15-19", "35-39", "80-"),
    "birth_year_group": (None, 1940, 1985, 2010),
    "marketing_via_email": (True, False),
    "aggregations.spend_all": SPENT,
    "aggregations.dimension_frequency": ("F0", "F1", "F2"),
    "consents.email_marketing": (None, True, False),
    "consents.profiling": (None, True, False),
    "properties.language": LANGUAGES,
}


def random_filter(chance: random.Random, level: int = 1) -> Any:
    """A filter."""
    kind = chance.choice(("and", "or", "not", "leaf", "leaf")) if level < 4 else "leaf"
    if kind in ("and", "or"):
        return {"type": kind, "operations": [random_filter(chance, level + 1) for _ in range(chance.randint(1, 3))]}
    if kind == "not":
        return {"type": "not", "operation": random_filter(chance, level + 1)}
    if chance.random() < 0.3:
        return _of_a_list(chance)
    name = chance.choice(list(FILTER_VALUES))
    if name == "aggregations.spend_all" and chance.random() < 0.6:
        order = ("greater_than", "greater_or_equal_to", "less_than", "less_or_equal_to")
        return {"type": chance.choice(order), "field": name, "value": chance.choice(SPENT)}
    kind = chance.choice(("equal", "not_equal", "in", "not_in"))
    value: Any = chance.choice(FILTER_VALUES[name])
    if kind in ("in", "not_in"):
        value = chance.sample(FILTER_VALUES[name], chance.randint(0, 2))
    return {"type": kind, "field": name, "value": value}


def _of_a_list(chance: random.Random) -> Any:
    kind = chance.choice(("contains", "in", "not_in", "equal", "not_equal"))
    some: Any = chance.sample((*SUBUNITS, 99, None), chance.randint(0, 3))
    value = {"contains": chance.choice(SUBUNITS), "equal": None, "not_equal": None}.get(kind, some)
    return {"type": kind, "field": "subunit_ids", "value": value}
