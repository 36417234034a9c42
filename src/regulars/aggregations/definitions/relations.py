"""Input relations and shared measures of the definitions; each engine provides the relations in its own SQL."""

from regulars.aggregations.aggregation import Relation, SharedMeasure, TimeTrigger

HISTORY = Relation(
    "history",
    "The profile's counted transactions. n is their order by (transacted_at, external_id, id); is_sale is "
    "total > 0; has_amount is total <> 0; channels are bits (1 pos, 2 web); within_12m and within_24m are true while "
    "as_of < transacted_at + 12 or 24 months.",
)

SOLD_BRANDS = Relation("sold", "The brands of the sold items of the profile's counted transactions.")

MEMBER = Relation(
    "member",
    "One row a profile: as_of, joined_at, joined_on and today (dates in the community's zone), zone, currency, "
    "next_future_at (the next transaction dated after as_of), joined_location_id, preferred_location_id.",
)

LOCATIONS = Relation("locations", "The community's locations: location_id, external_id, country, iso_state, state.")

ADDRESSES = Relation("addresses", "The profile's stored addresses: is_default, country, iso_state, state.")

NEXT_FUTURE_FACT = TimeTrigger("next_future_fact", None, "next_future_at")
"""A transaction dated in the future counts from that instant on."""

LAST_12M = Relation(
    "last_12m",
    "The counted transactions within 12 months of the profile's last one, which is its last recalculation.",
    """
    SELECT history.k, history.amount, history.is_sale, history.location_id
    FROM history
    JOIN (SELECT k, max(transacted_at) AS last_at FROM history GROUP BY k) AS recalculations
      ON recalculations.k = history.k
    WHERE recalculations.last_at < leaves(history.transacted_at, 12)
    """,
)

IN_LAST_12M = "spend_last_date < transacted_at + INTERVAL '12 months'"
"""Selects the rows of `history` that are in `last_12m`, to explain a value."""

LAST_SALE_AT = SharedMeasure("last_sale_at", HISTORY, "max(transacted_at) FILTER (WHERE is_sale)")

LEAVES_12M_WINDOW = TimeTrigger(
    "leaves_12m_window", HISTORY, "min(leaves(transacted_at, 12)) FILTER (WHERE within_12m)"
)
SALE_LEAVES_24M_WINDOW = TimeTrigger(
    "sale_leaves_24m_window", HISTORY, "min(leaves(transacted_at, 24)) FILTER (WHERE is_sale AND within_24m)"
)
