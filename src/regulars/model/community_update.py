"""Updates a community within a unit of work, so that values computed by its old settings are invalidated."""

from regulars.model.community import Community, NewCommunity, apply_changes, get_by_id
from regulars.model.unit_of_work import UnitOfWork


async def update_community(
    uow: UnitOfWork,
    *,
    name: str | None = None,
    country: str | None = None,
    timezone: str | None = None,
    currency: str | None = None,
) -> Community:
    """Updates the fields that are not None and returns the community.

    A new time zone or currency invalidates every profile's values. Raises ValidationError by field; the currency is
    fixed after the first transaction.
    """
    before = await get_by_id(uow.connection, uow.community_id)
    new = NewCommunity(
        before.slug,
        before.name if name is None else name,
        before.country if country is None else country,
        before.timezone if timezone is None else timezone,
        before.currency if currency is None else currency,
    )
    _, affects_values = await apply_changes(uow.connection, before, new, uow.now)
    if affects_values:
        uow.invalidate_values()
    return await get_by_id(uow.connection, uow.community_id)
