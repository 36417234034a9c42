"""Spend of a profile."""

from regulars.aggregations.aggregation import Aggregation, SharedMeasure
from regulars.aggregations.definitions.relations import (
    HISTORY,
    IN_LAST_12M,
    LAST_12M,
    LEAVES_12M_WINDOW,
    NEXT_FUTURE_FACT,
)
from regulars.core.field_type import FieldType

DISCOUNT_TOTAL = SharedMeasure("discount_total", HISTORY, "sum(discount) FILTER (WHERE is_sale)")
LIST_PRICE_TOTAL = SharedMeasure("list_price_total", HISTORY, "sum(list_value) FILTER (WHERE is_sale)")

SALES_12M = SharedMeasure("sales_12m", LAST_12M, "count(*) FILTER (WHERE is_sale)")

RELATIONS = (LAST_12M,)
MEASURES = (SALES_12M, DISCOUNT_TOTAL, LIST_PRICE_TOTAL)

AGGREGATIONS = (
    Aggregation(
        "spend_12m",
        FieldType.MONEY,
        description="Net spend (purchases less returns) within the 12 months before the last counted transaction. "
        "It does not fall by the clock; spend_12m_now does.",
        relation=LAST_12M,
        sql="sum(amount)",
        default="0",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=IN_LAST_12M,
    ),
    Aggregation(
        "spend_all",
        FieldType.MONEY,
        description="Net spend of all time.",
        relation=HISTORY,
        sql="sum(amount)",
        default="0",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="true",
    ),
    Aggregation(
        "spend_atv_12m",
        FieldType.MONEY,
        description="Average transaction value within the 12 months of spend_12m: net spend divided by the number of sales, "
        "rounded half-even; null without a sale.",
        sql="half_even(spend_12m, sales_12m)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=IN_LAST_12M,
    ),
    Aggregation(
        "spend_atv_all",
        FieldType.MONEY,
        description="Average transaction value of all time: net spend divided by the number of sales, rounded half-even; "
        "null without a sale.",
        sql="half_even(spend_all, shop_count)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="true",
    ),
    Aggregation(
        "spend_first_date",
        FieldType.TIMESTAMP,
        description="Instant of the first counted transaction, including returns and zero totals.",
        relation=HISTORY,
        sql="min(transacted_at)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="n = 1",
    ),
    Aggregation(
        "spend_last_date",
        FieldType.TIMESTAMP,
        description="Instant of the last counted transaction, including returns and zero totals.",
        relation=HISTORY,
        sql="max(transacted_at)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="n = last_n",
    ),
    Aggregation(
        "spend_12m_now",
        FieldType.MONEY,
        description="Net spend (purchases less returns) within the 12 months before now.",
        relation=HISTORY,
        sql="sum(amount) FILTER (WHERE within_12m)",
        default="0",
        time_triggers=(NEXT_FUTURE_FACT, LEAVES_12M_WINDOW),
        explain_filter="within_12m",
    ),
    Aggregation(
        "discount_avg",
        FieldType.PERCENT,
        description="Discounts as a percentage of price_current * quantity over the sold items of sales, each at its "
        "transaction's rate, rounded half-even to 2 decimals; null if the divisor is 0.",
        sql="half_even(discount_total * 10000, list_price_total)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND list_value IS NOT NULL",
    ),
)
