"""Resolution of tenants from the headers of a request, always within the scope of the token."""

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
    """An organization with customers in two countries, one of them with two clubs; and a club of another organization."""

    database: Database
    oslo: Community
    bergen: Community
    both: tuple[Community, Community]
    foreign: Community

    @property
    def scope(self) -> TenantScope:
        """The scope of a token of the organization."""
        return TenantScope(self.oslo.organization_id)

    @property
    def pair(self) -> int:
        """The id of the customer with two clubs."""
        return self.both[0].id

    async def select(
        self, x_customer: str | None = None, slug: str | None = None, scope: TenantScope | None = None
    ) -> set[str]:
        """Returns the slugs of the selected clubs."""
        found = await self.resolve([] if x_customer is None else [x_customer], [] if slug is None else [slug], scope)
        return {each.slug for each in found}

    async def resolve(
        self, x_customer: Sequence[str], slugs: Sequence[str], scope: TenantScope | None = None
    ) -> tuple[Tenant, ...]:
        """Returns the selected tenants, ordered."""
        async with self.database.unscoped_connection() as connection:
            return await resolve_tenants(connection, scope or self.scope, x_customer, slugs)

    async def denied(
        self, x_customer: str | None = None, slug: str | None = None, scope: TenantScope | None = None
    ) -> AccessDenied:
        """Returns the error of a selection."""
        with pytest.raises(AccessDenied) as error:
            await self.select(x_customer, slug, scope)
        return error.value


@pytest_asyncio.fixture
async def mall(database: Database, clock: ManualClock) -> AsyncIterator[Mall]:
    """A new mall."""
    number = next(_numbers)

    async def create(name: str, country: str, organization: str, **options: Any) -> Community:
        new = NewCommunity(
            slug=f"{name}-{number}",
            name=name.capitalize(),
            country=country,
            timezone="UTC",
            currency="NOK" if country == "NO" else "EUR",
            organization=f"{organization} {number}",
            **options,
        )
        async with database.unscoped_connection() as connection:
            return await communities.create(connection, new, clock())

    oslo = await create("oslo", "NO", "Mall", attributes={"chain": "Cats", "size": "7"})
    bergen = await create("bergen", "NO", "Mall", attributes={"chain": "Køff & Co"})
    first = await create("poznan", "PL", "Mall", attributes={"chain": "Cats"})
    second = await create("krakow", "PL", "Mall", customer_id=first.id)
    foreign = await create("foreign", "NO", "Other", attributes={"chain": "Cats", "secret": "yes"})
    yield Mall(database, oslo, bergen, (first, second), foreign)


def slugs(*found: Community) -> set[str]:
    return {each.slug for each in found}


# Selection --------------------------------------------------------------------------------------------------


async def test_ids_select_all_clubs_of_these_customers(mall: Mall) -> None:
    assert await mall.select(f"id={mall.oslo.id}") == slugs(mall.oslo)
    assert await mall.select(str(mall.oslo.id)) == slugs(mall.oslo)
    assert await mall.select(f"id={mall.pair}") == slugs(*mall.both)
    several = f"id={mall.bergen.id}_{mall.pair}_{mall.bergen.id}"
    assert await mall.select(several) == slugs(mall.bergen, *mall.both)


async def test_all_and_attributes_select_within_the_scope(mall: Mall) -> None:
    assert await mall.select("all=all") == slugs(mall.oslo, mall.bergen, *mall.both)
    assert await mall.select("chain=Cats") == slugs(mall.oslo, mall.both[0])
    assert await mall.select("chain=Cats;country=NO") == slugs(mall.oslo)
    assert await mall.select("country=PL") == slugs(*mall.both)
    assert await mall.select("currency=NOK;timezone=UTC") == slugs(mall.oslo, mall.bergen)
    assert await mall.select("chain=Køff & Co") == slugs(mall.bergen)
    assert await mall.select("name=Oslo") == await mall.select(f"slug={mall.oslo.slug}") == slugs(mall.oslo)
    assert await mall.select("size=7") == slugs(mall.oslo)
    assert await mall.select(f"id={mall.oslo.id}_{mall.pair};country=PL") == slugs(*mall.both)


async def test_attributes_that_match_no_customer_are_403(mall: Mall) -> None:
    for text in ("secret=yes", "chain=Dogs", "none=such", f"id={mall.oslo.id};country=PL"):
        assert (await mall.denied(text)).status == 403


async def test_a_customer_outside_the_scope_is_403_whether_it_exists_or_not(mall: Mall) -> None:
    answers = {
        (denied.status, denied.message)
        for ids in (mall.foreign.id, 2_000_000_000, 0, 2**31 - 1, 2**31, "9" * 400, f"{mall.oslo.id}_{mall.foreign.id}")
        for denied in [await mall.denied(f"id={ids}")]
    }
    assert answers == {(403, "The token has no access to some of the customers in X-Customer.")}


async def test_ten_thousand_ids_are_handled(mall: Mall) -> None:
    many = "_".join(str(10**9 + number) for number in range(10_000))
    assert (await mall.denied(f"id={many}")).status == 403
    assert (await mall.denied(f"id={mall.oslo.id}_{many}")).status == 403
    assert await mall.select(f"id={'_'.join([str(mall.oslo.id)] * 10_000)}") == slugs(mall.oslo)


async def test_a_slug_selects_one_club(mall: Mall) -> None:
    assert await mall.select(slug=mall.both[1].slug) == slugs(mall.both[1])
    answers = {
        (denied.status, denied.message)
        for slug in (mall.foreign.slug, "no-such-club")
        for denied in [await mall.denied(slug=slug)]
    }
    assert answers == {(403, "The token has no access to the loyalty club in X-Loyalty-Club-Slug.")}
    assert (await mall.denied(slug="")).status == 471


async def test_two_headers_must_agree(mall: Mall) -> None:
    second = mall.both[1]
    assert await mall.select(f"id={mall.pair}", second.slug) == slugs(second)
    assert (await mall.denied(f"id={mall.oslo.id}", second.slug)).status == 471
    assert (await mall.denied("all=all", second.slug)).status == 471
    # The scope is checked first, so the other header reveals nothing.
    assert (await mall.denied(f"id={mall.foreign.id}", mall.foreign.slug)).status == 403
    assert (await mall.denied(f"id={mall.oslo.id}", mall.foreign.slug)).status == 403


async def test_missing_headers_are_470_and_repeated_ones_must_have_one_value(mall: Mall) -> None:
    assert (await mall.denied()).status == 470
    one, other = f"id={mall.oslo.id}", f"id={mall.bergen.id}"
    assert {each.slug for each in await mall.resolve([one, one], [])} == slugs(mall.oslo)
    for x_customer, clubs in ([one, other], [""]), ([one], [mall.oslo.slug, mall.bergen.slug]):
        with pytest.raises(AccessDenied, match="more than once") as denied:
            await mall.resolve(x_customer, clubs)
        assert denied.value.status == 471


async def test_tenants_are_ordered_by_id_and_complete(mall: Mall) -> None:
    async with mall.database.unscoped_connection() as connection:
        name = await connection.fetchval("SELECT name FROM organizations WHERE id = $1", mall.oslo.organization_id)
        await update(connection, name, {"min_cell_size": 5})
    found = await mall.resolve(["all=all"], [])
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


@property_test(60)
@given(
    x_customer=st.lists(st.lists(st.sampled_from(_PIECES), max_size=6).map("".join), max_size=2),
    slugs=st.lists(st.sampled_from(["{oslo_slug}", "{foreign_slug}", "", "x'"]), max_size=2),
)
async def test_any_headers_select_within_the_scope_or_are_denied(
    mall: Mall, x_customer: list[str], slugs: list[str]
) -> None:
    names = {"oslo": mall.oslo.id, "bergen": mall.bergen.id, "pair": mall.pair, "foreign": mall.foreign.id}
    by_slug = {"oslo_slug": mall.oslo.slug, "foreign_slug": mall.foreign.slug}
    sent = [[each.format(**names, **by_slug) for each in pieces] for pieces in (x_customer, slugs)]
    status, organizations = 200, set[int]()
    try:
        organizations = {each.organization_id for each in await mall.resolve(sent[0], sent[1])}
    except AccessDenied as denied:
        status = denied.status
    if not x_customer and not slugs:
        assert status == 470
    else:
        assert status in (200, 403, 471)
        assert organizations == ({mall.oslo.organization_id} if status == 200 else set())


# Scope ------------------------------------------------------------------------------------------------------


async def test_a_token_can_be_limited_to_slugs(mall: Mall) -> None:
    scope = TenantScope(mall.oslo.organization_id, None, (mall.oslo.slug, mall.both[0].slug, mall.foreign.slug))
    assert await mall.select("all=all", scope=scope) == slugs(mall.oslo, mall.both[0])
    # Only the clubs of the customer that are in the scope.
    assert await mall.select(f"id={mall.pair}", scope=scope) == slugs(mall.both[0])
    assert (await mall.denied(f"id={mall.bergen.id}", scope=scope)).status == 403
    assert (await mall.denied(slug=mall.foreign.slug, scope=scope)).status == 403
    none = TenantScope(mall.oslo.organization_id, None, ())
    assert (await mall.denied("all=all", scope=none)).status == 403


async def test_a_token_can_be_limited_to_a_community(mall: Mall) -> None:
    scope = TenantScope(mall.oslo.organization_id, mall.both[1].id)
    assert await mall.select("all=all", scope=scope) == slugs(mall.both[1])
    assert await mall.select(f"id={mall.pair}", scope=scope) == slugs(mall.both[1])
    assert (await mall.denied(slug=mall.both[0].slug, scope=scope)).status == 403


async def test_an_empty_scope_covers_all_organizations(mall: Mall) -> None:
    found = await mall.select("all=all", scope=TenantScope())
    assert slugs(mall.oslo, mall.foreign) <= found
    assert await mall.select(slug=mall.foreign.slug, scope=TenantScope()) == slugs(mall.foreign)
