"""Every aggregation there is, by family, and the order in which they go out."""

from regulars.aggregations.aggregation import Registry
from regulars.aggregations.definitions import brands, country, dimensions, places, row, shopping, spend

SEED_ORDER = (
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
    *row.AGGREGATIONS,
    *spend.AGGREGATIONS,
    *shopping.AGGREGATIONS,
    *dimensions.AGGREGATIONS,
    *places.AGGREGATIONS,
    *country.AGGREGATIONS,
    *brands.AGGREGATIONS,
)


def _position(name: str) -> tuple[int, bool]:
    # The instant that all of them are true for comes last.
    place = SEED_ORDER.index(name) if name in SEED_ORDER else len(SEED_ORDER)
    return place, name == "calculated_at"


REGISTRY = Registry(
    aggregations=tuple(sorted(_DECLARED, key=lambda each: _position(each.name))),
    measures=(*spend.MEASURES, *shopping.MEASURES, *dimensions.MEASURES, *places.MEASURES, *country.MEASURES),
    relations=(*shopping.RELATIONS, *places.RELATIONS, *country.RELATIONS),
)
