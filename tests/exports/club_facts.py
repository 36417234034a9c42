"""Facts of a small club for exports: a few of each kind, with values that formats of files easily damage."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Row = Mapping[str, Any]

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MEMBERS = 40

ODD_TEXTS = (
    "007",
    "=1+1",
    "+47 900 00 000",
    "-5",
    "@sum",
    "Blåbærsyltetøy, «æøå»",
    'said "no";\r\nleft',
    "شركة الأمل",
    "🛍️ 👩‍👩‍👧",
    "",
    "\ttab",
    " spaces ",
    "a\\b\n\u0001",
    "<b>&amp;</b>",
    "NULL",
    "1e5",
    None,
)
"""Texts that spreadsheets, parsers of CSV and XML are known to change."""


def facts(seed: int, currency: str) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each entity, in the order of loading."""
    chance = random.Random(seed)
    yield "locations", [_location(number) for number in range(2)]
    yield (
        "products",
        [{"external_id": "P1", "name": "Tea", "brand": "=Brand", "variants": [{"sku": "S1", "name": "Tea"}]}],
    )
    yield "profiles", [_profile(chance, number) for number in range(MEMBERS)]
    yield "transactions", [_transaction(chance, number, currency) for number in range(3 * MEMBERS)]
    yield "sendings", [_sending(number) for number in range(4)]
    yield "sending_events", [_sending_event(chance, number) for number in range(80)]
    yield "offer_collections", [{"external_id": f"C{number}", "name": ODD_TEXTS[5 + number]} for number in range(2)]
    yield "offers", [_offer(number) for number in range(3)]
    yield "offer_events", [_offer_event(chance, number) for number in range(60)]
    yield "link_visits", [_link_visit(chance, number) for number in range(60)]


def _at(chance: random.Random, days: int = 20) -> str:
    return (NOW - timedelta(days=days) + chance.random() * timedelta(days=days)).isoformat()


def _location(number: int) -> Row:
    return {
        "external_id": f"L{number}",
        "name": ODD_TEXTS[number + 5],
        "type": "store",
        "timezone": "Europe/Oslo",
        "address": {"city": "Oslo", "country": "NO"},
    }


def _profile(chance: random.Random, number: int) -> Row:
    text = ODD_TEXTS[number % len(ODD_TEXTS)]
    return {
        "external_id": f"M{number}",
        "first_name": "Kari",
        "mobile_phone": f"+4790000{number:03}",
        "gender": chance.choice(("female", "male", None)),
        "birth_year": chance.choice((1950, 1987, 2011, None)),
        "joined_at": _at(chance),
        "optin_channel": chance.choice(("ios app", "web", None)),
        "optin_subchannel": text or None,
        "consents": {name: chance.random() < 0.5 for name in ("sms_marketing", 'odd "name"') if chance.random() < 0.7},
        "sms_status": "verified",
        "subunit_ids": chance.sample((1, 2, 3), chance.randint(0, 3)),
        "favorite_stores": ["L0"] if number % 3 else [],
        "properties": {"text": text, "number": number / 4, "list": [1, "two", None]} if number % 4 else {},
    }


def _transaction(chance: random.Random, number: int, currency: str) -> Row:
    price = f"{chance.randint(100, 99999) / 100:.2f}"
    return {
        "external_id": f"T{number}",
        "profile": f"M{chance.randrange(MEMBERS)}" if number % 5 else None,
        "transacted_at": _at(chance, 400),
        "total": price,
        "currency": currency,
        "currency_rate": "1",
        "location": f"L{number % 2}",
        "systems": [chance.choice(("pos", "web"))],
        "type": "sale",
        "items": [{"sku": "S1", "name": "Tea", "quantity": "1", "price_sell": price}],
    }


def _sending(number: int) -> Row:
    return {
        "external_id": f"S{number}",
        "reporting_id": None if number == 3 else 900 + number,
        "language": "nb",
        "channel": ("sms", "email", "push")[number % 3],
        "service_type": "campaigns",
        "source_id": ODD_TEXTS[number],
        "source_app": "campaigns",
        "campaign_id": 1 + number % 2,
        "created_at": (NOW - timedelta(days=21)).isoformat(),
    }


def _sending_event(chance: random.Random, number: int) -> Row:
    return {
        "external_id": f"E{number}",
        "sending": f"S{number % 4}",
        "dispatch": f"D{number // 4}",
        "profile": f"M{number // 4}",
        "event": chance.choice(("scheduled", "transmitted", "delivered", "opened", "clicked", "bounced", "failed")),
        "at": _at(chance),
    }


def _offer(number: int) -> Row:
    return {
        "external_id": f"O{number}",
        "name": ODD_TEXTS[number],
        "type": "discount",
        "status": "active",
        "collections": [f"C{each}" for each in range(number)],
        "location": "L0",
        "campaign_id": 1 + number,
        "usable_since": NOW.isoformat(),
        "created_at": (NOW - timedelta(days=21)).isoformat(),
    }


def _offer_event(chance: random.Random, number: int) -> Row:
    return {
        "external_id": f"OE{number}",
        "offer": f"O{number % 3}",
        "event": chance.choice(("seen", "clicked", "granted", "used")),
        "at": _at(chance),
        "profile": f"M{number % 20}",
    }


def _link_visit(chance: random.Random, number: int) -> Row:
    path = chance.choice(("/", "/%C3%A6", "/=sum"))
    source = {"sending": f"S{number % 4}"} if number % 2 else {"offer": f"O{number % 3}"}
    return {
        "external_id": f"V{number}",
        "at": _at(chance),
        "url": f"https://shop.example{path}?utm_source={chance.choice(('a', '-b'))}",
        "profile": f"M{number % 20}" if number % 3 else None,
        "visitor": f"{number % 7}",
        **source,
    }
