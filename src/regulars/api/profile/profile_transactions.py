"""The transactions of one profile over HTTP: listed, by local date, and by what was bought."""

from regulars.api.profile.transaction_includes import INCLUDES, add_includes, add_products, parse_includes
from regulars.auth import permits
from regulars.auth.authorization import Caller
from regulars.model import community as communities
from regulars.model.profiles import lookup
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.transactions import purchased_products
from regulars.model.transactions.purchased_products import PURCHASED_PRODUCTS
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import page_envelope

_OF_ANY = "/api/v3/profiles/{id}"
_OWN = "/id/api/v1/profiles/me"


async def _list(call: RequestContext) -> dict[str, object]:
    asked, names, profile_id = parse_list_query(TRANSACTIONS, call.query_params), parse_includes(call), call.path_uuid()
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        things, total = await fetch_page(TRANSACTIONS, scope, asked, "r.profile_id = {0}", profile_id)
        await add_includes(scope, things, names)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def _products(call: RequestContext) -> dict[str, object]:
    asked, profile_id = parse_list_query(PURCHASED_PRODUCTS, call.query_params), call.path_uuid()
    async with call.app.database.read_transaction(call.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        things, total = await fetch_page(PURCHASED_PRODUCTS, scope, asked, "r.profile_id = {0}", profile_id)
        await add_products(scope, things)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def _groups(call: RequestContext) -> dict[str, object]:
    """The profile's transactions by local date, the latest first; a page holds dates.

    Each is `{date, total, transactions_count, transactions}`. The total is what the date came to in the
    community's currency, void transactions left out. Filters are those of the list.
    """
    asked, names, profile_id = parse_list_query(TRANSACTIONS, call.query_params), parse_includes(call), call.path_uuid()
    async with call.app.database.read_transaction(call.community_id) as scope:
        community = await communities.get_by_id(scope.connection, call.community_id)
        await lookup.require_active(scope, profile_id)
        days, total = await purchased_products.page_by_local_date(scope, community, profile_id, asked)
        await add_includes(scope, [each for day in days for each in day["transactions"]], names)
    return page_envelope(call, days, total, asked.page.number, asked.page.size)


def _endpoints(at: str, caller: Caller, subject: str, tag: str) -> tuple[Endpoint, ...]:
    lists = {
        "transactions": "List a profile's transactions",
        "find-transactions": "Find among a profile's transactions",
    }
    return (
        *(
            Endpoint(
                "GET",
                f"{at}/{path}",
                summary,
                read_handler=_list,
                resource=TRANSACTIONS,
                is_list=True,
                query_params=INCLUDES,
                caller=caller,
                permit=permits.TRANSACTION_READ,
                subject=subject,
                tag=tag,
            )
            for path, summary in lists.items()
        ),
        Endpoint(
            "GET",
            f"{at}/group_transactions",
            "List a profile's transactions by local date",
            read_handler=_groups,
            query_params=INCLUDES,
            caller=caller,
            permit=permits.TRANSACTION_READ,
            subject=subject,
            tag=tag,
        ),
        Endpoint(
            "GET",
            f"{at}/transaction-products",
            "List what a profile has bought",
            read_handler=_products,
            resource=PURCHASED_PRODUCTS,
            is_list=True,
            caller=caller,
            permit=permits.TRANSACTION_READ,
            subject=subject,
            tag=tag,
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    *_endpoints(_OF_ANY, Caller.COMMUNITY, "id", "transactions"),
    *_endpoints(_OWN, Caller.MEMBER, "", "members"),
)
