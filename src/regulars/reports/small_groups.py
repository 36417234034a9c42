"""Which groups of members are suppressed, because they are so small that they might identify a person.

Groups of a set follow from each other where the sum is known. Suppressed are all groups that have members, but fewer than
the minimum. In a set with such groups, the smallest others are suppressed as well until those suppressed have at least the
minimum together, and not a single member each. Where a member may be in several groups, that is certain only once one of
those suppressed has the minimum by itself. The rule is here twice: for counts that are added up over communities, and in
SQL for the rows of one.
"""

from collections.abc import Iterable, Sequence, Set
from typing import TypeVar

Group = TypeVar("Group")

ALTERNATIVES = ("consent", "marketing")
"""Grouping types that come in pairs: `consent_true` and `consent_false` of a name are of one set."""


def set_of_group(grouping_type: str, grouping_value: str) -> tuple[str, str | None]:
    """The set of a group: groups of one grouping type, or the alternatives of a name."""
    kind, _, _ = grouping_type.rpartition("_")
    return (kind, grouping_value) if kind in ALTERNATIVES else (grouping_type, None)


_IS_ALTERNATIVE = f"grouping_type ~ '^({'|'.join(ALTERNATIVES)})_(true|false)$'"

SMALLER_GROUPS = f"""
                PARTITION BY
                    CASE WHEN {_IS_ALTERNATIVE} THEN split_part(grouping_type, '_', 1) ELSE grouping_type END,
                    CASE WHEN {_IS_ALTERNATIVE} THEN grouping_value END
                ORDER BY members_count, grouping_value COLLATE "C"
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"""
"""The window of the smaller groups of a set, among groups that have members."""

IS_SUPPRESSED = "members_count < $min_cell_size OR smaller_count < greatest($min_cell_size, smaller_groups + 1)"
"""Whether a group is suppressed if the minimum is above 1, by the number of smaller groups and their members."""


def small_groups(counts: Iterable[tuple[Group, int]], minimum: int) -> set[Group]:
    """The groups that have members, but fewer than the minimum."""
    return {group for group, count in counts if 0 < count < minimum}


def complementary_groups(
    in_order: Sequence[tuple[Group, int]], suppressed: Set[Group], minimum: int, is_overlapping: bool
) -> set[Group]:
    """The groups of a set to suppress beside those that are suppressed already. `in_order` are all that have members,
    by their size. A member may be in several of them if the set `is_overlapping`.
    """
    sizes = [count for group, count in in_order if group in suppressed]
    found: set[Group] = set()
    if not sizes:
        return found
    for group, count in in_order:
        are_enough = max(sizes) >= minimum if is_overlapping else sum(sizes) >= max(minimum, len(sizes) + 1)
        if are_enough:
            break
        if group not in suppressed:
            found.add(group)
            sizes.append(count)
    return found
