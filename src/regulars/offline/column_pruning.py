"""Drops input columns that the selected values do not need, so that they are neither read nor validated."""

from collections.abc import Mapping, Set
from dataclasses import replace

from regulars.offline.schema import ITEM_COLUMNS
from regulars.offline.structures import InputTable

BRAND_AMOUNT = "brand_amount"
"""Pseudo-column that stands for the amounts of brands."""

_PRICES = {"items", *ITEM_COLUMNS}
_BRANDS = {"sku", "brand", "variants"}

# Input columns by the columns that definitions read; input columns that are not listed are always read.
_DEPENDENCIES: Mapping[str, Mapping[str, Set[str]]] = {
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


def prune_columns(inputs: Mapping[str, InputTable], read: Set[str]) -> dict[str, InputTable]:
    """The input tables with only those columns that are needed to read `read`."""
    optional: set[tuple[str, str]] = set()
    required: set[tuple[str, str]] = set()
    for name, tables in _DEPENDENCIES.items():
        dependencies = {(table, column) for table, columns in tables.items() for column in columns}
        optional |= dependencies
        required |= dependencies if name in read else set()
    if "locations" in inputs and inputs["locations"].has("timezone"):
        # The time zone of local times is that of the location.
        required.add(("transactions", "location"))
    dropped = optional - required
    return {
        name: replace(
            table, columns={each: column for each, column in table.columns.items() if (name, each) not in dropped}
        )
        for name, table in inputs.items()
    }
