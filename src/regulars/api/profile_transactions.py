"""The transactions of one profile over HTTP: listed, by local date, and by what was bought."""

from regulars.access import permits
from regulars.api.endpoint import Call, Caller, Endpoint, page
from regulars.api.transaction_includes import INCLUDES, include, include_products, included
from regulars.facts import community as communities
from regulars.facts import profile_lookup, purchases
from regulars.facts.purchases import PURCHASED_PRODUCTS
from regulars.facts.resource import listed, listing
from regulars.facts.transactions import TRANSACTIONS

_OF_ANY = "/api/v3/profiles/{id}"
_OWN = "/id/api/v1/profiles/me"


async def _list(call: Call) -> dict[str, object]:
    asked, names, profile_id = listing(TRANSACTIONS, call.query), included(call), call.uuid()
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        things, total = await listed(TRANSACTIONS, scope, asked, "r.profile_id = {0}", profile_id)
        await include(scope, things, names)
    return page(call, things, total, asked.page.number, asked.page.size)


async def _products(call: Call) -> dict[str, object]:
    asked, profile_id = listing(PURCHASED_PRODUCTS, call.query), call.uuid()
    async with call.server.database.reading(call.community_id) as scope:
        await profile_lookup.living(scope, profile_id)
        things, total = await listed(PURCHASED_PRODUCTS, scope, asked, "r.profile_id = {0}", profile_id)
        await include_products(scope, things)
    return page(call, things, total, asked.page.number, asked.page.size)


async def _groups(call: Call) -> dict[str, object]:
    """The profile's transactions by local date, the latest first; a page holds dates.

    Each is `{date, total, transactions_count, transactions}`. The total is what the date came to in the
    community's currency, void transactions left out. Filters are those of the list.
    """
    asked, names, profile_id = listing(TRANSACTIONS, call.query), included(call), call.uuid()
    async with call.server.database.reading(call.community_id) as scope:
        community = await communities.by_id(scope.connection, call.community_id)
        await profile_lookup.living(scope, profile_id)
        days, total = await purchases.by_local_date(scope, community, profile_id, asked)
        await include(scope, [each for day in days for each in day["transactions"]], names)
    return page(call, days, total, asked.page.number, asked.page.size)


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
                reads=_list,
                shows=TRANSACTIONS,
                lists=True,
                query=INCLUDES,
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
            reads=_groups,
            query=INCLUDES,
            caller=caller,
            permit=permits.TRANSACTION_READ,
            subject=subject,
            tag=tag,
        ),
        Endpoint(
            "GET",
            f"{at}/transaction-products",
            "List what a profile has bought",
            reads=_products,
            shows=PURCHASED_PRODUCTS,
            lists=True,
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
