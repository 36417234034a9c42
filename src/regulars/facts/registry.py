"""The registry of all fact types."""

from regulars.facts.entities import LOCATIONS, MEMBERSHIPS, PRODUCTS, PROFILES
from regulars.facts.fact_type import FactTypeRegistry
from regulars.facts.link_visits import LINK_VISITS
from regulars.facts.members import MEMBERS
from regulars.facts.offer_collections import OFFER_COLLECTIONS
from regulars.facts.offer_events import OFFER_EVENTS
from regulars.facts.offers import OFFERS
from regulars.facts.purchases import PURCHASES
from regulars.facts.sending_events import SENDING_EVENTS
from regulars.facts.sendings import SENDINGS
from regulars.facts.transactions import TRANSACTIONS

FACT_TYPES = FactTypeRegistry(
    (
        LOCATIONS,
        PRODUCTS,
        PROFILES,
        MEMBERSHIPS,
        MEMBERS,
        SENDINGS,
        SENDING_EVENTS,
        LINK_VISITS,
        OFFER_COLLECTIONS,
        OFFERS,
        OFFER_EVENTS,
        TRANSACTIONS,
        PURCHASES,
    )
)
"""All fact types. Each can be loaded after those before it; commits record and erase in this order, which is also the
order of locks."""
