"""Boundaries of the locations and of the likely country, state and region."""

from __future__ import annotations

from typing import Any

from aggregations.case import AS_OF, case, purchase
from oracle import Address, Location, Transaction

OLD = "2024-11-01"  # at as_of this has just left the 24 months

MOST = [
    case(
        "of as many sales, the later last sale decides",
        [purchase("2026-10-02", "10.00", 1), purchase("2026-10-01", "10.00", 2)],
        {"most_transacted_location": 1, "transacted_locations": [1, 2]},
    ),
    case(
        "of equal last instants the location's external id decides, not the transaction's",
        [
            purchase("2026-10-01", "10.00", 4),
            purchase("2026-10-02", "10.00", 2, external_id="1"),
            purchase("2026-10-02", "10.00", 1, external_id="2"),
            purchase("2026-10-02", "10.00", 3, external_id="3"),
        ],
        {
            "most_transacted_location": 1,  # "10" before "9" before null
            "most_spend_location": 1,
            "most_spend_12m_location": 1,
            "transacted_locations": [1, 2, 3, 4],
        },
        locations=[Location(4), Location(3), Location(2, "9"), Location(1, "10")],
    ),
    case(
        "most sales are those within 24 months",
        [purchase(OLD, "10.00", 1), purchase(OLD, "10.00", 1), purchase("2024-11-01 00:00:00.000001", "1.00", 2)],
        {"most_transacted_location": 2, "most_spend_location": 1},
    ),
    case(
        "of all time where no sale is within 24 months, though a return is",
        [
            purchase(OLD, "10.00", 1),
            purchase(OLD, "10.00", 1),
            purchase(OLD, "99.00", 2),
            purchase(AS_OF, "-1.00", 2),
        ],
        {"most_transacted_location": 1, "most_spend_location": 2, "most_spend_12m_location": None},
    ),
    case(
        "none where the sales within 24 months have no location",
        [purchase(OLD, "10.00", 1), purchase(AS_OF, "10.00")],
        {"most_transacted_location": None, "store_join": 1},
    ),
    case(
        "the largest spend is net of returns, and within its months",
        [
            purchase("2025-10-05", "100.00", 1),
            purchase("2026-10-01", "60.00", 2),
            purchase("2026-10-02", "50.00", 2),
            purchase("2026-10-03", "-20.00", 2),
            purchase("2026-10-04", "10.00", 1),
            purchase("2026-10-05", "999.00"),
        ],
        {"most_spend_location": 1, "most_spend_12m_location": 2},
    ),
    case(
        "the tie of a window looks at the last sale there of all",
        # At 15:00 the sale of 29 February has left, at 10:00; those of the 28th stay until 20:00 and 21:00.
        [
            purchase("2024-02-28 20:00", "10.00", 1),
            purchase("2024-02-28 21:00", "10.00", 2),
            purchase("2024-02-29 10:00", "10.00", 1),
        ],
        {"most_transacted_location": 1},
        as_of="2026-02-28 15:00",
    ),
    case(
        "a place of returns only is not one of transacted_locations",
        [purchase("2026-10-01", "-10.00", 1), purchase("2026-10-02", "10.00", 2)],
        {"transacted_locations": [2], "most_spend_location": 2},
    ),
]

NORWAY = Location(1, "O", country="NO", iso_state="NO-03", state="Oslo")
BERGEN = Location(2, "B", country="NO", iso_state="NO-46", state="Vestland")
NORDIC = [
    *(NORWAY, BERGEN, Location(3, country="SE", iso_state="SE-AB", state="Stockholm")),
    *(Location(4, country="DK"), Location(5, country="FI"), Location(6, country="IS"), Location(7)),
]
TO_NORWAY, TO_SWEDEN, TO_DENMARK, TO_NOWHERE = (purchase(AS_OF, "1.00", place) for place in (1, 3, 4, 7))
AT_FOUR = [purchase(AS_OF, "1.00", place) for place in (1, 3, 4, 5)]
ADDRESSES = {code: Address(code) for code in ("NO", "SE", "DK", "FI")}

COUNTRY_VOTES: list[tuple[str, list[Transaction], dict[str, Any], str | None, str | None, int | None]] = [
    (
        "a share of exactly 3/4",  # 4 + 2 of 8
        [TO_NORWAY],
        {"joined_location_id": 1, "preferred_location_id": 3},
        *("NO", "NOR", 1),
    ),
    ("a share of 2/3", [TO_NORWAY], {"joined_location_id": 3}, "NO", "NOR", 2),
    (
        "a share of exactly 1/2",  # 4 of 8
        [TO_NORWAY],
        {"joined_location_id": 3, "preferred_location_id": 4},
        *("NO", "NOR", 2),
    ),
    (
        "a share of exactly 1/4, and the first of the alphabet",  # 1 + 1/2 of 6, four times
        AT_FOUR,
        {"addresses": tuple(ADDRESSES.values())},
        *("DK", "DNK", 3),
    ),
    ("a share of 1/5", [*AT_FOUR, purchase(AS_OF, "1.00", 6)], {}, "DK", "DNK", 4),
    (
        "a share of 5/12",  # 4/3 + 2 of 8, against 4/3 + 4/3
        [TO_NORWAY, TO_SWEDEN, TO_DENMARK],
        {"joined_location_id": 3, "addresses": (ADDRESSES["NO"], ADDRESSES["NO"], ADDRESSES["DK"])},
        *("SE", "SWE", 3),
    ),
    (
        "the alphabet decides a tie",
        [],
        {"joined_location_id": 3, "preferred_location_id": 4},
        *("DK", "DNK", 2),
    ),
    (
        "the default address counts twice",  # so that Norway has as much as Sweden
        [],
        {"addresses": (Address("NO", is_default=True), ADDRESSES["SE"], ADDRESSES["SE"])},
        *("NO", "NOR", 2),
    ),
    (
        "an address without a country takes no share",  # else Norway would win
        [],
        {"addresses": (Address(is_default=True), ADDRESSES["DK"]), "joined_location_id": 1},
        *("DK", "DNK", 2),
    ),
    (
        "a sale at a place without a country takes no share",  # else Sweden would win
        [TO_NORWAY, TO_NOWHERE, TO_NOWHERE],
        {"joined_location_id": 3, "preferred_location_id": 3},
        *("NO", "NOR", 2),
    ),
    ("a sale votes for 24 months", [purchase(OLD, "1.00", 1)], {"joined_location_id": 3}, "SE", "SWE", 1),
    ("a return does not vote", [purchase(AS_OF, "-1.00", 1)], {"joined_location_id": 3}, "SE", "SWE", 1),
    ("no vote", [TO_NOWHERE], {"joined_location_id": 7, "addresses": (Address(),)}, None, None, None),
]
COUNTRIES = [
    case(
        f"likely country: {name}",
        transactions,
        {
            "likely_country": country,
            "likely_country_score": score,
            "likely_country_iso": iso,
            "likely_country_iso_score": score,
        },
        locations=NORDIC,
        **sources,
    )
    for name, transactions, sources, country, iso, score in COUNTRY_VOTES
]

STATES = [
    case(
        "the states are voted for within the likely country",
        [purchase(AS_OF, "1.00", 1), purchase(AS_OF, "1.00", 2), purchase(AS_OF, "1.00", 3)],
        {
            "likely_country": "NO",
            "likely_state_iso": "NO-03",  # 2 of 4, as NO-46
            "likely_state_iso_score": 2,
            "likely_region": "Oslo",  # 2 + 2 of 6
            "likely_region_score": 2,
        },
        locations=NORDIC,
        addresses=(Address("NO", None, "Oslo"), Address("SE", "SE-AB", "Stockholm")),
    ),
    case(
        "a region of the same name elsewhere has no vote",
        [purchase(AS_OF, "1.00", 1)],
        # Were Canada's ACT to count, both had 4 and the alphabet gave ACT.
        {"likely_country": "AU", "likely_region": "Victoria", "likely_region_score": 2},
        locations=[
            Location(1, country="AU", state="Victoria"),
            Location(2, country="AU", state="ACT"),
            Location(3, country="CA", state="ACT"),
        ],
        joined_location_id=2,
        preferred_location_id=3,
    ),
    case(
        "a source shares its weight among the places that have the field",
        [],
        # The address without a state leaves both votes of the addresses to NO-46, as many as NO-03 has.
        {"likely_country": "NO", "likely_state_iso": "NO-03", "likely_state_iso_score": 2},
        locations=NORDIC,
        joined_location_id=1,
        addresses=(Address("NO", is_default=True), Address("NO", "NO-46")),
    ),
    case(
        "a country without states has none",
        [purchase(AS_OF, "1.00", 4)],
        {
            "likely_country": "DK",
            "likely_state_iso": None,
            "likely_state_iso_score": None,
            "likely_region": None,
        },
        locations=NORDIC,
    ),
    case(
        "a state without a country has no vote",
        [],
        {"likely_country": None, "likely_region": None, "likely_region_score": None},
        addresses=(Address(None, "NO-03", "Oslo"),),
    ),
]

PLACES = [*MOST, *COUNTRIES, *STATES]
