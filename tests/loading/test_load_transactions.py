"""Files of transactions: items in lists or lines, grouped lines, and the values that change."""

from loading.file_loader import FileLoader, outcome_counts, reasons_by_line
from regulars.loading import group_lines


async def test_a_file_of_transactions_changes_the_values_of_its_profiles(load: FileLoader) -> None:
    await load.profiles("M1")
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,systems\n"
        "T1,M1,2026-10-01T12:00:00Z,100.00,pos\n"
        "T2,M1,2026-10-02T12:00:00Z,-40.00,pos\n"
        "T3,,2026-10-02T12:00:00Z,7.00,web\n",
    )
    assert outcome_counts(summary) == (3, 0, 0)
    values = await load.values("M1")
    assert (values["shop_count"], values["spend_all"], values["channel"]) == (1, 60.0, "CF")


async def test_loading_the_same_file_twice_is_a_no_op(load: FileLoader) -> None:
    await load.profiles("M1")
    content = (
        "external_id,profile,transacted_at,total,sku,quantity\n"
        "T1,M1,2026-10-01,9,A,1\nT2,M1,2026-10-02,5,A,1\nT1,M1,2026-10-01,9,B,2\n"
    )
    assert outcome_counts(await load("transactions", content)) == (2, 0, 0)
    before = await load.transactions()
    load.club.clock.advance(days=1)
    assert outcome_counts(await load("transactions", content)) == (0, 2, 0)
    assert await load.transactions() == before


async def test_a_later_file_replaces_a_transaction_with_all_its_items(load: FileLoader) -> None:
    await load.profiles("M1")
    header = "external_id,profile,transacted_at,total,sku\n"
    await load("transactions", header + "T1,M1,2026-10-01,9,A\nT1,M1,2026-10-01,9,B\nT2,M1,2026-10-01,1,A\n")
    again = await load("transactions", header + "T1,M1,2026-10-01,12,C\nT2,M1,2026-10-01,1,A\n")
    assert outcome_counts(again) == (1, 1, 0)
    transaction = (await load.transactions())["T1"]
    assert [item["sku"] for item in transaction["items"]] == ["C"]
    assert (await load.values("M1"))["spend_all"] == 13.0


async def test_lines_of_one_external_id_are_one_transaction_whose_total_counts_once(load: FileLoader) -> None:
    await load.profiles("M1")
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,sku,name,brand,quantity,price_sell,price_current,discount\n"
        "T1,M1,2026-10-01 10:00,30.00,A,Shirt,Tveitun,1,10,12,2\n"
        "T2,M1,2026-10-02 10:00,5.00,D,,,,,,\n"
        "T1,M1,2026-10-01T10:00,30,B,Scarf,Aune,2,10,10,\n",
    )
    assert outcome_counts(summary) == (2, 0, 0)
    transaction = (await load.transactions())["T1"]
    assert [(item["sku"], item["brand"], item["quantity"]) for item in transaction["items"]] == [
        ("A", "Tveitun", 1),
        ("B", "Aune", 2),
    ]
    assert transaction["items"][0]["discounts"][0]["amount"] == 2
    values = await load.values("M1")
    assert (values["spend_all"], values["purchased_brands"]) == (35.0, ["Aune", "Tveitun"])


async def test_a_strict_load_rejects_lines_that_differ_with_the_field(load: FileLoader) -> None:
    await load.profiles("M1")
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,location,sku\n"
        "T1,M1,2026-10-01,30,S1,A\n"
        "T2,M1,2026-10-01,1,S1,A\n"
        "T2,M1,2026-10-01,1,S1,B\n"
        "T1,M1,2026-10-01,31,S2,B\n"
        "T3,M1,today,30,S1,C\n",
        is_strict=True,
    )
    assert outcome_counts(summary) == (1, 0, 2)
    text = "differs from line 2: all lines with one external_id are one transaction"
    assert summary.rejections[0].errors == {"location": text, "total": text}
    assert reasons_by_line(summary)[6].startswith("transacted_at must be a time")
    assert list(await load.transactions()) == ["T2"]


async def test_an_invalid_line_rejects_its_transaction(load: FileLoader) -> None:
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total,sku,quantity\n"
        "T1,,2026-10-01,30,A,1\n"
        "T1,,2026-10-01,30,B,many\n"
        "T2,,2026-10-01,1,A,1\n"
        "T3,,2026-10-01,1\n"
        "T3,,2026-10-01,1,A,1\n"
        "T4,,2026-10-01,1,A,0.1234567\n",
    )
    assert outcome_counts(summary) == (1, 0, 3)
    assert list(reasons_by_line(summary)) == [3, 5, 7]
    assert reasons_by_line(summary)[7].endswith(
        "at most 6 decimal places, below 10^7 in absolute value, not '0.1234567'"
    )
    assert list(await load.transactions()) == ["T2"]


async def test_a_repeated_line_is_one_transaction_with_its_items_once(load: FileLoader) -> None:
    line = '{"external_id": "T1", "transacted_at": "2026-10-01", "total": 5, "items": [{"sku": "A"}]}\n'
    other = line.replace('"A"', '"B"').replace("T1", "T2")
    summary = await load("transactions", line + line + other + other.replace('"B"', '"C"'), name="sales.ndjson")
    assert outcome_counts(summary) == (1, 0, 1)
    assert reasons_by_line(summary)[4].startswith("items differs from line 3")
    assert [item["sku"] for item in (await load.transactions())["T1"]["items"]] == ["A"]


async def test_items_are_a_list_or_columns(load: FileLoader) -> None:
    summary = await load(
        "transactions",
        '{"external_id": "T1", "transacted_at": "2026-10-01", "total": 5, "items": [{"sku": "A"}], "sku": "B"}\n'
        '{"external_id": "T2", "transacted_at": "2026-10-01", "total": 5, "items": [], "sku": "B"}\n'
        '{"external_id": "T3", "transacted_at": "2026-10-01", "total": 5, "sku": null}\n',
        name="sales.ndjson",
    )
    assert outcome_counts(summary) == (2, 0, 1)
    assert reasons_by_line(summary) == {1: "items must be a list or in columns of their own, not both"}
    rows = await load.transactions()
    assert ([item["sku"] for item in rows["T2"]["items"]], rows["T3"]["items"]) == (["B"], [])


async def test_invalid_rows_are_reported_with_line_and_field(load: FileLoader) -> None:
    summary = await load(
        "transactions",
        '{"external_id": "T1", "transacted_at": "2026-10-01", "total": "much"}\n'
        '{"external_id": "T2", "transacted_at": "2026-10-01"}\n'
        '{"external_id": "T3", "total": 1}\n'
        '{"transacted_at": "2026-10-01", "total": 1}\n'
        '{"external_id": "T5", "profile": "unknown", "transacted_at": "2026-10-01", "total": 1}\n'
        "{\n"
        '{"external_id": "T7", "transacted_at": "2026-10-01", "total": 1}\n'
        '{"external_id": "T8", "transacted_at": "2026-10-01", "total": 1, "items": [{"quantity": 1e9}]}\n'
        + "["
        * 5_000,
        name="sales.ndjson",
    )
    assert outcome_counts(summary) == (1, 0, 8)
    reasons = reasons_by_line(summary)
    assert reasons.pop(6).startswith("is not JSON")
    assert reasons.pop(9).startswith("must be an object")
    assert reasons == {
        1: "total must be a decimal with at most 6 decimal places, below 10^12 in absolute value, not 'much'",
        2: "total is required, or the price_sell of the lines",
        3: "transacted_at is required",
        4: "external_id is required: it identifies the transaction in later imports",
        5: "profile there is no profile unknown",
        8: "items.0.quantity must be below 10000000 in size",
    }


async def test_unknown_profiles_are_created_on_request(load: FileLoader) -> None:
    content = "external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\nT2,M1,2026-10-02,5\n"
    assert outcome_counts(await load("transactions", content)) == (0, 0, 2)
    assert outcome_counts(await load("transactions", content, create_profiles=True)) == (2, 0, 0)
    assert (await load.values("M1"))["shop_count"] == 2


async def test_a_transaction_has_no_more_lines_than_items_are_allowed(load: FileLoader) -> None:
    lines = [f"T1,,2026-10-01,5,A{number}" for number in range(group_lines.MAX_TRANSACTION_LINES + 5)]
    far = ["T2,,2026-10-01,5,A", "T1,,2026-10-01,5,A"]
    header = "external_id,profile,transacted_at,total,sku\n"
    summary = await load("transactions", header + "\n".join([*lines, *far]))
    assert outcome_counts(summary) == (1, 0, 1)
    assert reasons_by_line(summary) == {2: "items must be at most 2000"}


async def test_a_time_without_an_offset_is_local(load: FileLoader) -> None:
    await load("locations", "external_id,timezone\nS1,Europe/Oslo\nS2,\n")
    await load(
        "transactions",
        "external_id,profile,transacted_at,total,timezone,location\n"
        "own,,2026-07-01 12:00,1,America/New_York,S1\n"
        "place,,2026-07-01 12:00,1,,S1\n"
        "club,,2026-07-01 12:00,1,,S2\n"
        "offset,,2026-07-01T12:00:00+05:00,1,America/New_York,S1\n"
        "midnight,,2026-07-01,1,,S1\n"
        "twice,,2026-10-25 02:30,1,Europe/Oslo,\n"
        "never,,2026-03-29 02:30,1,Europe/Oslo,\n",
    )
    assert {name: row["transacted_at"] for name, row in (await load.transactions()).items()} == {
        "own": "2026-07-01 16:00:00",
        "place": "2026-07-01 10:00:00",
        "club": "2026-07-01 12:00:00",
        "offset": "2026-07-01 07:00:00",
        "midnight": "2026-06-30 22:00:00",
        "twice": "2026-10-25 00:30:00",
        "never": "2026-03-29 01:30:00",
    }


async def test_blanks_around_an_external_id_are_no_part_of_it(load: FileLoader) -> None:
    content = "external_id,profile,transacted_at,total,sku\nT1,,2026-10-01,9,A\nT2,,2026-10-01,1,A\n T1\u00a0,,2026-10-01,9,B\n"
    assert outcome_counts(await load("transactions", content)) == (2, 0, 0)
    transactions = await load.transactions()
    assert [item["sku"] for item in transactions["T1"]["items"]] == ["A", "B"]
    assert outcome_counts(await load("transactions", content)) == (0, 2, 0)
    assert await load.transactions() == transactions


async def test_an_external_id_of_blanks_is_missing(load: FileLoader) -> None:
    content = "external_id,profile,transacted_at,total\n ,,2026-10-01,9\n ,,2026-10-02,5\n"
    for name, text in (
        ("facts.csv", content),
        ("facts.ndjson", '{"external_id": " ", "transacted_at": "2026-10-01", "total": 9}\n' * 2),
    ):
        summary = await load("transactions", text, name)
        assert outcome_counts(summary) == (0, 0, 2)
        assert set(reasons_by_line(summary).values()) == {
            "external_id is required: it identifies the transaction in later imports"
        }
