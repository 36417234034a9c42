"""Likely country and state of a profile: a weighted vote of its purchases, locations and addresses.

Shares are compared as exact fractions. The weight of a source is divided by its number of votes, so each vote is
multiplied by the counts of both divided sources, which makes all numbers integers.
"""

from regulars.aggregations.aggregation import Aggregation, Relation, SharedMeasure
from regulars.aggregations.definitions.relations import NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW
from regulars.core.field_type import FieldType

VOTES = Relation(
    "votes",
    "Votes for a place: source 1 is a location with n sales within 24 months, 2 the joined or the preferred "
    "location (n is 1), 3 an address (n is 2 for the default one); with its country, iso_state and state.",
    """
    SELECT k, 1 AS source, sales_24m AS n, country, iso_state, state
    FROM places
    WHERE sales_24m > 0 AND country IS NOT NULL
    UNION ALL
    SELECT named.k, 2, 1, locations.country, locations.iso_state, locations.state
    FROM (
        SELECT k, joined_location_id AS location_id FROM member
        UNION ALL
        SELECT k, preferred_location_id FROM member
    ) AS named
    JOIN locations ON locations.location_id = named.location_id
    WHERE locations.country IS NOT NULL
    UNION ALL
    SELECT k, 3, CASE WHEN is_default THEN 2 ELSE 1 END, country, iso_state, state
    FROM addresses
    WHERE country IS NOT NULL
    """,
)


_VOTES_BY_SOURCE = """CAST(coalesce(sum(n) FILTER (WHERE source = 1), 0) AS BIGINT) AS sale_votes,
                           count(*) FILTER (WHERE source = 2) AS named,
                           CAST(coalesce(sum(n) FILTER (WHERE source = 3), 0) AS BIGINT) AS address_votes"""


def election(name: str, meaning: str, key: str, voters: str) -> Relation:
    """Relation of the `winner` and its `score` (1 is the strongest) for each `key`, among the places of `voters`.

    `voters` is a SELECT of the key columns, `place`, `source` and `n`. The weights of source 1 (4) and source 3 (2) are
    divided among their votes, each vote of source 2 has weight 2.
    """
    return Relation(
        name,
        meaning,
        election_sql(
            key,
            f"""
                SELECT {key}, place, sale_votes, named, address_votes,
                       CAST(sum(sale_votes) OVER (PARTITION BY {key}) AS BIGINT) AS sales_total,
                       CAST(sum(named) OVER (PARTITION BY {key}) AS BIGINT) AS references_total,
                       CAST(sum(address_votes) OVER (PARTITION BY {key}) AS BIGINT) AS addresses_total
                FROM (
                    SELECT {key}, place,
                           {_VOTES_BY_SOURCE}
                    FROM ({voters}) AS voters
                    GROUP BY {key}, place
                ) AS votes_by_place
            """,
        ),
    )


def election_sql(key: str, compared: str) -> str:
    """SELECT of the winner for each `key`, from a SELECT of the votes of each place by source, with their totals."""
    return f"""
        SELECT DISTINCT ON ({key}) {key}, place AS winner,
               CASE WHEN 4 * votes >= 3 * total_votes THEN 1
                    WHEN 2 * votes >= total_votes THEN 2
                    WHEN 4 * votes >= total_votes THEN 3
                    ELSE 4 END AS score
        FROM (
            SELECT {key}, place,
                   4 * sale_votes * greatest(addresses_total, 1)
                       + 2 * named * greatest(sales_total, 1) * greatest(addresses_total, 1)
                       + 2 * address_votes * greatest(sales_total, 1) AS votes,
                   greatest(sales_total, 1) * greatest(addresses_total, 1) * (
                       CASE WHEN sales_total > 0 THEN 4 ELSE 0 END
                           + 2 * references_total
                           + CASE WHEN addresses_total > 0 THEN 2 ELSE 0 END
                   ) AS total_votes
            FROM ({compared}) AS compared
        ) AS counted
        ORDER BY {key}, votes DESC, place
        """


COUNTRIES = election(
    "countries",
    "The country with the largest share of the votes.",
    "k",
    "SELECT k, country AS place, source, n FROM votes",
)

STATES = election(
    "states",
    "The same vote among the states of that country: level 1 is the ISO 3166-2 code, level 2 the name.",
    "k, level",
    """
    SELECT k, level, CASE level WHEN 1 THEN iso_state ELSE state END AS place, source, n
    FROM (
        SELECT votes.k, votes.iso_state, votes.state, votes.source, votes.n
        FROM votes
        JOIN countries ON countries.k = votes.k AND countries.winner = votes.country
        WHERE votes.iso_state IS NOT NULL OR votes.state IS NOT NULL
    ) AS within
    CROSS JOIN (SELECT 1 AS level UNION ALL SELECT 2) AS levels
    WHERE CASE level WHEN 1 THEN iso_state ELSE state END IS NOT NULL
    """,
)

COUNTRIES_BY_JOIN = election_sql(
    "k",
    f"""
    SELECT by_place.*, totals.sale_votes AS sales_total, totals.named AS references_total,
           totals.address_votes AS addresses_total
    FROM (SELECT k, country AS place, {_VOTES_BY_SOURCE} FROM votes GROUP BY k, country) AS by_place
    JOIN (SELECT k, {_VOTES_BY_SOURCE} FROM votes GROUP BY k) AS totals ON totals.k = by_place.k
    """,
)
"""SQL of COUNTRIES that groups twice instead of summing over windows, which sort."""

RELATIONS = (VOTES, COUNTRIES, STATES)
MEASURES: tuple[SharedMeasure, ...] = ()

_EXPLAIN_FIELDS = ("joined_location_id", "preferred_location_id", "addresses")
_EXPLAIN_FILTER = "is_sale AND within_24m AND has_country"
_SCORE = "Confidence of {}: 1 for a share of at least 3/4 of the votes, 2 for 1/2, 3 for 1/4, else 4."


def _by_vote(name: str, kind: FieldType, over: Relation, sql: str, meaning: str) -> Aggregation:
    return Aggregation(
        name,
        kind,
        description=meaning,
        relation=over,
        sql=sql,
        time_triggers=(NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW),
        explain_filter=_EXPLAIN_FILTER,
        explain_fields=_EXPLAIN_FIELDS,
    )


def _derived(name: str, kind: FieldType, as_: str, meaning: str) -> Aggregation:
    return Aggregation(
        name,
        kind,
        description=meaning,
        sql=as_,
        time_triggers=(NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW),
        explain_filter=_EXPLAIN_FILTER,
        explain_fields=_EXPLAIN_FIELDS,
    )


AGGREGATIONS = (
    _by_vote(
        "likely_country",
        FieldType.ENUM,
        COUNTRIES,
        "min(winner)",
        "Country (ISO 3166-1 alpha-2) with the largest share of the votes of the sales within 24 months "
        "(weight 4), the joined location (2), the preferred location (2) and the addresses (2).",
    ),
    _by_vote("likely_country_score", FieldType.INTEGER, COUNTRIES, "min(score)", _SCORE.format("likely_country")),
    _derived(
        "likely_country_iso", FieldType.COUNTRY_ALPHA_3, "likely_country", "likely_country as ISO 3166-1 alpha-3."
    ),
    _derived(
        "likely_country_iso_score", FieldType.INTEGER, "likely_country_score", _SCORE.format("likely_country_iso")
    ),
    _by_vote(
        "likely_state_iso",
        FieldType.STRING,
        STATES,
        "min(winner) FILTER (WHERE level = 1)",
        "State (ISO 3166-2) within likely_country with the largest share of the same votes.",
    ),
    _by_vote(
        "likely_state_iso_score",
        FieldType.INTEGER,
        STATES,
        "min(score) FILTER (WHERE level = 1)",
        _SCORE.format("likely_state_iso"),
    ),
    _by_vote(
        "likely_region",
        FieldType.STRING,
        STATES,
        "min(winner) FILTER (WHERE level = 2)",
        "Name of the state within likely_country with the largest share of the same votes.",
    ),
    _by_vote(
        "likely_region_score",
        FieldType.INTEGER,
        STATES,
        "min(score) FILTER (WHERE level = 2)",
        _SCORE.format("likely_region"),
    ),
)
