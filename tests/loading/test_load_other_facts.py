"""Files of profiles, locations, products, memberships and communities."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
import pytest

from clubs import Club
from loading.file_loader import FileLoader, outcome_counts, reasons_by_line
from regulars.loading import loader
from regulars.loading.batches import LoadOptions, LoadStoppedError
from regulars.loading.readers.rows import RawRow
from regulars.model import community as communities


async def test_profiles_are_created_and_updated_by_external_id(load: FileLoader) -> None:
    await load("locations", "external_id\nS1\n")
    content = (
        "external_id,first_name,joined_at,favorite_stores,consents,identities\n"
        'M1,Ola,2026-08-03,S1,"{""sms_marketing"": true}","[{""handle"": ""card"", ""identifier"": ""7""}]"\n'
        "M2,Kari,2026-08-03T10:00:00+02:00,,,\n"
        ",Unnamed,,,,\n"
        "M4,,yesterday,,,\n"
        "M5,,2026-08-03,S9,,\n"
    )
    summary = await load("profiles", content)
    assert outcome_counts(summary) == (2, 0, 3)
    assert reasons_by_line(summary)[4] == "external_id is required: it identifies the row in later imports"
    assert outcome_counts(await load("profiles", content)) == (0, 2, 3)
    assert outcome_counts(await load("profiles", "external_id,first_name\nM1,Ole\nM2,\n")) == (1, 1, 0)
    answer = await load.club.http.get("/api/v3/profiles?sort=external_id")
    first, second = msgspec.json.decode(answer.content)["data"]
    assert (first["first_name"], first["consents"]) == ("Ole", {"sms_marketing": True})
    assert len(first["favorite_stores"]) == 1
    assert (second["first_name"], second["joined_at"]) == ("Kari", "2026-08-03 08:00:00")


@pytest.mark.parametrize("content", ["[1]", "{"])
async def test_rows_of_other_entities_are_validated_too(load: FileLoader, content: str) -> None:
    summary = await load("profiles", f'{{"external_id": "M1"}}\n{content}\n\0\n', name="m.ndjson")
    assert outcome_counts(summary) == (1, 0, 2)
    assert reasons_by_line(summary)[3] == "holds a NUL character"


async def test_locations_are_created_and_updated(load: FileLoader) -> None:
    content = 'external_id,name,address,tags\nS1,North,"{""iso"": ""NO""}","a,b"\nS2,South,"{""iso"": ""XX""}",\n'
    summary = await load("locations", content)
    assert outcome_counts(summary) == (1, 0, 1)
    assert reasons_by_line(summary)[3].startswith("address.iso must be a country")
    assert outcome_counts(await load("locations", content)) == (0, 1, 1)


async def test_a_product_that_can_not_be_written_is_found_by_bisection(load: FileLoader) -> None:
    rows: list[dict[str, Any]] = [
        {"external_id": f"P{n}", "name": f"Shirt {n}", "variants": [{"sku": f"S{n}"}]} for n in range(7)
    ]
    rows[4]["brand_id"] = 999_999_999
    content = "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)
    summary = await load("products", content, name="products.ndjson")
    assert outcome_counts(summary) == (6, 0, 1)
    assert list(reasons_by_line(summary)) == [5]


async def test_products_are_loaded_with_their_brand_and_variants(load: FileLoader) -> None:
    content = (
        "external_id,name,brand,variants\n"
        'P1,Shirt,Tveitun,"[{""sku"": ""S1""}, {""sku"": ""S2""}]"\n'
        'P2,Scarf,"{""name"": ""Tveitun""}",\n'
    )
    assert outcome_counts(await load("products", content)) == (2, 0, 0)
    assert outcome_counts(await load("products", content)) == (0, 2, 0)
    answer = await load.club.http.get("/api/v3/products?sort=external_id")
    first, second = msgspec.json.decode(answer.content)["data"]
    assert (first["brand"]["name"], second["brand"]["name"]) == ("Tveitun", "Tveitun")
    assert [each["sku"] for each in first["variants"]] == ["S1", "S2"]


async def test_a_row_of_a_file_without_ids_is_rejected_by_its_line(load: FileLoader) -> None:
    await load.profiles("M1")
    summary = await load("memberships", "profile,type,at\nM1,in,2026-01-01,more\nM1,in,2026-01-01\n")
    assert outcome_counts(summary) == (1, 0, 1)
    (rejected,) = summary.rejections
    assert (rejected.line, rejected.external_id) == (2, None)
    assert "4 cells" in rejected.reason


async def test_memberships_are_joins_and_leaves_of_existing_profiles(load: FileLoader) -> None:
    await load("profiles", "external_id,joined_at\nM1,2026-01-01\n")
    content = "external_id,profile,type,at\nJ1,M1,out,2026-02-01\nJ2,M1,in,2026-03-01 10:00\nJ3,M9,out,2026-02-01\n"
    summary = await load("memberships", content)
    assert outcome_counts(summary) == (2, 0, 1)
    assert outcome_counts(await load("memberships", content)) == (0, 2, 1)


async def test_a_deleted_member_rejoins_with_the_same_id(load: FileLoader) -> None:
    await load(
        "profiles", "external_id,email,joined_at\nM1,kari@example.com,2026-01-01\nM2,per@example.com,2026-01-01\n"
    )
    ids = [await load.fetchval("SELECT profile_id FROM profiles WHERE external_id = $2", name) for name in ("M1", "M2")]
    for profile_id in ids:
        await load.club.http.delete(f"/api/v3/profiles/{profile_id}")
    before = "external_id,profile,type,at\nJ0,M1,in,2026-02-01\n"
    # It joined before it was deleted.
    assert outcome_counts(await load("memberships", before)) == (1, 0, 0)
    assert (await load.club.http.get(f"/api/v3/profiles/{ids[0]}")).status_code == 404
    load.club.clock.advance(days=2)
    await load.club.http.post("/api/v3/profiles", json={"email": "per@example.com"})
    content = f"external_id,profile,type,at\nJ1,M1,in,2026-11-02 10:00\nJ2,{ids[1]},in,2026-11-02 10:00\n"
    summary = await load("memberships", content)
    assert (outcome_counts(summary), reasons_by_line(summary)) == ((1, 0, 1), {3: "email The email exists"})
    shown = (await load.club.http.get(f"/api/v3/profiles/{ids[0]}")).json()["data"]
    assert (shown["profile_type"], shown["email"]) == ("active", "kari@example.com")
    count = "SELECT count(*) FROM memberships WHERE profile_id = $2 AND is_effective"
    assert await load.fetchval(count, ids[0]) == 3
    answer = await load.club.http.post("/v1/import/memberships", content=content, headers={"Content-Type": "text/csv"})
    assert answer.json()["unchanged"] == 1


def rows_of(rows: Sequence[Mapping[str, object]]) -> Any:
    return lambda: (RawRow(number, msgspec.json.encode(row)) for number, row in enumerate(rows, 1))


async def test_communities_are_created_and_updated_by_slug(club: Club) -> None:
    slug = f"{club.community.slug}-new"
    row = {"slug": slug, "name": "New", "country": "NO", "timezone": "Europe/Oslo", "currency": "NOK"}
    invalid = {**row, "slug": f"{slug}-2", "currency": "XXQ"}
    dry_run = await loader.load_communities(club.database, rows_of([row, invalid, {}]), LoadOptions(dry_run=True))
    assert outcome_counts(dry_run) == (1, 0, 2)
    assert outcome_counts(await loader.load_communities(club.database, rows_of([row, invalid]))) == (1, 0, 1)
    assert outcome_counts(await loader.load_communities(club.database, rows_of([row]))) == (0, 1, 0)
    changed = {**row, "timezone": "Europe/Stockholm", "attributes": {"chain": "New"}}
    assert outcome_counts(await loader.load_communities(club.database, rows_of([changed]))) == (1, 0, 0)
    async with club.database.unscoped_connection() as connection:
        community = await communities.get_by_slug(connection, slug)
    assert (community.timezone, community.attributes) == ("Europe/Stockholm", {"chain": "New"})


@pytest.mark.parametrize(("error", "stops"), [(asyncpg.DiskFullError("x"), LoadStoppedError), (KeyError(), KeyError)])
async def test_a_community_that_can_not_be_stored_now_is_not_rejected(
    club: Club, monkeypatch: pytest.MonkeyPatch, error: Exception, stops: type[Exception]
) -> None:
    async def failing(*arguments: object) -> bool:
        raise error

    monkeypatch.setattr(communities, "upsert", failing)
    row = {"slug": "new", "name": "New", "country": "NO", "timezone": "UTC", "currency": "NOK"}
    with pytest.raises(stops):
        await loader.load_communities(club.database, rows_of([row]))


async def test_a_communitys_currency_is_fixed_after_the_first_transaction(load: FileLoader) -> None:
    community = load.club.community
    row = {"slug": community.slug, "name": "Club", "country": "NO", "timezone": "UTC", "currency": "SEK"}
    assert outcome_counts(await loader.load_communities(load.club.database, rows_of([row]))) == (1, 0, 0)
    await load("transactions", "external_id,profile,transacted_at,total\nT1,,2026-10-01,5\n")
    summary = await loader.load_communities(load.club.database, rows_of([{**row, "currency": "NOK"}]))
    assert reasons_by_line(summary) == {1: "currency is fixed after the first transaction: it is SEK"}
