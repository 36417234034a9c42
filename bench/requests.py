"""The requests of the benchmarks, as bytes."""

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from bench.environment import ZONE, BenchClub
from bench.load_generator import Request
from bench.seed_data import LOCATIONS, VARIANTS

_numbers = itertools.count(1)


def profile_id(club: BenchClub, number: int) -> UUID:
    """The id of a club's seeded profile by number from 1; see fill_profiles.sql."""
    return UUID(hashlib.md5(f"{club.id}-{number}".encode(), usedforsecurity=False).hexdigest())


def request(club: BenchClub, method: str, path: str, body: bytes = b"", kind: str = "") -> Request:
    """One request with the club's token."""
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {club.token}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return kind, head.encode() + b"\r\n" + body


def reads(club: BenchClub, profiles: int, number: int = 20_000) -> Iterator[Request]:
    """Reads of the aggregations of random profiles, an endless iterator."""
    generator = random.Random(1)
    requests = [
        request(club, "GET", f"/api/v3/profiles/{profile_id(club, generator.randint(1, profiles))}/aggregations")
        for _ in range(number)
    ]
    return itertools.cycle(requests)


def transaction(generator: random.Random, club: BenchClub, number: int, *, lines: int = 2) -> dict[str, object]:
    """A sale of now to a profile by number, in one of its stores; each line is of a product known by its sku."""
    items = []
    for _ in range(lines):
        price = generator.randint(20, 900)
        items.append(
            {
                "name": "A thing",
                "sku": f"SKU{generator.randint(1, VARIANTS):05}",
                "quantity": generator.randint(1, 3),
                "price_current": price,
                "price_sell": price,
            }
        )
    return {
        "external_id": f"B{next(_numbers):010}-{generator.getrandbits(32):08x}",
        "profile_id": str(profile_id(club, number)),
        "location_id": str(1 + (number * 7 + generator.randrange(3)) % LOCATIONS),
        "transacted_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "timezone": ZONE,
        "total": sum(int(str(each["price_sell"])) * int(str(each["quantity"])) for each in items),
        "systems": ["pos"],
        "receipt_ref": f"R{generator.getrandbits(40):010x}",
        "items": items,
    }


def writes(club: BenchClub, path: str, profiles: Sequence[int], number: int, kind: str = "") -> list[Request]:
    """POSTs of one transaction each, of random ones among profiles."""
    generator = random.Random()
    return [
        request(
            club,
            "POST",
            path,
            msgspec.json.encode(transaction(generator, club, generator.choice(profiles))),
            kind,
        )
        for _ in range(number)
    ]


def batches(club: BenchClub, profiles: Sequence[int], number: int, rows: int) -> list[Request]:
    """POSTs of several transactions each."""
    generator = random.Random()
    requests = []
    for _ in range(number):
        transactions = [transaction(generator, club, generator.choice(profiles)) for _ in range(rows)]
        content = msgspec.json.encode({"transactions": transactions})
        requests.append(request(club, "POST", "/api/v3/transactions/batch.json", content))
    return requests


def file_lines(club: BenchClub, profiles: int, number: int, *, lines: int) -> Iterator[bytes]:
    """Rows of a file of transactions of random profiles, NDJSON, a few hundred at a time."""
    generator = random.Random()
    for start in range(0, number, 500):
        rows = []
        for _ in range(min(500, number - start)):
            row = transaction(generator, club, generator.randint(1, profiles), lines=lines)
            row["profile"] = row.pop("profile_id")
            row["location"] = row.pop("location_id")
            rows.append(msgspec.json.encode(row))
        yield b"\n".join(rows) + b"\n"
