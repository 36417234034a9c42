"""The worked cases of the specification and the boundaries of its definitions, as data.

The expected values are worked out by hand; every engine must give them.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from aggregations.case import AS_OF, ME, at, case, purchase
from aggregations.spend_cases import SPEND
from aggregations.store_cases import PLACES
from aggregations.visit_cases import SHOPS
from oracle import Community, Item, Location

WITHOUT_TRANSACTIONS: dict[str, object] = {
    "profile_id": ME,
    "shop_days": None,
    "spend_12m": Decimal("0.00"),
    "spend_all": Decimal("0.00"),
    **dict.fromkeys(["spend_atv_12m", "spend_atv_all", "spend_first_date", "spend_last_date"]),
    "dimension_frequency": "F0",
    "dimension_recency": "R0",
    "dimension_join": "JN",
    "channel": None,
    "shop_count": 0,
    "store_join": None,
    "likely_country": None,
    "likely_country_score": None,
    "purchased_brands": [],
    "most_transacted_location": None,
    "spend_12m_now": Decimal("0.00"),
    **dict.fromkeys(["first_shop_date", "second_shop_date", "previous_shop_date", "latest_shop_date"]),
    **dict.fromkeys(["first_shop_days", "second_shop_days", "latest_shop_days", "average_shop_days"]),
    "total_shop_days": 0,
    "at_risk_date": None,
    "latest_shop_spend": None,
    "latest_shop_currency": None,
    **dict.fromkeys(["latest_transacted_location", "most_spend_location", "most_spend_12m_location"]),
    "transacted_locations": [],
    "likely_country_iso": None,
    "likely_country_iso_score": None,
    **dict.fromkeys(["likely_state_iso", "likely_state_iso_score", "likely_region", "likely_region_score"]),
    "discount_avg": None,
    "join_hour": 0,
    "join_day": "MON",
    "total_referred": None,
    "top_historic_status": None,
    "calculated_at": at(AS_OF),
}

WORKED = [
    case("no transactions, joined 90 days ago", [], WITHOUT_TRANSACTIONS),
    case("joined a day earlier", [], {"dimension_join": "JC", "join_day": "SUN"}, joined="2026-08-02"),
    case(
        "a return lowers the spend but not the shop count",
        [purchase("2026-01-10", "100.00"), purchase("2026-01-20", "-40.00")],
        {
            "shop_count": 1,
            "spend_all": Decimal("60.00"),
            "spend_atv_all": Decimal("60.00"),
            "dimension_frequency": "F1",
            "spend_last_date": at("2026-01-20"),
            "dimension_recency": "RA",  # by the sale, not by the return
        },
    ),
    case(
        "an interval of exactly 30 days is not above 30",
        [purchase(day, "10.00") for day in ("2026-09-01", "2026-10-01", "2026-10-31")],
        {
            "shop_days": 30,
            "dimension_frequency": "FH",
            "dimension_recency": "RC",
            "average_shop_days": 20,
            "at_risk_date": date(2026, 12, 30),
        },
    ),
    case(
        "a transaction leaves the 12 months of now at the very instant, those of the last transaction stay",
        [purchase("2025-10-31 23:59:59", "10.00"), purchase("2025-11-01", "10.00")],
        {
            "spend_12m": Decimal("20.00"),
            "spend_12m_now": Decimal("0.00"),
            "spend_atv_12m": Decimal("10.00"),
            "dimension_recency": "RI",
        },
    ),
    case(
        "a transaction leaves the 12 months of the last transaction at the very instant",
        [
            purchase("2024-01-01", "100.00", 1),
            purchase("2024-06-01", "50.00", 2),
            purchase("2025-01-01", "7.00", 2),
        ],
        {
            "spend_12m": Decimal("57.00"),
            "spend_12m_now": Decimal("0.00"),
            "spend_atv_12m": Decimal("28.50"),
            "most_spend_location": 1,
            "most_spend_12m_location": 2,
        },
    ),
    *(
        case(f"of a sale in February, at {as_of}", [purchase("2026-02-28 12:00", "10.00")], expected, as_of=as_of)
        for as_of, expected in [
            ("2026-05-28 11:59:59.999999", {"dimension_recency": "RC"}),
            ("2026-05-28 12:00", {"dimension_recency": "RS"}),
            ("2026-05-31 12:00", {"dimension_recency": "RS"}),  # as_of less 3 months is 28 February again
            ("2026-08-28 11:59:59.999999", {"dimension_recency": "RS"}),
            ("2026-08-28 12:00", {"dimension_recency": "RA"}),
        ]
    ),
    case(
        "a zero total is history, but neither a sale nor a place",
        [purchase("2026-10-01", "0.00", 7, items=(Item(brand="Acme"),), systems=("pos",))],
        {
            "shop_count": 0,
            "dimension_frequency": "F0",
            "dimension_recency": "R0",
            "spend_first_date": at("2026-10-01"),
            "spend_last_date": at("2026-10-01"),
            "channel": None,
            "store_join": None,
            "transacted_locations": [],
            "total_shop_days": 0,
            "purchased_brands": ["Acme"],
            "latest_shop_spend": None,
            "likely_country": None,
        },
        locations=[Location(7, type="store", country="NO")],
    ),
    case(
        "a shop date is that of its location's clock",
        [purchase("2026-10-01 23:30", "10.00", 1), purchase("2026-10-02 00:30", "10.00", 1)],
        {"total_shop_days": 1, "first_shop_date": date(2026, 10, 2), "latest_shop_date": date(2026, 10, 2)},
        locations=[Location(1, timezone="Europe/Oslo")],
    ),
]

BOUNDARIES_OF_DAYS = [
    (90, "JN"),
    (91, "JC"),
    (365, "JC"),
    (366, "J1"),
    (730, "J1"),
    (731, "J2"),
    (1095, "J2"),
]
YEARS = [(365 * years + 1, f"J{years}") for years in range(3, 13)] + [(4380, "J11"), (4745, "J12")]
JOINING = [
    *(
        case(
            f"joined {days} days ago",
            [],
            {"dimension_join": stage},
            joined=(at(AS_OF) - timedelta(days=days)).date().isoformat(),
        )
        for days, stage in BOUNDARIES_OF_DAYS + YEARS
    ),
    case(
        "joins in the future, after the first shop day",
        [purchase("2026-10-01", "10.00")],
        {"dimension_join": "JN", "first_shop_days": 0, "join_hour": 13},
        joined="2027-01-01 13:59:59",
    ),
    case(
        "a join date sent as null stays unknown",
        [purchase("2026-10-01", "10.00")],
        {"dimension_join": None, "first_shop_days": None, "join_hour": None, "join_day": None},
        joined=None,
    ),
    case("a year from 29 February", [], {"dimension_join": "JC"}, joined="2024-02-29", as_of="2025-02-28"),
    case("a year and a day", [], {"dimension_join": "J1"}, joined="2024-02-29", as_of="2025-03-01"),
    *(
        case(
            f"joined on the community's 3 August, at {as_of}",
            [purchase("2026-08-04 11:00", "10.00")],
            # The join is 01:00 of the 3rd there, the sale 23:00 of the 4th; the join instant stays in UTC.
            {"dimension_join": stage, "first_shop_days": 1, "join_hour": 13, "join_day": "SUN"},
            joined="2026-08-02 13:00",
            as_of=as_of,
            community=Community("Pacific/Auckland"),
        )
        # Midnight there is 11:00 in UTC since the summer time of September.
        for as_of, stage in [("2026-11-01 10:59:59.999999", "JN"), ("2026-11-01 11:00", "JC")]
    ),
    *(
        case(
            f"joined at {joined}, around a midnight that was skipped",
            [],
            {"dimension_join": stage},
            joined=joined,
            as_of="2026-06-06 12:00",
            community=Community("America/Havana"),
        )
        # 8 March began at 01:00 there, which is 05:00 in UTC.
        for joined, stage in [("2026-03-08 04:59:59.999999", "JC"), ("2026-03-08 05:00", "JN")]
    ),
]

CASES = [*WORKED, *JOINING, *SPEND, *SHOPS, *PLACES]
