"""Which customers a request is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Customer:
    """A community that a request reaches: its numbers, and what its money and times are read by.

    `community_id` is the key of all its rows; `smallest_cell` is the least count that its organization shows, or None.
    """

    community_id: int
    loyalty_club_id: int
    customer_id: int
    organization_id: int
    slug: str
    name: str
    timezone: str
    currency: str
    minor_digits: int
    attributes: Mapping[str, Any]
    smallest_cell: int | None = None
