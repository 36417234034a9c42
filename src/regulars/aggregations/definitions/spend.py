"""What a profile has spent, and when."""

from regulars.aggregations.aggregation import Aggregation, Measure, Type
from regulars.aggregations.definitions.inputs import FALLS_DUE, HISTORY, LEAVES_12M, SALES_12M

GIVEN = Measure("discounts_given", HISTORY, "sum(discount) FILTER (WHERE is_sale)")
LISTED = Measure("value_listed", HISTORY, "sum(list_value) FILTER (WHERE is_sale)")

MEASURES = (SALES_12M, GIVEN, LISTED)

AGGREGATIONS = (
    Aggregation(
        "spend_12m",
        Type.MONEY,
        meaning="Net spend within 12 months: what was bought less what was returned.",
        over=HISTORY,
        sql="sum(amount) FILTER (WHERE within_12m)",
        when_empty="0",
        changes=(FALLS_DUE, LEAVES_12M),
        evidence="within_12m",
    ),
    Aggregation(
        "spend_all",
        Type.MONEY,
        meaning="Net spend of all time.",
        over=HISTORY,
        sql="sum(amount)",
        when_empty="0",
        changes=(FALLS_DUE,),
        evidence="true",
    ),
    Aggregation(
        "spend_atv_12m",
        Type.MONEY,
        meaning="Average transaction value within 12 months: net spend by number of sales, rounded half-even; "
        "null without a sale.",
        sql="half_even(spend_12m, sales_12m)",
        changes=(FALLS_DUE, LEAVES_12M),
        evidence="within_12m",
    ),
    Aggregation(
        "spend_atv_all",
        Type.MONEY,
        meaning="Average transaction value of all time: net spend by number of sales, rounded half-even; "
        "null without a sale.",
        sql="half_even(spend_all, shop_count)",
        changes=(FALLS_DUE,),
        evidence="true",
    ),
    Aggregation(
        "spend_first_date",
        Type.INSTANT,
        meaning="The instant of the first counted transaction, a return or a zero total too.",
        over=HISTORY,
        sql="min(transacted_at)",
        changes=(FALLS_DUE,),
        evidence="n = 1",
    ),
    Aggregation(
        "spend_last_date",
        Type.INSTANT,
        meaning="The instant of the last counted transaction, a return or a zero total too.",
        over=HISTORY,
        sql="max(transacted_at)",
        changes=(FALLS_DUE,),
        evidence="n = last_n",
    ),
    Aggregation(
        "spend_12m_now",
        Type.MONEY,
        meaning="As spend_12m.",
        sql="spend_12m",
        changes=(FALLS_DUE, LEAVES_12M),
        evidence="within_12m",
    ),
    Aggregation(
        "discount_avg",
        Type.PERCENT,
        meaning="Discounts as a percentage of price_current * quantity over the sold items of sales, each at its "
        "transaction's rate, rounded half-even to 2 decimals; null where the divisor is 0.",
        sql="half_even(discounts_given * 10000, value_listed)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND list_value IS NOT NULL",
    ),
)
