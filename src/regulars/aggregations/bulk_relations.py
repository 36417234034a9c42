"""Relations with the same rows as declared ones, for an engine that computes all profiles together and sorts its facts.

PostgreSQL computes a few profiles at a time, for which one window costs less than another group and a join.
"""

from dataclasses import replace
from functools import lru_cache

from regulars.aggregations.aggregation import AggregationRegistry, Relation
from regulars.aggregations.definitions.likely_country import COUNTRIES, COUNTRIES_BY_JOIN
from regulars.aggregations.definitions.relations import LAST_12M
from regulars.aggregations.definitions.visits import SHOP_DAYS

# The facts say which sale is the first of its day.
_DAYS = "SELECT k, transacted_on FROM history WHERE opens_day"

_LATEST_DAY = Relation(
    "latest_day",
    "The transactions on the last shop day of the profile.",
    """
    SELECT history.k, history.amount
    FROM history
    JOIN (SELECT k, max(transacted_on) AS latest_on FROM history WHERE opens_day GROUP BY k) AS latest
      ON latest.k = history.k AND latest.latest_on = history.transacted_on
    """,
)

# Bounds for each profile, so that few rows need calendar arithmetic. A case evaluates it for these only.
_LAST_12M = """
SELECT history.k, history.amount, history.is_sale, history.location_id
FROM history
JOIN (
    SELECT k, last_at,
           last_at - INTERVAL '12 months' - INTERVAL '4 days' AS before_12m,
           last_at - INTERVAL '12 months' + INTERVAL '4 days' AS after_12m
    FROM (SELECT k, max(transacted_at) AS last_at FROM history GROUP BY k) AS latest
) AS recalculations ON recalculations.k = history.k AND history.transacted_at > recalculations.before_12m
WHERE CASE WHEN history.transacted_at > recalculations.after_12m THEN TRUE
           ELSE recalculations.last_at < leaves(history.transacted_at, 12) END
"""

_SQL = {
    SHOP_DAYS.name: _DAYS,
    LAST_12M.name: _LAST_12M,
    COUNTRIES.name: COUNTRIES_BY_JOIN,
}

_AGGREGATES = {"latest_shop_spend": (_LATEST_DAY, "sum(amount)")}
"""Values that are aggregates over another relation than the declared one, by name."""


@lru_cache(maxsize=256)
def for_all_profiles(registry: AggregationRegistry) -> AggregationRegistry:
    """The registry with these relations instead of the declared ones."""
    exchanged = {name: _AGGREGATES[name] for name in registry.by_name.keys() & _AGGREGATES.keys()}
    return replace(
        registry,
        aggregations=tuple(
            replace(each, relation=exchanged[each.name][0], sql=exchanged[each.name][1])
            if each.name in exchanged
            else each
            for each in registry.aggregations
        ),
        relations=(
            *(replace(each, sql=_SQL.get(each.name, each.sql)) for each in registry.relations),
            *(relation for relation, _ in exchanged.values()),
        ),
    )
