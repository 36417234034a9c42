"""All aggregations, and the order in which the API returns them."""

from regulars.aggregations.aggregation import AggregationRegistry, ValueGroup
from regulars.aggregations.definitions import brands, dimensions, likely_country, metadata, spend, stores, visits

FIRST_VERSION_ORDER = (
    "profile_id",
    "shop_days",
    "spend_12m",
    "spend_all",
    "spend_atv_12m",
    "spend_atv_all",
    "spend_first_date",
    "spend_last_date",
    "dimension_frequency",
    "dimension_recency",
    "dimension_join",
    "channel",
    "shop_count",
    "store_join",
    "likely_country",
    "likely_country_score",
    "purchased_brands",
    "most_transacted_location",
)
"""Keys of the first version of the API, in its order; newer ones follow."""

_GROUPS = {
    ValueGroup.RECORD: metadata.AGGREGATIONS,
    ValueGroup.SPEND: spend.AGGREGATIONS,
    ValueGroup.PURCHASES: visits.AGGREGATIONS,
    ValueGroup.DIMENSIONS: dimensions.AGGREGATIONS,
    ValueGroup.STORES: stores.AGGREGATIONS,
    ValueGroup.COUNTRY: likely_country.AGGREGATIONS,
    ValueGroup.BRANDS: brands.AGGREGATIONS,
}

GROUPS = {each.name: group for group, declared in _GROUPS.items() for each in declared}
"""What the aggregations are about, by name."""

_DECLARED = tuple(each for declared in _GROUPS.values() for each in declared)


def _position(name: str) -> tuple[int, bool]:
    # calculated_at comes last.
    position = FIRST_VERSION_ORDER.index(name) if name in FIRST_VERSION_ORDER else len(FIRST_VERSION_ORDER)
    return position, name == "calculated_at"


REGISTRY = AggregationRegistry(
    aggregations=tuple(sorted(_DECLARED, key=lambda each: _position(each.name))),
    measures=(*spend.MEASURES, *visits.MEASURES, *dimensions.MEASURES, *stores.MEASURES, *likely_country.MEASURES),
    relations=(*spend.RELATIONS, *visits.RELATIONS, *stores.RELATIONS, *likely_country.RELATIONS),
)
