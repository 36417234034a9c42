"""Stores that a profile shops at."""

from regulars.aggregations.aggregation import Aggregation, Relation, SharedMeasure
from regulars.aggregations.definitions.relations import (
    HISTORY,
    IN_LAST_12M,
    NEXT_FUTURE_FACT,
    SALE_LEAVES_24M_WINDOW,
)
from regulars.core.field_type import FieldType

STORE_TOTALS = Relation(
    "places",
    "One row for each location of the profile's transactions with an amount: its sales, its net spend, and its rank "
    "among the profile's locations, which is higher for a later last sale, then for an earlier location in order.",
    """
    SELECT visits.k, visits.location_id, sales, sales_24m, net,
           locations.external_id, locations.country, locations.iso_state, locations.state,
           store_rank(visits.k, last_sale_at, locations.external_id, visits.location_id) AS store_rank
    FROM (
        SELECT k, location_id,
               count(*) FILTER (WHERE is_sale) AS sales,
               count(*) FILTER (WHERE is_sale AND within_24m) AS sales_24m,
               sum(amount) AS net,
               max(transacted_at) FILTER (WHERE is_sale) AS last_sale_at
        FROM history
        WHERE location_id IS NOT NULL AND has_amount
        GROUP BY k, location_id
    ) AS visits
    JOIN locations ON locations.location_id = visits.location_id
    """,
)

STORE_TOTALS_12M = Relation(
    "places_12m",
    "One row for each location of `last_12m`: its net spend there, and its rank among the profile's locations.",
    """
    SELECT spent.k, spent.location_id, spent.net_12m, places.store_rank
    FROM (
        SELECT k, location_id, sum(amount) AS net_12m
        FROM last_12m
        WHERE location_id IS NOT NULL
        GROUP BY k, location_id
    ) AS spent
    JOIN places ON places.k = spent.k AND places.location_id = spent.location_id
    """,
)

RELATIONS = (STORE_TOTALS, STORE_TOTALS_12M)

MEASURES = (
    SharedMeasure("sales_24m", HISTORY, "count(*) FILTER (WHERE is_sale AND within_24m)"),
    SharedMeasure("favourite_24m", STORE_TOTALS, "most(location_id, sales_24m, store_rank)"),
    SharedMeasure("favourite_all", STORE_TOTALS, "most(location_id, sales, store_rank)"),
)

_SALE_WITH_LOCATION = "is_sale AND location_id IS NOT NULL"

AGGREGATIONS = (
    Aggregation(
        "store_join",
        FieldType.LOCATION,
        description="Location of the first sale with a location.",
        relation=HISTORY,
        sql=f"first_of(location_id, {_SALE_WITH_LOCATION})",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=f"{_SALE_WITH_LOCATION} AND n = first_location_n",
    ),
    Aggregation(
        "most_transacted_location",
        FieldType.LOCATION,
        description="Location with the most sales within 24 months, or of all time without a sale in these months; "
        "ties are resolved by the later last sale, then by the order of locations.",
        sql="CASE WHEN sales_24m > 0 THEN favourite_24m ELSE favourite_all END",
        time_triggers=(NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW),
        explain_filter=f"{_SALE_WITH_LOCATION} AND location_id = most_transacted_location AND (within_24m OR sales_24m = 0)",
    ),
    Aggregation(
        "latest_transacted_location",
        FieldType.LOCATION,
        description="Location of the last sale with a location.",
        relation=HISTORY,
        sql=f"last_of(location_id, {_SALE_WITH_LOCATION})",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=f"{_SALE_WITH_LOCATION} AND n = last_location_n",
    ),
    Aggregation(
        "most_spend_location",
        FieldType.LOCATION,
        description="Location with the largest net spend of all time, if above 0; ties as for "
        "most_transacted_location.",
        relation=STORE_TOTALS,
        sql="most(location_id, net, store_rank)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="has_amount AND location_id = most_spend_location",
    ),
    Aggregation(
        "most_spend_12m_location",
        FieldType.LOCATION,
        description="Location with the largest net spend within the 12 months of spend_12m, if above 0; ties as for "
        "most_transacted_location.",
        relation=STORE_TOTALS_12M,
        sql="most(location_id, net_12m, store_rank)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=f"has_amount AND {IN_LAST_12M} AND location_id = most_spend_12m_location",
    ),
    Aggregation(
        "transacted_locations",
        FieldType.LOCATION_LIST,
        description="Ids of the locations with a sale, in the order of locations.",
        relation=STORE_TOTALS,
        sql="in_order(location_id, external_id, sales > 0)",
        default="empty_list()",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=_SALE_WITH_LOCATION,
    ),
)
