"""What a profile buys."""

from regulars.aggregations.aggregation import Aggregation, Type
from regulars.aggregations.definitions.inputs import FALLS_DUE, SOLD

AGGREGATIONS = (
    Aggregation(
        "purchased_brands",
        Type.STRINGS,
        meaning="The distinct brands of the sold items, in the order of their code points: the product's brand as it "
        "is now, else the item's.",
        over=SOLD,
        sql="distinct_sorted(brand)",
        when_empty="empty_strings()",
        changes=(FALLS_DUE,),
        evidence="has_brand",
    ),
)
