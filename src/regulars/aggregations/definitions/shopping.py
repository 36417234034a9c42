"""On which days a profile shops, and how far apart."""

from regulars.aggregations.aggregation import Aggregation, Measure, Relation, Type
from regulars.aggregations.definitions.inputs import FALLS_DUE, HISTORY

DAYS = Relation(
    "days",
    "The profile's shop days in order, each with its net spend, the shop day before and the one after.",
    """
    SELECT k, shop_date, net,
           lag(shop_date) OVER (PARTITION BY k ORDER BY shop_date) AS earlier,
           lead(shop_date) OVER (PARTITION BY k ORDER BY shop_date) AS later
    FROM (
        SELECT k, shop_date, sum(amount) AS net
        FROM history
        GROUP BY k, shop_date
        HAVING bool_or(is_sale)
    ) AS dated
    """,
)

RELATIONS = (DAYS,)
MEASURES: tuple[Measure, ...] = ()

_SALES = "is_sale"

AGGREGATIONS = (
    Aggregation(
        "shop_days",
        Type.INTEGER,
        meaning="Average days between shop days, rounded half up; null with fewer than two shop days.",
        sql="""CASE WHEN total_shop_days > 1
               THEN half_up(days_between(first_shop_date, latest_shop_date), total_shop_days - 1) END""",
        changes=(FALLS_DUE,),
        evidence=_SALES,
    ),
    Aggregation(
        "shop_count",
        Type.INTEGER,
        meaning="Number of sales: counted transactions with a total above 0.",
        over=HISTORY,
        sql="count(*) FILTER (WHERE is_sale)",
        when_empty="0",
        changes=(FALLS_DUE,),
        evidence=_SALES,
    ),
    Aggregation(
        "first_shop_date",
        Type.DATE,
        meaning="The first shop day, by the local calendar of the sale.",
        over=DAYS,
        sql="min(shop_date)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date = first_shop_date",
    ),
    Aggregation(
        "second_shop_date",
        Type.DATE,
        meaning="The second shop day.",
        over=DAYS,
        sql="next_to_first(shop_date, later)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date IN (first_shop_date, second_shop_date)",
    ),
    Aggregation(
        "previous_shop_date",
        Type.DATE,
        meaning="The last shop day but one.",
        over=DAYS,
        sql="next_to_last(shop_date, earlier)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date IN (previous_shop_date, latest_shop_date)",
    ),
    Aggregation(
        "latest_shop_date",
        Type.DATE,
        meaning="The last shop day.",
        over=DAYS,
        sql="max(shop_date)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date = latest_shop_date",
    ),
    Aggregation(
        "first_shop_days",
        Type.INTEGER,
        meaning="Days from the join date, in the community's zone, to the first shop day; 0 where negative.",
        sql="CASE WHEN first_shop_date < joined_on THEN 0 ELSE days_between(joined_on, first_shop_date) END",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date = first_shop_date",
        uses=("joined_at",),
    ),
    Aggregation(
        "second_shop_days",
        Type.INTEGER,
        meaning="Days from the first to the second shop day.",
        sql="days_between(first_shop_date, second_shop_date)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date IN (first_shop_date, second_shop_date)",
    ),
    Aggregation(
        "latest_shop_days",
        Type.INTEGER,
        meaning="Days from the last shop day but one to the last.",
        sql="days_between(previous_shop_date, latest_shop_date)",
        changes=(FALLS_DUE,),
        evidence="is_sale AND shop_date IN (previous_shop_date, latest_shop_date)",
    ),
    Aggregation(
        "average_shop_days",
        Type.INTEGER,
        meaning="Days from the first to the last shop day by the number of shop days, rounded half up; "
        "from the third shop day on.",
        sql="""CASE WHEN total_shop_days > 2
               THEN half_up(days_between(first_shop_date, latest_shop_date), total_shop_days) END""",
        changes=(FALLS_DUE,),
        evidence=_SALES,
    ),
    Aggregation(
        "total_shop_days",
        Type.INTEGER,
        meaning="Number of shop days: distinct local dates of sales.",
        over=DAYS,
        sql="count(*)",
        when_empty="0",
        changes=(FALLS_DUE,),
        evidence=_SALES,
    ),
    Aggregation(
        "at_risk_date",
        Type.DATE,
        meaning="The last shop day plus three times average_shop_days: past it, the profile may be lost.",
        sql="days_after(latest_shop_date, 3 * average_shop_days)",
        changes=(FALLS_DUE,),
        evidence=_SALES,
    ),
    Aggregation(
        "latest_shop_spend",
        Type.MONEY,
        meaning="Net spend on the last shop day, returns of that day included.",
        over=DAYS,
        sql="of_last(net, shop_date, later)",
        changes=(FALLS_DUE,),
        evidence="shop_date = latest_shop_date",
    ),
    Aggregation(
        "latest_shop_currency",
        Type.CODE,
        meaning="The currency that latest_shop_spend is in: the community's.",
        sql="CASE WHEN latest_shop_date IS NOT NULL THEN currency END",
        changes=(FALLS_DUE,),
        evidence="shop_date = latest_shop_date",
    ),
)
