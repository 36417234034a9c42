"""Bulk import over HTTP."""

import asyncio
import csv
import gzip
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backports import zstd

from clubs import Club, ManualClock, create_club
from regulars.api.app import create_app
from regulars.demo import cdnow
from regulars.loading import catalog, loader
from regulars.loading.readers import files
from regulars.model.community import NewCommunity
from regulars.observability.exporter import MetricsExporter
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web import received_files

NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv; charset=utf-8"}
HEADER = "external_id,profile,transacted_at,total\n"

Json = dict[str, Any]


async def post(club: Club, entity: str, content: Any, headers: Mapping[str, str] = NDJSON, status: int = 200) -> Json:
    answer = await club.http.post(f"/v1/import/{entity}", content=content, headers=dict(headers))
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def test_rows_are_counted_and_invalid_ones_reported_with_line_and_field(club: Club) -> None:
    answer = await post(
        club,
        "transactions",
        '{"external_id": "T1", "transacted_at": "2026-10-01T10:00:00Z", "total": 5}\n'
        '{"external_id": "T2", "transacted_at": "2026-10-01T10:00:00Z"}\n'
        "{\n",
    )
    assert answer["rejections"][1].pop("reason").startswith("is not JSON")
    text = "is required, or the price_sell of the lines"
    assert answer == {
        "entity": "transactions",
        "accepted": 1,
        "unchanged": 0,
        "rejected": 2,
        "rejections": [
            {"line": 2, "reason": f"total {text}", "errors": {"total": [text]}},
            {"line": 3},
        ],
    }


@pytest.mark.parametrize(
    ("headers", "pack"),
    [
        (CSV, str.encode),
        (CSV | {"Content-Encoding": "identity"}, str.encode),
        (CSV | {"Content-Encoding": "gzip"}, lambda text: gzip.compress(text.encode())),
        (CSV | {"Content-Encoding": "zstd"}, lambda text: zstd.compress(text.encode())),
    ],
)
async def test_csv_may_be_compressed_and_importing_it_again_changes_nothing(
    club: Club, headers: Json, pack: Any
) -> None:
    content = pack(HEADER + "T1,,2026-10-01,5\nT2,,2026-10-02,6\n")
    first, second = [await post(club, "transactions", content, headers) for _ in range(2)]
    assert (first["accepted"], first["unchanged"]) == (2, 0)
    assert (second["accepted"], second["unchanged"]) == (0, 2)


async def test_the_rows_before_a_truncation_are_stored_and_reported(club: Club) -> None:
    lines = "".join(f"T{number},,2026-10-01,{number}\n" for number in range(3_000))
    packed = gzip.compress((HEADER + lines).encode())[:-2_000]
    answer = await post(club, "transactions", packed, CSV | {"Content-Encoding": "gzip"})
    assert answer["accepted"] > 1_000
    (rejection,) = answer["rejections"]
    assert rejection == {"line": answer["accepted"] + 2, "reason": "can't be read: the compressed file is truncated"}


@dataclass
class Connection:
    """An ASGI request whose client is controlled by the test."""

    club: Club
    pieces: asyncio.Queue[Json] = field(default_factory=asyncio.Queue)
    statuses: list[int] = field(default_factory=list)

    def sends(self, body: bytes, *, more: bool = False) -> None:
        """Sends a chunk of the body."""
        self.pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnects(self) -> None:
        """Disconnects the client."""
        self.pieces.put_nowait({"type": "http.disconnect"})

    async def answered(self, entity: str) -> None:
        """Runs an import until its response."""

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])

        path = f"/v1/import/{entity}"
        headers = {"content-type": "text/csv", "authorization": f"Bearer {self.club.token}", "host": "test"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                *((name.encode(), value.encode()) for name, value in headers.items()),
                (b"content-length", b"9"),
            ],
            "server": ("test", 80),
            "client": ("test", 1),
            "scheme": "http",
            "http_version": "1.1",
        }
        await create_app(self.club.server, run_jobs=False)(scope, self.pieces.get, send)


async def external_ids(club: Club) -> list[str]:
    found = (await club.http.get("/api/v3/transactions")).json()["data"]
    return [each["external_id"] for each in found]


async def test_a_truncated_import_stores_nothing(club: Club) -> None:
    connection = Connection(club)
    connection.sends((HEADER + "T1,,2026-10-01,5\nT2,,2026-10-01,6").encode(), more=True)
    connection.disconnects()
    await connection.answered("transactions")
    assert connection.statuses == [400]
    assert await external_ids(club) == []


LONG = HEADER + "".join(f"T{number},,2026-10-01,{number}\n" for number in range(20_000))


@pytest.mark.slow
@pytest.mark.parametrize(("ends", "status"), [("disconnect", 400), ("stop", 503)])
async def test_an_import_stops_with_its_client_or_server_and_is_resumed(
    club: Club, ends: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection(club)
    connection.sends(LONG.encode())

    def reached(self: MetricsExporter, entity: str) -> Callable[[Any], None]:
        def end(summary: Any) -> None:
            if ends == "disconnect":
                connection.disconnects()
            else:
                club.server.stop_event.set()

        return end

    monkeypatch.setattr(MetricsExporter, "import_progress", reached)
    await connection.answered("transactions")
    assert connection.statuses == [status]
    club.server.stop_event.clear()
    monkeypatch.undo()
    rest = await post(club, "transactions", LONG, CSV)
    assert rest["accepted"] > 0
    assert rest["unchanged"] > 0
    assert rest["accepted"] + rest["unchanged"] == 20_000
    assert not club.server.active_imports


@pytest.mark.parametrize(
    ("setting", "content", "status", "text"),
    [
        ("max_import_bytes", gzip.compress(LONG.encode()), 413, "larger than 100,000 bytes"),
        ("max_import_bytes", LONG.encode(), 413, "The body is larger than 100,000 bytes"),
        ("max_import_lines", LONG.encode(), 413, "more than 100,000 lines"),
        ("max_import_columns", HEADER.encode() + b"," * 5, 413, "The header has 4 columns; 3 are allowed"),
    ],
    # gzip output contains the time, but all test processes must use the same test id.
    ids=["unpacked", "bytes", "lines", "columns"],
)
async def test_an_import_above_a_limit_is_413_and_names_the_setting(
    club: Club, setting: str, content: bytes, status: int, text: str
) -> None:
    limit = {"max_import_columns": 3, "max_import_lines": 15_000}.get(setting, 100_000)
    club.server.settings = replace(club.server.settings, **{setting: limit})  # type: ignore[arg-type]
    packed = {"Content-Encoding": "gzip"} if content.startswith(b"\x1f\x8b") else {}
    answer = await post(club, "transactions", content, CSV | packed, status=status)
    assert text.replace("100,000 lines", "15,000 lines") in answer["message"]
    assert setting in answer["message"]
    assert await external_ids(club) == []


async def test_a_line_that_is_too_long_is_rejected(club: Club) -> None:
    club.server.settings = replace(club.server.settings, max_import_line_bytes=100)
    answer = await post(club, "transactions", HEADER + f"T1,{'M' * 100},2026-10-01,5\nT2,,2026-10-01,5\n", CSV)
    assert (answer["accepted"], answer["rejections"]) == (1, [{"line": 2, "reason": "is longer than 100 bytes"}])


async def test_imports_above_the_concurrency_limit_are_503(club: Club) -> None:
    other_organization = club.community.organization_id + 1
    allowed = club.server.settings.max_concurrent_imports
    club.server.active_imports[other_organization] = allowed
    answer = await club.http.post("/v1/import/transactions", content=HEADER, headers=CSV)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "max_concurrent_imports" in answer.json()["message"]
    club.server.active_imports[other_organization] -= 1
    await post(club, "transactions", HEADER, CSV)
    assert club.server.active_imports == {other_organization: allowed - 1}


async def test_one_organization_never_uses_all_import_slots(club: Club) -> None:
    club.server.active_imports[club.community.organization_id] = club.server.settings.max_concurrent_imports - 1
    answer = await club.http.post("/v1/import/transactions", content=HEADER, headers=CSV)
    assert answer.status_code == 503
    assert "one organization" in answer.json()["message"]


async def test_a_single_import_slot_may_be_used_by_any_organization(club: Club) -> None:
    club.server.settings = replace(club.server.settings, max_concurrent_imports=1)
    await post(club, "transactions", HEADER, CSV)
    assert not club.server.active_imports


async def test_a_body_that_is_compressed_twice_is_415(club: Club) -> None:
    await post(club, "transactions", gzip.compress(gzip.compress(b"")), CSV | {"Content-Encoding": "gzip, gzip"}, 415)


def test_a_received_file_has_no_name_and_stale_ones_are_removed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with received_files.open_temporary(settings) as file:
        file.write(b"members")
        assert list(tmp_path.rglob("*")) == [tmp_path / "received"]
        assert (tmp_path / "received").stat().st_mode & 0o777 == 0o700
    stale = tmp_path / "received" / "stale"
    stale.touch()
    received_files.remove_stale(settings)
    assert not stale.exists()


async def test_a_body_may_be_larger_than_that_of_other_requests(club: Club) -> None:
    club.server.settings = replace(club.server.settings, max_request_bytes=1_000)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(50):
            yield f'{{"external_id": "M{number}", "first_name": "{"a" * 200}"}}\n'.encode()

    assert (await post(club, "profiles", pieces()))["accepted"] == 50


async def test_a_missing_column_is_422_and_named(club: Club) -> None:
    answer = await post(club, "transactions", "external_id,profile,transacted_at\n", CSV, status=422)
    assert list(answer["errors"]) == ["total"]
    assert "is a required column" in answer["errors"]["total"][0]


async def test_profiles_are_created_on_request_and_a_dry_run_stores_nothing(club: Club) -> None:
    content = HEADER + "T1,M1,2026-10-01,5\n"
    assert (await post(club, "transactions", content, CSV))["rejected"] == 1
    assert (await post(club, "transactions?create_profiles=1&dry_run=true", content, CSV))["accepted"] == 1
    assert (await club.http.get("/api/v3/profiles")).json()["data"] == []
    assert (await post(club, "transactions?create_profiles=1", content, CSV))["accepted"] == 1
    assert [each["external_id"] for each in (await club.http.get("/api/v3/profiles")).json()["data"]] == ["M1"]
    await post(club, "transactions?dry_run=maybe", content, CSV, status=422)


async def test_a_repeated_import_with_a_key_gets_the_first_response(club: Club) -> None:
    content = HEADER + "T1,,2026-10-01,5\n"
    keyed = CSV | {"Idempotency-Key": "monday"}
    first = await post(club, "transactions", content, keyed)
    assert first["accepted"] == 1
    assert await post(club, "transactions", content, keyed) == first
    assert (await post(club, "transactions", content, CSV))["unchanged"] == 1
    other = await post(club, "transactions", content + "T2,,2026-10-01,5\n", keyed, status=422)
    assert "Idempotency-Key" in other["errors"]


@pytest.mark.parametrize(
    ("entity", "headers", "status"),
    [
        ("transactions", {"Content-Type": "application/xml"}, 415),
        ("transactions", NDJSON | {"Content-Encoding": "br"}, 415),
        ("transactions", NDJSON | {"Authorization": ""}, 401),
        ("communities", NDJSON, 403),
        ("things", NDJSON, 404),
    ],
)
async def test_an_unknown_entity_or_content_type_is_rejected(
    club: Club, entity: str, headers: Json, status: int
) -> None:
    assert "message" in await post(club, entity, "{}", headers, status=status)


# Real purchases ---------------------------------------------------------------------------------------------


def as_csv(names: str, rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """A file in chunks of some thousand rows."""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(names.split())
    for number, row in enumerate(rows):
        lines.writerow(row)
        if number % 5_000 == 0:
            yield written.getvalue().encode()
            written.seek(0)
            written.truncate()
    yield written.getvalue().encode()


def customers(which: Callable[[str], bool]) -> Iterator[bytes]:
    rows = (row for row in cdnow.profiles() if which(row["external_id"]))
    return as_csv("external_id joined_at", ((row["external_id"], row["joined_at"]) for row in rows))


def purchases(which: Callable[[str], bool]) -> Iterator[bytes]:
    return as_csv(
        "external_id profile transacted_at timezone total currency systems name quantity price_sell",
        (
            (
                row["external_id"],
                row["profile"],
                row["transacted_at"],
                row["timezone"],
                row["total"],
                row["currency"],
                "web",
                row["items"][0]["name"],
                row["items"][0]["quantity"],
                row["items"][0]["price_sell"],
            )
            for row in cdnow.transactions()
            if which(row["profile"])
        ),
    )


async def in_pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def from_files(club: Club, folder: Path, which: Callable[[str], bool]) -> None:
    for entity, pieces in (("profiles", customers(which)), ("transactions", purchases(which))):
        path = folder / f"{entity}.csv.gz"
        path.write_bytes(gzip.compress(b"".join(pieces), 1))
        read = partial(files.inspect_file(path).rows, catalog.columns_of(entity))
        summary = await loader.load_and_finish(
            club.database, club.server.group_committer, club.community.id, entity, read
        )
        assert summary.rejections == []


def is_any(name: str) -> bool:
    return True


def is_a_tenth(name: str) -> bool:
    return name.endswith("7")


def is_a_hundredth(name: str) -> bool:
    return name.endswith("77")


async def over_http(club: Club) -> None:
    assert (await post(club, "profiles", in_pieces(customers(is_a_hundredth)), CSV))["rejected"] == 0
    assert (await post(club, "transactions", in_pieces(purchases(is_a_hundredth)), CSV))["rejected"] == 0


async def values(club: Club) -> dict[str, Json]:
    """The stored values of every profile by external id."""
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            """
            SELECT profiles.external_id, to_jsonb(stored) AS stored
            FROM profile_aggregations AS stored
            JOIN profiles ON profiles.community_id = $1 AND profiles.profile_id = stored.profile_id
            WHERE stored.community_id = $1
            """,
            scope.community_id,
        )
    own = ("community_id", "profile_id", "calculated_at", "values_version")
    found = {row["external_id"]: msgspec.json.decode(row["stored"]) for row in rows}
    return {name: {key: each for key, each in row.items() if key not in own} for name, row in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "published"),
    [
        pytest.param(is_any, (69_659, 23_570, Decimal("2500315.63")), id="all", marks=pytest.mark.long),
        pytest.param(is_a_tenth, (6_844, 2_357, Decimal("241809.78")), id="a tenth"),
    ],
)
async def test_the_published_values_of_real_purchases_are_reproduced_from_a_file_and_over_http(
    database: Database,
    clock: ManualClock,
    tmp_path: Path,
    which: Callable[[str], bool],
    published: tuple[int, int, Decimal],
) -> None:
    """CDNOW from files: 69,659 purchases of 23,570 customers for 2,500,315.63 dollars; 1 percent of it over HTTP."""
    purchases_count, customers_count, total = published
    new = NewCommunity(**cdnow.community())
    async for club in create_club(database, clock, replace(new, slug=f"cdnow-file-{customers_count}")):
        await from_files(club, tmp_path, which)
        async with database.read_transaction(club.community.id) as scope:
            stored = await scope.fetchrow(
                "SELECT count(*), sum(total) FROM transactions WHERE community_id = $1", scope.community_id
            )
        assert tuple(stored) == (purchases_count, total)
        from_file = await values(club)
    assert len(from_file) == customers_count
    assert sum(row["spend_all"] for row in from_file.values()) == 100 * total
    async for club in create_club(database, clock, replace(new, slug=f"cdnow-http-{customers_count}")):
        await over_http(club)
        over_http_values = await values(club)
    assert over_http_values == {name: row for name, row in from_file.items() if is_a_hundredth(name)}
