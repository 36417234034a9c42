"""Every aggregation there is, by family, and the order in which they go out."""

from regulars.aggregations.aggregation import AggregationRegistry
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
"""The keys of the first version of the API, in its order; newer ones follow by family."""

_DECLARED = (
    *metadata.AGGREGATIONS,
    *spend.AGGREGATIONS,
    *visits.AGGREGATIONS,
    *dimensions.AGGREGATIONS,
    *stores.AGGREGATIONS,
    *likely_country.AGGREGATIONS,
    *brands.AGGREGATIONS,
)


def _position(name: str) -> tuple[int, bool]:
    # The instant that all of them are true for comes last.
    place = FIRST_VERSION_ORDER.index(name) if name in FIRST_VERSION_ORDER else len(FIRST_VERSION_ORDER)
    return place, name == "calculated_at"


REGISTRY = AggregationRegistry(
    aggregations=tuple(sorted(_DECLARED, key=lambda each: _position(each.name))),
    measures=(*spend.MEASURES, *visits.MEASURES, *dimensions.MEASURES, *stores.MEASURES, *likely_country.MEASURES),
    relations=(*visits.RELATIONS, *stores.RELATIONS, *likely_country.RELATIONS),
)
