"""The preview of a dry run: rows as they would be stored, and kinds of errors."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest

from clubs import Club
from loading.file_loader import FileLoader
from regulars.core.errors import ValidationError
from regulars.core.row_decoding import decode_row
from regulars.loading.preview import preview_row


async def test_a_dry_run_shows_the_first_rows_and_each_kind_of_error(club: Club, load: FileLoader) -> None:
    await load.profiles("M1")
    content = (
        "external_id;profile;transacted_at;total;sku;quantity;price_sell;location\n"
        "T1;M1;2026-10-01 9:30;;A;2;12,50;oslo\nT2;;2026-10-01;5,5;;;;\nT3;M9;2026-10-01;5;;;;\nT4;M8;2026-10-01;5;;;;\n"
        "T5;;2026-10-01;x;;;;\nT6;;2026-10-01;y;;;;\nT7;;2026-10-01;1;;;;\nT8;;2026-10-01;1;;;;\n"
    )
    answer = await club.http.post(
        "/v1/import/transactions?dry_run=1", content=content, headers={"Content-Type": "text/csv"}
    )
    body: dict[str, Any] = answer.json()
    assert body["read_as"] == "semicolon-separated, decimal comma, UTF-8"
    assert [each["line"] for each in body["first_rows"]] == [2, 3, 8]
    first = body["first_rows"][0]["row"]
    assert first["items"][0].items() >= {"sku": "A", "price_sell": "12.50"}.items()
    assert {name: first[name] for name in ("external_id", "profile", "transacted_at", "total", "location")} == {
        "external_id": "T1", "profile": "M1", "transacted_at": "2026-10-01T09:30:00+00:00", "total": "25",
        "location": "oslo",
    }  # fmt: skip
    kinds = [(each["count"], each["line"], each["reason"].partition(" must")[0]) for each in body["rejection_kinds"]]
    assert kinds == [(2, 6, "total"), (2, 4, "profile there is no profile M9")]
    assert await load.transactions() == {}


@dataclass
class Visit:
    at: datetime
    day: date
    price: Decimal
    tags: tuple[str, ...]
    is_void: bool
    nested: dict[str, object]
    raw: msgspec.Raw
    nothing: None = None


def test_values_of_all_types_are_shown() -> None:
    at = datetime(2026, 10, 1, 9, tzinfo=UTC)
    row = Visit(at, at.date(), Decimal("1.50"), ("a",), False, {"x": 1, "fingerprint": b""}, msgspec.Raw(b"{}"))
    assert preview_row(row) == {
        "at": "2026-10-01T09:00:00+00:00", "day": date(2026, 10, 1), "price": "1.50", "tags": ["a"], "nested": {"x": 1},
        "raw": msgspec.Raw(b"{}"),
    }  # fmt: skip


class Row(msgspec.Struct):
    flag: bool | None = None
    names: tuple[str, ...] = ()
    short: Annotated[str, msgspec.Meta(max_length=2)] = ""
    choice: Literal["a", "b"] = "a"
    count: int = 0
    kind: str = ""


MESSAGES = [
    (b'{"flag": "maybe"}', "flag", "must be true or false, not 'maybe'"),
    (b'{"names": [1]}', "names.0", "must be a text, not 1"),
    (b'{"names": {"a": 1}}', "names", 'must be a list, not {"a":1}'),
    (b'{"count": "many"}', "count", "must be an integer, not 'many'"),
    (b'{"count": [' + b"1," * 60 + b"1]}", "count", f"must be an integer, not [{'1,' * 29}1..."),
    (b"[]", "", "must be an object, not []"),
    (b'{"short": "abc"}', "short", "must be a text of at most 2 characters"),
    (b'{"choice": "x"}', "choice", "invalid enum value 'x'"),
    (b"{", "", "is not JSON: Input data was truncated"),
]


@pytest.mark.parametrize(("content", "path", "message"), MESSAGES)
def test_messages_about_rows_are_in_words(content: bytes, path: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        decode_row(content, msgspec.json.Decoder(Row))
    assert raised.value.errors == {path: message}
