"""Boundaries of the windows, of money and of goods."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aggregations.case import AS_OF, at, case, purchase
from oracle import Community, Item, Product

WINDOWS = [
    case(
        "the later of two transactions leaves first, where the month lacks its day",
        [purchase("2024-02-28 20:00", "10.00"), purchase("2024-02-29 10:00", "5.00")],
        # Both leave on 2025-02-28, the first at 20:00, the second at 10:00; the last sale gives the recency.
        {"spend_12m_now": Decimal("10.00"), "spend_12m": Decimal("15.00"), "dimension_recency": "RI"},
        as_of="2025-02-28 15:00",
    ),
    case(
        "the last day of August and six months end on the last of February",
        [purchase("2026-08-31 10:00", "10.00")],
        {"dimension_recency": "RA"},
        as_of="2027-02-28 10:00",
    ),
    case(
        "a sale on 29 February is within 12 months until 28 February",
        [purchase("2024-02-29 12:00", "10.00")],
        {"dimension_recency": "RA", "spend_12m": Decimal("10.00")},
        as_of="2025-02-28 11:59:59.999999",
    ),
    case(
        "a transaction counts from its very instant on, one in the future not yet",
        [purchase("2026-11-01", "10.00"), purchase("2026-11-01 00:00:00.000001", "5.00")],
        {"shop_count": 1, "spend_all": Decimal("10.00"), "spend_last_date": at("2026-11-01")},
    ),
    case(
        "a void transaction counts for nothing",
        [purchase("2026-10-01", "10.00", is_void=True, items=(Item(brand="Acme"),))],
        {"shop_count": 0, "spend_all": Decimal("0.00"), "spend_last_date": None, "purchased_brands": []},
    ),
    case(
        "a cancelled, voided or failed order counts for nothing, in any case",
        [
            *(
                purchase("2026-10-01", "10.00", status=status)
                for status in ("cancelled", "Canceled", "VOIDED", "failed", "FAILED")
            ),
            purchase("2026-10-02", "5.00", status="completed"),
            purchase("2026-10-03", "2.00", status="cancel"),
        ],
        {"shop_count": 2, "spend_all": Decimal("7.00"), "spend_first_date": at("2026-10-02")},
    ),
    case(
        "the last transaction counts its 12 months, also a return, one of zero, and one of the future once it is due",
        [
            purchase("2025-10-01 12:00", "10.00"),
            purchase("2025-10-02", "20.00"),
            purchase("2026-10-01 12:00", "-4.00"),
            purchase("2026-10-01 12:00", "0.00"),
            purchase("2027-01-01", "1.00"),
            purchase("2026-10-20", "1.00", is_void=True),
        ],
        {"spend_12m": Decimal("16.00"), "spend_atv_12m": Decimal("16.00"), "spend_12m_now": Decimal("-4.00")},
    ),
    case(
        "a window that holds only a return has no average",
        [purchase("2025-01-01", "100.00"), purchase("2026-01-01", "-40.00")],
        {"spend_12m": Decimal("-40.00"), "spend_atv_12m": None, "spend_atv_all": Decimal("60.00")},
    ),
]

MONEY = [
    case(
        "each amount is rounded once, half-even, from its foreign currency",
        [
            purchase(AS_OF, total, currency="USD", currency_rate=Decimal("0.5"))
            for total in ("0.05", "0.05", "0.15", "0.25")
        ],
        {"spend_all": Decimal("0.24"), "shop_count": 4},  # 0.02 + 0.02 + 0.08 + 0.12, of 0.25 in all
    ),
    case(
        "decimals are exact: 2.665 is a tie, and 2.675 too",
        [purchase(AS_OF, "2.665"), purchase(AS_OF, "2.675")],
        {"spend_all": Decimal("5.34")},  # 2.66 + 2.68
    ),
    case(
        "a rate with the community's own currency means nothing",
        [purchase(AS_OF, "10.00", currency="EUR", currency_rate=Decimal("2"))],
        {"spend_all": Decimal("10.00"), "latest_shop_currency": "EUR"},
    ),
    case(
        "a sale that rounds to nothing is a sale",
        [purchase(AS_OF, "0.005", 1)],
        {
            "shop_count": 1,
            "dimension_frequency": "F1",
            "dimension_recency": "RC",
            "store_join": 1,
            "spend_all": Decimal("0.00"),
            "spend_atv_all": Decimal("0.00"),
            "latest_shop_spend": Decimal("0.00"),
            "most_transacted_location": 1,
            "most_spend_location": None,  # its net spend is not above 0
        },
    ),
    case(
        "an average is rounded half-even",
        [purchase(AS_OF, "0.02"), purchase(AS_OF, "0.03")],
        {"spend_atv_all": Decimal("0.02"), "spend_atv_12m": Decimal("0.02")},  # 0.025
    ),
    case(
        "a negative average as well",
        [purchase(AS_OF, "0.01"), purchase(AS_OF, "0.02"), purchase(AS_OF, "-0.10")],
        {"spend_all": Decimal("-0.07"), "spend_atv_all": Decimal("-0.04")},  # -0.035
    ),
    case(
        "yen are stored with two decimals",
        [purchase(AS_OF, "100")],
        {
            "spend_all": Decimal("100.00"),
            "latest_shop_spend": Decimal("100.00"),
            "latest_shop_currency": "JPY",
        },
        community=Community(currency="JPY"),
    ),
    case(
        "dinars are stored with three",
        [purchase(AS_OF, "1.2345")],
        {"spend_all": Decimal("1.234"), "spend_atv_all": Decimal("1.234")},
        community=Community(currency="KWD"),
    ),
    case(
        "a profile of returns only",
        [purchase("2026-10-01", "-40.00", 1, items=(Item(brand="Acme", price_sell=Decimal("40")),))],
        {
            "shop_count": 0,
            "spend_all": Decimal("-40.00"),
            "spend_12m": Decimal("-40.00"),
            "spend_atv_all": None,
            "dimension_frequency": "F0",
            "dimension_recency": "R0",
            "spend_first_date": at("2026-10-01"),
            "store_join": None,
            "most_spend_location": None,
            "transacted_locations": [],
            "purchased_brands": ["Acme"],
            "discount_avg": None,
            "latest_shop_date": None,
        },
    ),
]

DISCOUNTED = Item(price_current=Decimal("100"), quantity=Decimal("2"), discounts=(Decimal("10"), Decimal("5")))
GOODS = [
    case(
        "the discount is that of the sold items of sales, and of the line",
        [
            purchase(
                *(AS_OF, "235.00"),
                items=(
                    *(DISCOUNTED, Item(price_sell=Decimal("50"))),  # 15 of 200, and 0 of 50 by its price_sell
                    *(replace(DISCOUNTED, is_void=True), replace(DISCOUNTED, quantity=Decimal("0"))),
                    replace(DISCOUNTED, quantity=Decimal("-1")),
                ),
            ),
            purchase(AS_OF, "-185.00", items=(DISCOUNTED,)),
        ],
        {"discount_avg": Decimal("6.00")},
    ),
    *(
        case(
            f"a discount of {discount} of 800 is a tie",
            [purchase(AS_OF, "10.00", items=(Item(price_sell=Decimal("800"), discounts=(Decimal(discount),)),))],
            {"discount_avg": Decimal(percent)},
        )
        for discount, percent in [("1", "0.12"), ("3", "0.38")]  # 0.125 and 0.375
    ),
    case(
        "each discount and price is taken at its transaction's rate",
        [
            purchase(AS_OF, "90.00", items=(Item(price_sell=Decimal("100"), discounts=(Decimal("10"),)),)),
            purchase(
                *(AS_OF, "50.00"),
                currency="USD",
                currency_rate=Decimal("0.5"),
                items=(Item(price_sell=Decimal("100"), discounts=(Decimal("50"),)),),
            ),
        ],
        {"discount_avg": Decimal("23.33")},  # (10 + 25) of (100 + 50)
    ),
    case(
        "goods for nothing have no discount",
        [purchase(AS_OF, "10.00", items=(Item(price_sell=Decimal("0"), discounts=(Decimal("1"),)),))],
        {"discount_avg": None},
    ),
    case(
        "brands are exact, in code-point order, the product's of now before the item's",
        [
            purchase("2026-10-01", "10.00", items=(Item(1, "Old"), Item(2, "acme"), Item(None, "Éclair"))),
            purchase("2026-10-01", "-1.00", items=(Item(None, "Acme"), Item(None, "Acme"), Item(2))),
            purchase("2026-10-01", "1.00", items=(Item(None, "Void", is_void=True), Item(None, "0", Decimal("0")))),
            purchase("2026-12-01", "1.00", items=(Item(None, "Future"),)),
        ],
        {"purchased_brands": ["Acme", "Zeta", "acme", "Éclair"]},
        products=[Product(1, "Zeta"), Product(2)],
    ),
]

SPEND = [*WINDOWS, *MONEY, *GOODS]
