"""Files as tills, spreadsheets and shops write them: loaded live and computed offline, both equal to the oracle."""

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

import regulars
from aggregations.system_under_test import decode, to_wire
from clubs import Club
from oracle import Community, Facts, Item, Profile, Transaction, expected_values
from regulars.file_dialects.options import DialectOptions, parse_options, read_mapping
from regulars.loading import catalog
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.loader import load_and_finish
from regulars.loading.readers import files
from reports.club_fixture import ClubFixture

DATA = Path(__file__).parent / "data"

# Locations have another id in each store, and the rest are of the request.
NOT_COMPARED = {
    "profile_id", "calculated_at", "store_join", "most_transacted_location", "latest_transacted_location",
    "most_spend_location", "most_spend_12m_location", "transacted_locations",
}  # fmt: skip

Sale = tuple[str | None, str, str]
"""Member, local time and total."""


async def load_path(club: Club, entity: str, path: Path, options: DialectOptions, **load_options: Any) -> LoadSummary:
    """Loads a file as the command does."""
    source = files.inspect_file(path, options=options)
    read = partial(source.rows, catalog.columns_of(entity, options))
    target = (club.database, club.server.group_committer, club.community.id)
    return await load_and_finish(*target, entity, read, LoadOptions(**load_options), source)


def oracle_of(club: Club, sales: Mapping[str, Sale], items: Mapping[str, tuple[Item, ...]] | None = None) -> Facts:
    """The facts of sales by external id."""
    names = {name for name, _, _ in sales.values() if name is not None}
    ids = {name: uuid5(NAMESPACE_URL, name) for name in names}
    transactions = {
        number: Transaction(
            number, datetime.fromisoformat(at).replace(tzinfo=UTC), Decimal(total),
            None if name is None else ids[name], external_id, items=(items or {}).get(external_id, ()),
        )
        for number, (external_id, (name, at, total)) in enumerate(sales.items(), 1)
    }  # fmt: skip
    own = club.community
    profiles = {id_: Profile(id_) for id_ in ids.values()}
    return Facts(Community(own.timezone, own.currency, own.country), {}, {}, profiles, transactions)


async def live_values(club: Club, name: str) -> dict[str, object]:
    """The values of a member as a client gets them."""
    async with club.database.read_transaction(club.community.id) as scope:
        profile_id = await scope.fetchval(
            "SELECT profile_id FROM profiles WHERE community_id = $1 AND external_id = $2", club.community.id, name
        )
    answer = await club.http.get(f"/api/v3/profiles/{profile_id}/aggregations")
    values: dict[str, object] = decode(answer.content)["data"]
    return values


async def check_values(club: Club, path: Path, facts: Facts, names: Iterable[str], **stated: Any) -> None:
    """Compares the stored and the computed values of members with the oracle's."""
    as_of = club.clock()
    computed = regulars.compute(
        str(path), as_of=as_of, currency=club.community.currency, on_notice=lambda text: None, **stated
    )
    rows = {row["profile_id"]: row for row in computed.to_pylist()}
    assert rows.keys() == set(names)
    for name in names:
        live, offline = await live_values(club, name), rows[name]
        expected = expected_values(facts, uuid5(NAMESPACE_URL, name), as_of)
        # A profile that a load creates joins at that moment, one of files alone never.
        compared = {each for each in expected.keys() - NOT_COMPARED if "join" not in each and each != "first_shop_days"}
        wanted = {each: to_wire(expected[each]) for each in compared}
        assert {each: live[each] for each in compared} == wanted
        assert {each: to_wire(offline[each]) for each in compared} == wanted


TILL: dict[str, Sale] = {
    "1001": ("Bjørk", "2026-10-01 09:15", "1249.50"), "1002": ("Åse", "2026-10-01 10:02", "89.90"),
    "1003": (None, "2026-10-02 11:30", "45"), "1004": ("Bjørk", "2026-10-05 17:45", "-249.50"),
    "1005": ("Åse", "2026-10-12 08:05", "300"),
}  # fmt: skip


async def test_the_export_of_a_till(club: Club) -> None:
    path, mapping = DATA / "till.csv", read_mapping(DATA / "till.toml")
    summary = await load_path(club, "transactions", path, parse_options(**mapping), create_profiles=True)
    assert (summary.accepted, summary.rejected) == (5, 0)
    stated = {"columns": mapping["columns"], "date_format": mapping["date_format"]}
    await check_values(club, path, oracle_of(club, TILL), ["Bjørk", "Åse"], **stated)


async def test_unicode_text_of_a_spreadsheet_program(club: Club) -> None:
    path = DATA / "excel.txt"
    options = parse_options()
    assert files.inspect_file(path).dialect(catalog.columns_of("transactions")).description == (
        "tab-separated, decimal comma, UTF-16"
    )
    assert (await load_path(club, "transactions", path, options, create_profiles=True)).accepted == 3
    sales: dict[str, Sale] = {
        "A1": ("Łucja", "2026-09-01 12:00", "20"),
        "A2": ("Łucja", "2026-10-20 09:30", "35.5"),
        "A3": ("Zoë", "2026-10-21", "12.25"),
    }
    items = {
        "A1": (Item(brand="Fjäll", quantity=Decimal(2), price_sell=Decimal(10)),),
        "A2": (Item(brand="Aune", price_sell=Decimal("35.5")),),
        "A3": (Item(price_sell=Decimal("12.25")),),
    }
    await check_values(club, path, oracle_of(club, sales, items), ["Łucja", "Zoë"])


ORDER_COLUMNS = {
    "external_id": "InvoiceNo", "sku": "StockCode", "name": "Description", "quantity": "Quantity",
    "transacted_at": "InvoiceDate", "price_sell": "UnitPrice", "profile": "CustomerID",
}  # fmt: skip
DATE_FORMAT = "%m/%d/%Y %H:%M"


def items_of_orders() -> dict[str, tuple[Item, ...]]:
    """The items of the order list, read by Python's own parser."""
    items: dict[str, tuple[Item, ...]] = {}
    with (DATA / "orders-us.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            item = Item(quantity=Decimal(row["Quantity"]), price_sell=round(Decimal(row["UnitPrice"]), 6))
            items[row["InvoiceNo"]] = (*items.get(row["InvoiceNo"], ()), item)
    return items


async def test_orders_of_lines_with_american_dates_and_no_totals(club: Club) -> None:
    path = DATA / "orders-us.csv"
    options = parse_options(columns=ORDER_COLUMNS)
    summary = await load_path(club, "transactions", path, options, create_profiles=True)
    assert summary.accepted == 0
    assert summary.rejections[0].reason.endswith(f"not '9/1/2026 8:26'; --date-format '{DATE_FORMAT}' reads it")
    options = parse_options(columns=ORDER_COLUMNS, date_format=DATE_FORMAT)
    summary = await load_path(club, "transactions", path, options, create_profiles=True)
    assert (summary.accepted, summary.rejected, summary.warning_kinds.count) == (5, 0, 1)
    sales: dict[str, Sale] = {
        "536365": ("17850", "2026-09-01 08:26", "35.64"), "536366": ("17850", "2026-09-13 08:28", "11.10"),
        "C536379": ("17850", "2026-10-02 09:41", "-2.55"), "536367": ("13047", "2026-10-03 08:34", "72.08"),
        "536368": (None, "2026-10-04 09:00", "0.30"),
    }  # fmt: skip
    facts = oracle_of(club, sales, items_of_orders())
    await check_values(club, path, facts, ["17850", "13047"], columns=ORDER_COLUMNS, date_format=DATE_FORMAT)


async def test_the_event_log_of_an_email_provider_that_repeats_events(club: Club) -> None:
    own = ClubFixture(club)
    await own.load("profiles", [{"external_id": name} for name in ("M1", "M2", "M3")])
    await own.load("sendings", [{"external_id": "autumn", "channel": "email", "created_at": "2026-10-01T07:00:00Z"}])
    path = DATA / "email-events.csv"
    with path.open(newline="") as file:
        log = {row["external_id"]: row for row in csv.DictReader(file, delimiter="|")}
    summary = await load_path(club, "sending_events", path, parse_options())
    assert (summary.accepted, summary.unchanged, summary.rejected) == (len(log), 3, 0)
    assert (await load_path(club, "sending_events", path, parse_options())).accepted == 0
    (record,) = (await own.query("sendings"))["records"]
    for event in ("transmitted", "delivered", "opened", "clicked", "bounced"):
        assert record[f"{event}_count"] == sum(each["event"] == event for each in log.values())
    opened = {each["dispatch"] for each in log.values() if each["event"] == "opened"}
    assert (record["unique_opened_count"], record["dispatches_count"]) == (len(opened), 3)


MEMBER_COLUMNS = {
    "external_id": "Number", "first_name": "Name", "mobile_phone": "Mobile", "joined_at": "Joined", "gender": "Gender",
}  # fmt: skip


async def test_the_phone_list_of_a_spreadsheet(club: Club) -> None:
    path = DATA / "members.xlsx"
    summary = await load_path(club, "profiles", path, parse_options(columns=MEMBER_COLUMNS))
    assert (summary.accepted, summary.rejected) == (4, 0)
    answer = msgspec.json.decode((await club.http.get("/api/v3/profiles?page[size]=10")).content)
    names = {each["first_name"] for each in answer["data"]}
    assert names == {"Kari Nordmann", "Ola Nordmann", "Åse Berg", "Zoë Lund"}
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT external_id, joined_at FROM profiles WHERE community_id = $1 ORDER BY external_id",
            club.community.id,
        )
    joined = ["2026-08-01T09:00", "2026-09-15T00:00", "2026-09-30T00:00", "2026-10-02T14:30"]
    assert [row["joined_at"].astimezone(UTC).isoformat(timespec="minutes")[:16] for row in rows] == joined
    assert [row["external_id"] for row in rows] == ["101", "102", "103", "104"]
    async with club.database.read_transaction(club.community.id) as scope:
        live = await scope.fetch(
            "SELECT gender, count(*) AS members FROM profiles WHERE community_id = $1 GROUP BY gender",
            club.community.id,
        )
    columns = {ours: name for ours, name in MEMBER_COLUMNS.items() if ours != "first_name"}
    offline = regulars.compute_report(
        "members_count", profiles=str(path), columns={"profiles": columns}, as_of=club.clock(),
        aggregate_by="by_gender", currency=club.community.currency, on_notice=lambda text: None,
    )  # fmt: skip

    expected = {"female": 2, "male": 1, None: 1}
    assert {row["gender"]: row["members"] for row in live} == expected
    assert {row["gender"]: row["members_count"] for row in offline["records"]} == expected


async def test_orders_whose_status_makes_them_void(club: Club) -> None:
    path = DATA / "orders-status.csv"
    assert (await load_path(club, "transactions", path, parse_options(), create_profiles=True)).accepted == 6
    sales: dict[str, Sale] = {
        "S1": ("M1", "2026-10-01 10:00", "100"),
        "S3": ("M2", "2026-10-03 10:00", "50"),
        "S5": ("M1", "2026-10-05 10:00", "-30"),
    }
    await check_values(club, path, oracle_of(club, sales), ["M1", "M2"])
