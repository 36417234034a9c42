"""Which columns of given tables values are made of: the others are neither read nor checked."""

from collections.abc import Mapping, Set
from dataclasses import replace

from regulars.offline.schema import ITEM_COLUMNS
from regulars.offline.structures import InputTable

BRAND_AMOUNT = "brand_amount"
"""What is read where the lines of each brand are added up."""

_PRICES = {"items", *ITEM_COLUMNS}
_BRANDS = {"sku", "brand", "variants"}

# By what definitions read; what is not told here is read in any case.
_MADE_OF: Mapping[str, Mapping[str, Set[str]]] = {
    "discount": {"transactions": _PRICES},
    "list_value": {"transactions": _PRICES},
    BRAND_AMOUNT: {"transactions": _PRICES, "products": _BRANDS},
    "brand": {"transactions": {"items", "sku", "brand", "quantity"}, "products": _BRANDS},
    "channels": {"transactions": {"systems", "location"}},
    "location_id": {"transactions": {"location"}},
    "joined_on": {"profiles": {"joined_at"}},
    "joined_at": {"profiles": {"joined_at"}},
    "joined_location_id": {"profiles": {"joined_location_external_id"}},
    "preferred_location_id": {"profiles": {"preferred_location_external_id"}},
    "is_default": {"profiles": {"addresses"}},
}


def prune_columns(sources: Mapping[str, InputTable], read: Set[str]) -> dict[str, InputTable]:
    """The tables with the columns that definitions need who read these names."""
    may_go: set[tuple[str, str]] = set()
    stay: set[tuple[str, str]] = set()
    for name, tables in _MADE_OF.items():
        made_of = {(table, column) for table, columns in tables.items() for column in columns}
        may_go |= made_of
        stay |= made_of if name in read else set()
    if "locations" in sources and sources["locations"].has("timezone"):
        # What is local is so by the location.
        stay.add(("transactions", "location"))
    goes = may_go - stay
    return {
        name: replace(source, columns={own: given for own, given in source.columns.items() if (name, own) not in goes})
        for name, source in sources.items()
    }
