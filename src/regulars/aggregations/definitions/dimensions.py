"""Segmentation codes of profiles: frequency, recency, time since joining, channel."""

from regulars.aggregations.aggregation import Aggregation, TimeTrigger
from regulars.aggregations.definitions.relations import HISTORY, LAST_SALE_AT, NEXT_FUTURE_FACT
from regulars.core.field_type import FieldType
from regulars.model.member_dimensions import CHANNEL_CODES, channel_code

MEASURES = (LAST_SALE_AT,)

RECENCY_DROPS = TimeTrigger(
    "recency_drops",
    None,
    """CASE WHEN within(last_sale_at, 3) THEN leaves(last_sale_at, 3)
            WHEN within(last_sale_at, 6) THEN leaves(last_sale_at, 6)
            WHEN within(last_sale_at, 12) THEN leaves(last_sale_at, 12) END""",
)

# After the first 366 days, the code changes every 365 days.
JOIN_AGE_STEPS = TimeTrigger(
    "join_age_step",
    None,
    """local_midnight(
           CASE WHEN days_between(joined_on, today) <= 90 THEN days_after(joined_on, 91)
                WHEN days_between(joined_on, today) <= 365 THEN days_after(joined_on, 366)
                ELSE days_after(joined_on, 365 * (whole(days_between(joined_on, today) - 1, 365) + 1) + 1) END,
           zone
       )""",
)

AGGREGATIONS = (
    Aggregation(
        "dimension_frequency",
        FieldType.ENUM,
        description="Frequency: the number of sales, from three on the exact average interval between shop days.",
        codes={
            "F0": "No sale.",
            "F1": "One sale.",
            "F2": "Two sales.",
            "FL": "Three or more sales, more than 30 days apart on average.",
            "FH": "Three or more sales, at most 30 days apart on average.",
        },
        sql="""CASE WHEN shop_count = 0 THEN 'F0'
                    WHEN shop_count = 1 THEN 'F1'
                    WHEN shop_count = 2 THEN 'F2'
                    WHEN days_between(first_shop_date, latest_shop_date) > 30 * (total_shop_days - 1) THEN 'FL'
                    ELSE 'FH' END""",
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale",
    ),
    Aggregation(
        "dimension_recency",
        FieldType.ENUM,
        description="Recency: the time since the last sale, in calendar months.",
        codes={
            "R0": "No sale.",
            "RC": "The last sale is within 3 months.",
            "RS": "The last sale is within 6 months.",
            "RA": "The last sale is within 12 months.",
            "RI": "The last sale is longer ago.",
        },
        sql="""CASE WHEN last_sale_at IS NULL THEN 'R0'
                    WHEN within(last_sale_at, 3) THEN 'RC'
                    WHEN within(last_sale_at, 6) THEN 'RS'
                    WHEN within(last_sale_at, 12) THEN 'RA'
                    ELSE 'RI' END""",
        time_triggers=(NEXT_FUTURE_FACT, RECENCY_DROPS),
        explain_filter="is_sale AND n = last_sale_n",
    ),
    Aggregation(
        "dimension_join",
        FieldType.ENUM,
        description="Length of membership: days since the join date, in the time zone of the community; null without a "
        "join date.",
        codes={
            "JN": "Up to 90 days, or a join date in the future.",
            "JC": "Up to 365 days.",
            "J1": "Up to 730 days.",
            "J2": "Up to 1095 days; J3 up to 1460 days and so on.",
        },
        has_more_codes=True,
        sql="""CASE WHEN joined_on IS NULL THEN NULL
                    WHEN days_between(joined_on, today) <= 90 THEN 'JN'
                    WHEN days_between(joined_on, today) <= 365 THEN 'JC'
                    ELSE 'J' || CAST(whole(days_between(joined_on, today) - 1, 365) AS TEXT) END""",
        time_triggers=(JOIN_AGE_STEPS,),
        explain_fields=("joined_at",),
    ),
    Aggregation(
        "channel",
        FieldType.ENUM,
        description="Channels of all sales; null if no sale has a channel.",
        codes=dict(CHANNEL_CODES.values()),
        relation=HISTORY,
        sql=channel_code("bit_or(channels) FILTER (WHERE is_sale)"),
        time_triggers=(NEXT_FUTURE_FACT,),
        explain_filter="is_sale AND channels IS NOT NULL",
    ),
    Aggregation(
        "join_hour",
        FieldType.INTEGER,
        description="Hour of the join instant, 0 to 23, in UTC.",
        sql="hour_of(joined_at)",
        explain_fields=("joined_at",),
    ),
    Aggregation(
        "join_day",
        FieldType.ENUM,
        description="Weekday of the join instant, in UTC.",
        codes={
            "MON": "Monday.",
            "TUE": "Tuesday.",
            "WED": "Wednesday.",
            "THU": "Thursday.",
            "FRI": "Friday.",
            "SAT": "Saturday.",
            "SUN": "Sunday.",
        },
        sql="""CASE weekday_of(joined_at) WHEN 1 THEN 'MON' WHEN 2 THEN 'TUE' WHEN 3 THEN 'WED' WHEN 4 THEN 'THU'
                                         WHEN 5 THEN 'FRI' WHEN 6 THEN 'SAT' WHEN 7 THEN 'SUN' END""",
        explain_fields=("joined_at",),
    ),
)
