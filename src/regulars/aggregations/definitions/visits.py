"""Shop days of a profile and the intervals between them."""

from regulars.aggregations.aggregation import Aggregation, Relation, SharedMeasure, ValueUnit
from regulars.aggregations.definitions.relations import HISTORY, NEXT_FUTURE_FACT
from regulars.core.field_type import FieldType

SHOP_DAYS = Relation(
    "days",
    "The shop days of the profile in order, with net spend, the previous and the next shop day.",
    """
    SELECT k, transacted_on, net,
           lag(transacted_on) OVER (PARTITION BY k ORDER BY transacted_on) AS earlier,
           lead(transacted_on) OVER (PARTITION BY k ORDER BY transacted_on) AS later
    FROM (
        SELECT k, transacted_on, sum(amount) AS net
        FROM history
        GROUP BY k, transacted_on
        HAVING bool_or(is_sale)
    ) AS dated
    """,
)

RELATIONS = (SHOP_DAYS,)
MEASURES: tuple[SharedMeasure, ...] = ()

_SALES = "is_sale"

AGGREGATIONS = (
    Aggregation(
        "shop_days",
        FieldType.INTEGER,
        unit=ValueUnit.DAYS,
        description="Average days between shop days, rounded half up; null with fewer than two shop days.",
        sql="""CASE WHEN total_shop_days > 1
               THEN half_up(days_between(first_shop_date, latest_shop_date), total_shop_days - 1) END""",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=_SALES,
    ),
    Aggregation(
        "shop_count",
        FieldType.INTEGER,
        description="Number of sales: counted transactions with a total above 0.",
        relation=HISTORY,
        sql="count(*) FILTER (WHERE is_sale)",
        default="0",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=_SALES,
    ),
    Aggregation(
        "first_shop_date",
        FieldType.DATE,
        description="First shop day, in the local time of the sale.",
        relation=SHOP_DAYS,
        sql="min(transacted_on)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on = first_shop_date",
    ),
    Aggregation(
        "second_shop_date",
        FieldType.DATE,
        description="Second shop day.",
        relation=SHOP_DAYS,
        sql="next_to_first(transacted_on, later)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on IN (first_shop_date, second_shop_date)",
    ),
    Aggregation(
        "previous_shop_date",
        FieldType.DATE,
        description="Second-to-last shop day.",
        relation=SHOP_DAYS,
        sql="next_to_last(transacted_on, earlier)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on IN (previous_shop_date, latest_shop_date)",
    ),
    Aggregation(
        "latest_shop_date",
        FieldType.DATE,
        description="Last shop day.",
        relation=SHOP_DAYS,
        sql="max(transacted_on)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on = latest_shop_date",
    ),
    Aggregation(
        "first_shop_days",
        FieldType.INTEGER,
        unit=ValueUnit.DAYS,
        description="Days from the join date, in the community's zone, to the first shop day; 0 if negative.",
        sql="CASE WHEN first_shop_date < joined_on THEN 0 ELSE days_between(joined_on, first_shop_date) END",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on = first_shop_date",
        explain_fields=("joined_at",),
    ),
    Aggregation(
        "second_shop_days",
        FieldType.INTEGER,
        unit=ValueUnit.DAYS,
        description="Days from the first to the second shop day.",
        sql="days_between(first_shop_date, second_shop_date)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on IN (first_shop_date, second_shop_date)",
    ),
    Aggregation(
        "latest_shop_days",
        FieldType.INTEGER,
        unit=ValueUnit.DAYS,
        description="Days from the second-to-last to the last shop day.",
        sql="days_between(previous_shop_date, latest_shop_date)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND transacted_on IN (previous_shop_date, latest_shop_date)",
    ),
    Aggregation(
        "average_shop_days",
        FieldType.INTEGER,
        unit=ValueUnit.DAYS,
        description="Days from the first to the last shop day divided by the number of shop days, rounded half up; "
        "null with fewer than three shop days.",
        sql="""CASE WHEN total_shop_days > 2
               THEN half_up(days_between(first_shop_date, latest_shop_date), total_shop_days) END""",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=_SALES,
    ),
    Aggregation(
        "total_shop_days",
        FieldType.INTEGER,
        description="Number of shop days: distinct local dates of sales.",
        relation=SHOP_DAYS,
        sql="count(*)",
        default="0",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=_SALES,
    ),
    Aggregation(
        "at_risk_date",
        FieldType.DATE,
        description="The last shop day plus three times average_shop_days: after it, the member may be lost.",
        sql="days_after(latest_shop_date, 3 * average_shop_days)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter=_SALES,
    ),
    Aggregation(
        "latest_shop_spend",
        FieldType.MONEY,
        description="Net spend on the last shop day, including returns.",
        relation=SHOP_DAYS,
        sql="of_last(net, transacted_on, later)",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="transacted_on = latest_shop_date",
    ),
    Aggregation(
        "latest_shop_currency",
        FieldType.ENUM,
        description="Currency of latest_shop_spend: that of the community.",
        sql="CASE WHEN latest_shop_date IS NOT NULL THEN currency END",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="transacted_on = latest_shop_date",
    ),
)
