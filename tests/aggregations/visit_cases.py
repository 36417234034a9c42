"""Boundaries of shop days, of the order of sales and of the channels."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from aggregations.case import AS_OF, case, purchase
from oracle import Community, Location

DAYS = [
    case(
        "averages of days are rounded half up",
        # Gaps of 1, 1 and 8 days, 10 in all: 10/4 is 2.5, where half-even would give 2.
        [purchase(day, "10.00") for day in ("2026-10-01", "2026-10-02", "2026-10-03", "2026-10-11")],
        {
            "shop_days": 3,  # 10/3
            "average_shop_days": 3,
            "at_risk_date": date(2026, 10, 20),
            "first_shop_date": date(2026, 10, 1),
            "second_shop_date": date(2026, 10, 2),
            "previous_shop_date": date(2026, 10, 3),
            "latest_shop_date": date(2026, 10, 11),
            "second_shop_days": 1,
            "latest_shop_days": 8,
            "total_shop_days": 4,
            "first_shop_days": 59,  # from 3 August
        },
    ),
    case(
        "half a day between shops rounds up",
        [purchase(day, "10.00") for day in ("2026-10-01", "2026-10-02", "2026-10-06")],
        {"shop_days": 3, "average_shop_days": 2, "at_risk_date": date(2026, 10, 12)},  # 5/2 and 5/3
    ),
    case(
        "two shop days have an interval, but no average_shop_days",
        [purchase("2026-10-01", "10.00"), purchase("2026-10-11", "10.00")],
        {
            "shop_days": 10,
            "average_shop_days": None,
            "at_risk_date": None,
            "second_shop_date": date(2026, 10, 11),
            "previous_shop_date": date(2026, 10, 1),
            "second_shop_days": 10,
            "latest_shop_days": 10,
            "dimension_frequency": "F2",
        },
    ),
    case(
        "one shop day has neither a second nor a previous one",
        [purchase("2026-10-01", "10.00")],
        {
            "shop_days": None,
            "second_shop_date": None,
            "previous_shop_date": None,
            "second_shop_days": None,
            "latest_shop_days": None,
            "first_shop_date": date(2026, 10, 1),
            "latest_shop_date": date(2026, 10, 1),
        },
    ),
    case(
        "three sales on one day have interval 0",
        [purchase("2026-10-01", "10.00")] * 3,
        {"dimension_frequency": "FH", "shop_days": None, "total_shop_days": 1, "average_shop_days": None},
    ),
    case(
        "an interval of 30 1/3 days is above 30, though it rounds to 30",
        [purchase(day, "10.00") for day in ("2026-07-01", "2026-07-02", "2026-07-03", "2026-09-30")],
        {"shop_days": 30, "dimension_frequency": "FL"},  # 91/3
    ),
    case(
        "the latest shop day is the latest date, not the date of the last sale",
        [
            purchase("2026-10-01 12:00", "10.00", 1, timezone="Pacific/Auckland"),  # 2 October, 01:00
            purchase("2026-10-01 13:00", "20.00", 2, timezone="America/Havana"),  # 1 October, 09:00
        ],
        {
            "first_shop_date": date(2026, 10, 1),
            "latest_shop_date": date(2026, 10, 2),
            "latest_shop_spend": Decimal("10.00"),
            "latest_transacted_location": 2,
        },
    ),
    case(
        "the transaction's clock goes before its location's and the community's",
        [purchase("2026-10-01 23:30", "10.00", 1, timezone="UTC"), purchase("2026-10-20 13:00", "10.00")],
        {"first_shop_date": date(2026, 10, 1), "latest_shop_date": date(2026, 10, 21)},
        locations=[Location(1, timezone="Europe/Oslo")],
        community=Community("Pacific/Auckland"),
    ),
    case(
        "the day on which summer time ends is one day of 25 hours",
        [purchase("2026-10-24 22:00", "10.00"), purchase("2026-10-25 22:59:59", "10.00")],
        {"total_shop_days": 1, "latest_shop_date": date(2026, 10, 25), "latest_shop_spend": Decimal("20.00")},
        community=Community("Europe/Oslo"),
    ),
    case(
        "summer time of half an hour moves midnight by half an hour",
        # 3 October 23:45 at +10:30; 5 October 00:15 at +11, which is still the 4th at +10:30.
        [purchase("2026-10-03 13:15", "10.00"), purchase("2026-10-04 13:15", "10.00")],
        {"first_shop_date": date(2026, 10, 3), "latest_shop_date": date(2026, 10, 5)},
        community=Community("Australia/Lord_Howe"),
    ),
    case(
        "the latest shop spend is net of that day's returns, not of later ones",
        [
            purchase("2026-10-30 10:00", "70.00"),
            purchase("2026-10-31 10:00", "100.00"),
            purchase("2026-10-31 23:00", "-30.00"),
            purchase("2026-11-01", "-5.00"),
        ],
        {"latest_shop_spend": Decimal("70.00"), "latest_shop_currency": "EUR"},
    ),
]

ORDER = [
    case(
        "equal instants are in the code-point order of their external ids, null last",
        [
            purchase(AS_OF, "10.00", place, external_id=external_id)
            for place, external_id in enumerate([None, "a", "10", "é", "9", "B"], start=1)
        ],
        {"store_join": 3, "latest_transacted_location": 1},
        locations=[Location(number) for number in range(1, 7)],
    ),
    case(
        "equal instants without external ids are in the order of their ids",
        [purchase(AS_OF, "10.00", 2), purchase(AS_OF, "10.00", 1), purchase(AS_OF, "10.00", 2)],
        {"store_join": 2, "latest_transacted_location": 2},
    ),
    case(
        "the first and last location are those of the sales that have one",
        [
            purchase("2026-10-01", "-5.00", 2),
            purchase("2026-10-02", "10.00"),
            purchase("2026-10-03", "10.00", 1),
            purchase("2026-10-04", "10.00"),
        ],
        {"store_join": 1, "latest_transacted_location": 1, "transacted_locations": [1]},
    ),
]

CHANNEL_LOCATIONS = [
    Location(1, type="online"),
    Location(2, type="store"),
    Location(3),
    Location(4, type="kiosk"),
]
CHANNELS = [
    case(f"channel: {name}", transactions, {"channel": channel}, locations=CHANNEL_LOCATIONS)
    for name, transactions, channel in [
        ("systems are read without case", [purchase(AS_OF, "1", systems=("POS", "Web"))], "CM"),
        ("over all sales", [purchase(AS_OF, "1", 1), purchase(AS_OF, "1", 4)], "CM"),
        ("another system says nothing", [purchase(AS_OF, "1", 1, systems=("app",))], "CO"),
        ("any type but online is a point of sale", [purchase(AS_OF, "1", 4)], "CF"),
        ("a location without a type says nothing", [purchase(AS_OF, "1", 3)], None),
        ("no location says nothing", [purchase(AS_OF, "1", systems=("app",))], None),
        ("a system goes before the location", [purchase(AS_OF, "1", 2, systems=("web",))], "CO"),
        ("a return says nothing", [purchase(AS_OF, "1", 2), purchase(AS_OF, "-1", systems=("web",))], "CF"),
    ]
]

SHOPS = [*DAYS, *ORDER, *CHANNELS]
