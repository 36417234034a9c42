"""Which customers a request is about, in every form of the headers, and never one that is out of reach."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from clubs import ManualClock
from hypothesis_settings import property_test
from postgres_servers import on_both_servers
from regulars.auth.errors import AccessDenied
from regulars.auth.organizations import update
from regulars.auth.tenants import Tenant, TenantScope, resolve_tenants
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.storage.database import Database

pytestmark = on_both_servers

_numbers = itertools.count(1)


@dataclass
class Mall:
    """An organization with customers in two countries, one of which owns two clubs; and another organization's."""

    database: Database
    oslo: Community
    bergen: Community
    both: tuple[Community, Community]
    foreign: Community

    @property
    def reach(self) -> TenantScope:
        """Of a token of the organization."""
        return TenantScope(self.oslo.organization_id)

    @property
    def pair(self) -> int:
        """The customer that owns two clubs."""
        return self.both[0].id

    async def chosen(
        self, x_customer: str | None = None, slug: str | None = None, within: TenantScope | None = None
    ) -> set[str]:
        """The slugs of the clubs that headers choose."""
        found = await self.of_headers(
            [] if x_customer is None else [x_customer], [] if slug is None else [slug], within
        )
        return {each.slug for each in found}

    async def of_headers(
        self, x_customer: Sequence[str], slugs: Sequence[str], within: TenantScope | None = None
    ) -> tuple[Tenant, ...]:
        """The clubs that headers choose."""
        async with self.database.unscoped_connection() as connection:
            return await resolve_tenants(connection, within or self.reach, x_customer, slugs)

    async def denied(
        self, x_customer: str | None = None, slug: str | None = None, within: TenantScope | None = None
    ) -> AccessDenied:
        """Why headers choose nothing."""
        with pytest.raises(AccessDenied) as denied:
            await self.chosen(x_customer, slug, within)
        return denied.value


@pytest_asyncio.fixture
async def mall(database: Database, clock: ManualClock) -> AsyncIterator[Mall]:
    """A fresh one."""
    number = next(_numbers)

    async def made(name: str, country: str, organization: str, **more: Any) -> Community:
        new = NewCommunity(
            slug=f"{name}-{number}",
            name=name.capitalize(),
            country=country,
            timezone="UTC",
            currency="NOK" if country == "NO" else "EUR",
            organization=f"{organization} {number}",
            **more,
        )
        async with database.unscoped_connection() as connection:
            return await communities.create(connection, new, clock())

    oslo = await made("oslo", "NO", "Mall", attributes={"chain": "Cats", "size": "7"})
    bergen = await made("bergen", "NO", "Mall", attributes={"chain": "Køff & Co"})
    first = await made("poznan", "PL", "Mall", attributes={"chain": "Cats"})
    second = await made("krakow", "PL", "Mall", customer_id=first.id)
    foreign = await made("foreign", "NO", "Other", attributes={"chain": "Cats", "secret": "yes"})
    yield Mall(database, oslo, bergen, (first, second), foreign)


def slugs(*found: Community) -> set[str]:
    return {each.slug for each in found}


# Who that is -------------------------------------------------------------------------------------------------


async def test_ids_choose_all_clubs_of_these_customers(mall: Mall) -> None:
    assert await mall.chosen(f"id={mall.oslo.id}") == slugs(mall.oslo)
    assert await mall.chosen(str(mall.oslo.id)) == slugs(mall.oslo)
    assert await mall.chosen(f"id={mall.pair}") == slugs(*mall.both)
    several = f"id={mall.bergen.id}_{mall.pair}_{mall.bergen.id}"
    assert await mall.chosen(several) == slugs(mall.bergen, *mall.both)


async def test_all_and_filters_choose_among_those_that_are_reached(mall: Mall) -> None:
    assert await mall.chosen("all=all") == slugs(mall.oslo, mall.bergen, *mall.both)
    assert await mall.chosen("chain=Cats") == slugs(mall.oslo, mall.both[0])
    assert await mall.chosen("chain=Cats;country=NO") == slugs(mall.oslo)
    assert await mall.chosen("country=PL") == slugs(*mall.both)
    assert await mall.chosen("currency=NOK;timezone=UTC") == slugs(mall.oslo, mall.bergen)
    assert await mall.chosen("chain=Køff & Co") == slugs(mall.bergen)
    assert await mall.chosen("name=Oslo") == await mall.chosen(f"slug={mall.oslo.slug}") == slugs(mall.oslo)
    assert await mall.chosen("size=7") == slugs(mall.oslo)
    assert await mall.chosen(f"id={mall.oslo.id}_{mall.pair};country=PL") == slugs(*mall.both)


async def test_a_filter_that_fits_nobody_within_reach_is_403(mall: Mall) -> None:
    for text in ("secret=yes", "chain=Dogs", "none=such", f"id={mall.oslo.id};country=PL"):
        assert (await mall.denied(text)).status == 403


async def test_a_customer_out_of_reach_is_403_whether_it_exists_or_not(mall: Mall) -> None:
    answers = {
        (denied.status, denied.message)
        for ids in (mall.foreign.id, 2_000_000_000, 0, 2**31 - 1, 2**31, "9" * 400, f"{mall.oslo.id}_{mall.foreign.id}")
        for denied in [await mall.denied(f"id={ids}")]
    }
    assert answers == {(403, "The token does not reach every customer that X-Customer names.")}


async def test_ten_thousand_ids_are_no_more_than_many(mall: Mall) -> None:
    many = "_".join(str(10**9 + number) for number in range(10_000))
    assert (await mall.denied(f"id={many}")).status == 403
    assert (await mall.denied(f"id={mall.oslo.id}_{many}")).status == 403
    assert await mall.chosen(f"id={'_'.join([str(mall.oslo.id)] * 10_000)}") == slugs(mall.oslo)


async def test_a_slug_chooses_one_club(mall: Mall) -> None:
    assert await mall.chosen(slug=mall.both[1].slug) == slugs(mall.both[1])
    answers = {
        (denied.status, denied.message)
        for slug in (mall.foreign.slug, "no-such-club")
        for denied in [await mall.denied(slug=slug)]
    }
    assert answers == {(403, "The token does not reach the loyalty club that X-Loyalty-Club-Slug names.")}
    assert (await mall.denied(slug="")).status == 471


async def test_two_headers_must_agree(mall: Mall) -> None:
    second = mall.both[1]
    assert await mall.chosen(f"id={mall.pair}", second.slug) == slugs(second)
    assert (await mall.denied(f"id={mall.oslo.id}", second.slug)).status == 471
    assert (await mall.denied("all=all", second.slug)).status == 471
    # What is out of reach is told first: nothing is learnt from the other header.
    assert (await mall.denied(f"id={mall.foreign.id}", mall.foreign.slug)).status == 403
    assert (await mall.denied(f"id={mall.oslo.id}", mall.foreign.slug)).status == 403


async def test_a_header_that_is_missing_is_470_and_one_that_came_twice_must_agree_with_itself(mall: Mall) -> None:
    assert (await mall.denied()).status == 470
    one, other = f"id={mall.oslo.id}", f"id={mall.bergen.id}"
    assert {each.slug for each in await mall.of_headers([one, one], [])} == slugs(mall.oslo)
    for x_customer, clubs in ([one, other], [""]), ([one], [mall.oslo.slug, mall.bergen.slug]):
        with pytest.raises(AccessDenied, match="more than once") as denied:
            await mall.of_headers(x_customer, clubs)
        assert denied.value.status == 471


async def test_customers_come_in_the_order_of_their_ids_with_what_reports_need(mall: Mall) -> None:
    async with mall.database.unscoped_connection() as connection:
        name = await connection.fetchval("SELECT name FROM organizations WHERE id = $1", mall.oslo.organization_id)
        await update(connection, name, {"min_cell_size": 5})
    found = await mall.of_headers(["all=all"], [])
    assert [each.community_id for each in found] == sorted(each.community_id for each in found)
    assert found[0] == Tenant(
        community_id=mall.oslo.id,
        loyalty_club_id=mall.oslo.id,
        customer_id=mall.oslo.id,
        organization_id=mall.oslo.organization_id,
        slug=mall.oslo.slug,
        name="Oslo",
        timezone="UTC",
        currency="NOK",
        minor_digits=2,
        attributes={"chain": "Cats", "size": "7"},
        min_cell_size=5,
    )
    assert found[-1].customer_id == mall.pair


_PIECES = (
    *("id=", "all=all", "all", "_", ";", "=", "chain", "Cats", "country", "NO", "PL", "secret=yes", "name=Foreign"),
    *("{oslo}", "{bergen}", "{pair}", "{foreign}", "0", "2147483648", "é", " ", "'", "%", "\\", "\N{SNOWMAN}"),
)


@property_test(150)
@given(
    x_customer=st.lists(st.lists(st.sampled_from(_PIECES), max_size=6).map("".join), max_size=2),
    slugs=st.lists(st.sampled_from(["{oslo_slug}", "{foreign_slug}", "", "x'"]), max_size=2),
)
async def test_whatever_the_headers_say_they_choose_within_reach_or_are_denied(
    mall: Mall, x_customer: list[str], slugs: list[str]
) -> None:
    names = {"oslo": mall.oslo.id, "bergen": mall.bergen.id, "pair": mall.pair, "foreign": mall.foreign.id}
    by_slug = {"oslo_slug": mall.oslo.slug, "foreign_slug": mall.foreign.slug}
    sent = [[each.format(**names, **by_slug) for each in given] for given in (x_customer, slugs)]
    status, organizations = 200, set[int]()
    try:
        organizations = {each.organization_id for each in await mall.of_headers(sent[0], sent[1])}
    except AccessDenied as denied:
        status = denied.status
    if not x_customer and not slugs:
        assert status == 470
    else:
        assert status in (200, 403, 471)
        assert organizations == ({mall.oslo.organization_id} if status == 200 else set())


# What a token reaches ----------------------------------------------------------------------------------------


async def test_a_token_of_some_slugs_reaches_those(mall: Mall) -> None:
    within = TenantScope(mall.oslo.organization_id, None, (mall.oslo.slug, mall.both[0].slug, mall.foreign.slug))
    assert await mall.chosen("all=all", within=within) == slugs(mall.oslo, mall.both[0])
    # Of a customer's clubs those that are reached.
    assert await mall.chosen(f"id={mall.pair}", within=within) == slugs(mall.both[0])
    assert (await mall.denied(f"id={mall.bergen.id}", within=within)).status == 403
    assert (await mall.denied(slug=mall.foreign.slug, within=within)).status == 403
    none = TenantScope(mall.oslo.organization_id, None, ())
    assert (await mall.denied("all=all", within=none)).status == 403


async def test_a_token_of_one_community_reaches_that_one(mall: Mall) -> None:
    within = TenantScope(mall.oslo.organization_id, mall.both[1].id)
    assert await mall.chosen("all=all", within=within) == slugs(mall.both[1])
    assert await mall.chosen(f"id={mall.pair}", within=within) == slugs(mall.both[1])
    assert (await mall.denied(slug=mall.both[0].slug, within=within)).status == 403


async def test_an_operator_reaches_all_organizations(mall: Mall) -> None:
    found = await mall.chosen("all=all", within=TenantScope())
    assert slugs(mall.oslo, mall.foreign) <= found
    assert await mall.chosen(slug=mall.foreign.slug, within=TenantScope()) == slugs(mall.foreign)
