"""What definitions are written over. Each engine gives these relations in its own way (compile.py)."""

from regulars.aggregations.aggregation import Relation, SharedMeasure, TimeTrigger

HISTORY = Relation(
    "history",
    "The profile's counted transactions. n numbers them in order (transacted_at, external_id, id); is_sale says "
    "total > 0; moves says total <> 0; channels are bits (1 pos, 2 web); within_12m and within_24m are true while "
    "as_of < transacted_at + that many months.",
)

SOLD_BRANDS = Relation("sold", "The brands of the sold items of the profile's counted transactions.")

MEMBER = Relation(
    "member",
    "One row a profile: as_of, joined_at, joined_on and today (dates in the community's zone), zone, currency, "
    "falls_due_at (the next transaction dated after as_of), joined_location_id, preferred_location_id.",
)

LOCATIONS = Relation("locations", "The community's locations: location_id, external_id, country, iso_state, state.")

ADDRESSES = Relation("addresses", "The profile's stored addresses: is_default, country, iso_state, state.")

NEXT_FUTURE_FACT = TimeTrigger("falls_due", None, "falls_due_at")
"""A transaction that is dated in the future counts from then on."""

SALES_12M = SharedMeasure("sales_12m", HISTORY, "count(*) FILTER (WHERE is_sale AND within_12m)")
LAST_SALE_AT = SharedMeasure("last_sale_at", HISTORY, "max(transacted_at) FILTER (WHERE is_sale)")

LEAVES_12M_WINDOW = TimeTrigger("leaves_12m", HISTORY, "min(leaves(transacted_at, 12)) FILTER (WHERE within_12m)")
SALE_LEAVES_24M_WINDOW = TimeTrigger(
    "sale_leaves_24m", HISTORY, "min(leaves(transacted_at, 24)) FILTER (WHERE is_sale AND within_24m)"
)
