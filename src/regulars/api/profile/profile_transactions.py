"""The transactions of one profile: as a list, by local date, and by purchased product."""

from dataclasses import replace
from typing import Any

from regulars.api.profile import response_schemas
from regulars.api.profile.transaction_includes import INCLUDES, add_includes, add_products, parse_includes
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.core.errors import NotFoundError
from regulars.model import community as communities
from regulars.model.profiles import lookup
from regulars.model.resource import PageRequest, fetch_page, parse_list_query
from regulars.model.transactions import purchased_products
from regulars.model.transactions.purchased_products import PURCHASED_PRODUCTS
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope

_PROFILE_PATH = "/api/v3/profiles/{id}"
_MEMBER_PATH = "/id/api/v1/profiles/me"


async def _list(context: RequestContext) -> dict[str, object]:
    query, names, profile_id = (
        parse_list_query(TRANSACTIONS, context.query_params),
        parse_includes(context),
        context.path_uuid(),
    )
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        rows, total = await fetch_page(TRANSACTIONS, scope, query, "r.profile_id = {0}", profile_id)
        await add_includes(scope, rows, names)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _find(context: RequestContext) -> dict[str, object]:
    """The latest transaction of a profile that the filters select. Raises NotFoundError if there is none."""
    query, names, profile_id = (
        parse_list_query(TRANSACTIONS, {"sort": "-transacted_at", **context.query_params}),
        parse_includes(context),
        context.path_uuid(),
    )
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        rows, _ = await fetch_page(
            TRANSACTIONS, scope, replace(query, page=PageRequest(1, 1)), "r.profile_id = {0}", profile_id
        )
        if not rows:
            raise NotFoundError("The profile has no transaction that the filters select.")
        await add_includes(scope, rows, names)
    return data_envelope(rows[0])


async def _read(context: RequestContext) -> dict[str, object]:
    names, profile_id = parse_includes(context), context.path_uuid()
    transaction_id = context.path_integer("transaction_id")
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        shown = await TRANSACTIONS.fetch_one(scope, transaction_id)
        if shown["profile_id"] != profile_id:
            raise NotFoundError(f"There is no transaction {transaction_id} of this profile.")
        await add_includes(scope, [shown], names)
    return data_envelope(shown)


async def _products(context: RequestContext) -> dict[str, object]:
    query, profile_id = parse_list_query(PURCHASED_PRODUCTS, context.query_params), context.path_uuid()
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        rows, total = await fetch_page(PURCHASED_PRODUCTS, scope, query, "r.profile_id = {0}", profile_id)
        await add_products(scope, rows)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _by_date(context: RequestContext) -> dict[str, object]:
    """A page of local dates with the profile's transactions, latest date first.

    Each date is `{date, total, transactions_count, transactions}`. The total is in the community's currency, without
    void transactions. The filters are those of the list.
    """
    query, names, profile_id = (
        parse_list_query(TRANSACTIONS, context.query_params),
        parse_includes(context),
        context.path_uuid(),
    )
    async with context.app.database.read_transaction(context.community_id) as scope:
        community = await communities.get_by_id(scope.connection, context.community_id)
        await lookup.require_active(scope, profile_id)
        days, total = await purchased_products.page_by_local_date(scope, community, profile_id, query)
        await add_includes(scope, [each for day in days for each in day["transactions"]], names)
    return page_envelope(context, days, total, query.page.number, query.page.size)


def _endpoints(base_path: str, caller: Caller, subject: str, tag: str) -> tuple[Endpoint, ...]:
    def endpoint(path: str, summary: str, **options: Any) -> Endpoint:
        return Endpoint(
            "GET",
            f"{base_path}/{path}",
            summary,
            caller=caller,
            permit=permits.TRANSACTION_READ,
            subject=subject,
            tag=tag,
            audit=None if caller is Caller.MEMBER else audit_rules.READ_PROFILE,
            **options,
        )

    return (
        endpoint(
            "transactions",
            "List a profile's transactions",
            read_handler=_list,
            resource=TRANSACTIONS,
            is_list=True,
            query_params=INCLUDES,
        ),
        endpoint(
            "transactions/{transaction_id}",
            "Get a transaction of a profile",
            read_handler=_read,
            resource=TRANSACTIONS,
            query_params=INCLUDES,
        ),
        endpoint(
            "find-transactions",
            "Find a profile's latest transaction that the filters select",
            read_handler=_find,
            resource=TRANSACTIONS,
            is_search=True,
            may_return_404=True,
            query_params=INCLUDES,
        ),
        endpoint(
            "group_transactions",
            "List a profile's transactions by local date",
            read_handler=_by_date,
            schema=response_schemas.TRANSACTION_DAYS,
            is_paged=True,
            query_params=INCLUDES,
        ),
        endpoint(
            "transaction-products",
            "List the products that a profile has bought",
            read_handler=_products,
            resource=PURCHASED_PRODUCTS,
            is_list=True,
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    *_endpoints(_PROFILE_PATH, Caller.COMMUNITY, "id", "transactions"),
    *_endpoints(_MEMBER_PATH, Caller.MEMBER, "", "members"),
)
