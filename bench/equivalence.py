"""Asserts that the values of a peer equal those of the product, to the cent, because only then costs are comparable."""

from pathlib import Path

import duckdb

COMMON_VALUES = (
    "spend_all",
    "spend_12m_now",
    "spend_first_date",
    "spend_last_date",
    "shop_count",
    "total_shop_days",
    "first_shop_date",
    "latest_shop_date",
    "dimension_frequency",
    "dimension_recency",
    "most_transacted_location",
    "purchased_brands",
)

_COMPARED = """
SELECT count(peer.profile), count(*) FILTER (WHERE peer.profile IS NULL), {differences}
FROM '{own}' AS own
FULL JOIN '{peer}' AS peer ON peer.profile = own.profile_id
WHERE peer.profile IS NOT NULL OR own.spend_first_date IS NOT NULL
"""


def assert_equal_values(own: Path, peer: Path, names: tuple[str, ...] = COMMON_VALUES) -> int:
    """How many profiles two files of values have in common, all values by these names equal.

    A peer has no row for who bought nothing yet. Raises AssertionError with the values that differ.
    """
    differences = ", ".join(f"count(*) FILTER (WHERE own.{name} IS DISTINCT FROM peer.{name})" for name in names)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(_COMPARED.format(own=own, peer=peer, differences=differences)).fetchone()
    assert row is not None
    profiles, missing, *counts = row
    differing = {name: count for name, count in zip(names, counts, strict=True) if count}
    assert profiles, f"{peer.name}: no profiles"
    assert not missing, f"{peer.name}: {missing} profiles are missing"
    assert not differing, f"{peer.name}: of {profiles} profiles differ {differing}"
    return int(profiles)


_DIFFERING = """
SELECT count(*) FROM (
    (FROM '{one}' EXCEPT ALL FROM '{other}') UNION ALL (FROM '{other}' EXCEPT ALL FROM '{one}')
)
"""


def assert_equal_files(one: Path, other: Path) -> int:
    """How many rows of values two files have, all of them equal. Raises AssertionError where they are not."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        differing = connection.execute(_DIFFERING.format(one=one, other=other)).fetchone()
        rows = connection.execute(f"SELECT count(*) FROM '{one}'").fetchone()
    assert differing == (0,), f"{one.name}, {other.name}: {differing[0] if differing else 0} rows differ"
    assert rows is not None
    assert rows[0], "no rows"
    return int(rows[0])


def assert_equal_days(purchases: Path, own: Path, summary: Path) -> int:
    """How many customers without a free purchase have the days that lifetimes finds: their number, first to last.

    lifetimes counts a day of a free purchase, by the product's definition that is no shop day. Raises AssertionError.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(_DAYS.format(purchases=purchases, own=own, summary=summary)).fetchone()
    assert row is not None
    customers, differing = row
    assert customers, "no customers"
    assert not differing, f"{differing} of {customers} customers differ"
    return int(customers)


_DAYS = """
SELECT count(*), count(*) FILTER (WHERE total_shop_days <> frequency + 1
                                     OR latest_shop_date - first_shop_date <> recency)
FROM '{own}' AS own
JOIN '{summary}' AS theirs ON theirs.profile = own.profile_id
WHERE own.profile_id NOT IN (SELECT profile FROM '{purchases}' WHERE total = 0)
"""
