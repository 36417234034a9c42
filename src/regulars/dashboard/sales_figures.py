"""Figures of sales, compared with the period before and with a year ago."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEASURES = ("transactions", "net_amount", "members", "average_value")
"""The measures of sales that pages show; `members` are the distinct buyers."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure with those of the period before and of a year ago; None is unknown.

    `is_suppressed` is set if it is None because too few members are counted.
    """

    value: Any = None
    before: Any = None
    year_before: Any = None
    is_suppressed: bool = field(default=False, kw_only=True)


def sales_figures(*answers: Any) -> dict[str, Compared]:
    """The figures of `transactions_stats` without groups: of a period, and of those it is compared with."""
    rows = [_only_group(each) for each in answers]
    is_suppressed = "masked" in rows[0]
    values = [row.get("values", {}) for row in rows]
    figures = {name: Compared(*(each.get(name) for each in values), is_suppressed=is_suppressed) for name in MEASURES}
    return {"buyers" if name == "members" else name: each for name, each in figures.items()}


def _only_group(answer: Any) -> Mapping[str, Any]:
    groups = [] if answer is None else answer["statistics"]
    found: Mapping[str, Any] = groups[0] if groups else {}
    return found
