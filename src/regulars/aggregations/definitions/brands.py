"""Purchased brands."""

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions.relations import NEXT_FUTURE_FACT, SOLD_BRANDS
from regulars.core.field_type import FieldType

AGGREGATIONS = (
    Aggregation(
        "purchased_brands",
        FieldType.STRING_LIST,
        description="Distinct brands of the sold items, in the order of their code points: the current brand of the product, "
        "else that of the item.",
        relation=SOLD_BRANDS,
        sql="distinct_sorted(brand)",
        default="empty_strings()",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="has_brand",
    ),
)
