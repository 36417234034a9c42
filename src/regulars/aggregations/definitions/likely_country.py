"""Where a profile probably lives: a vote of its purchases, its locations and its addresses.

Shares are compared as exact fractions: a source's weight is shared by its numbers, so each vote is
multiplied by the numbers of both shared sources, and all are whole.
"""

from regulars.aggregations.aggregation import Aggregation, Relation, SharedMeasure
from regulars.aggregations.definitions.relations import NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW
from regulars.core.field_type import FieldType

VOTES = Relation(
    "votes",
    "What speaks for a place: source 1 a location bought at within 24 months (n sales), 2 the joined or the "
    "preferred location (n is 1), 3 an address (n is 2 for the default one); country, iso_state and state of it.",
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


def election(name: str, meaning: str, seat: str, voters: str) -> Relation:
    """The vote among the places of `voters`, for each `seat`: its `winner` and the `score` of that, 1 the strongest.

    `voters` gives the columns of the seat, `place`, `source` and `n`. Sources 1 (weight 4) and 3 (weight 2) are
    shared by their numbers, each vote of source 2 weighs 2.
    """
    return Relation(
        name,
        meaning,
        f"""
        SELECT DISTINCT ON ({seat}) {seat}, place AS winner,
               CASE WHEN 4 * votes >= 3 * cast_votes THEN 1
                    WHEN 2 * votes >= cast_votes THEN 2
                    WHEN 4 * votes >= cast_votes THEN 3
                    ELSE 4 END AS score
        FROM (
            SELECT {seat}, place,
                   4 * bought * greatest(lived_in_all, 1)
                       + 2 * named * greatest(bought_in_all, 1) * greatest(lived_in_all, 1)
                       + 2 * lived * greatest(bought_in_all, 1) AS votes,
                   greatest(bought_in_all, 1) * greatest(lived_in_all, 1) * (
                       CASE WHEN bought_in_all > 0 THEN 4 ELSE 0 END
                           + 2 * named_in_all
                           + CASE WHEN lived_in_all > 0 THEN 2 ELSE 0 END
                   ) AS cast_votes
            FROM (
                SELECT {seat}, place, bought, named, lived,
                       CAST(sum(bought) OVER (PARTITION BY {seat}) AS BIGINT) AS bought_in_all,
                       CAST(sum(named) OVER (PARTITION BY {seat}) AS BIGINT) AS named_in_all,
                       CAST(sum(lived) OVER (PARTITION BY {seat}) AS BIGINT) AS lived_in_all
                FROM (
                    SELECT {seat}, place,
                           CAST(coalesce(sum(n) FILTER (WHERE source = 1), 0) AS BIGINT) AS bought,
                           count(*) FILTER (WHERE source = 2) AS named,
                           CAST(coalesce(sum(n) FILTER (WHERE source = 3), 0) AS BIGINT) AS lived
                    FROM ({voters}) AS voters
                    GROUP BY {seat}, place
                ) AS tallied
            ) AS compared
        ) AS counted
        ORDER BY {seat}, votes DESC, place
        """,
    )


COUNTRIES = election(
    "countries",
    "The country with the largest share of the votes.",
    "k",
    "SELECT k, country AS place, source, n FROM votes",
)

STATES = election(
    "districts",
    "The same vote among the states within that country: by level, 1 their ISO 3166-2 codes, 2 their names.",
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

RELATIONS = (VOTES, COUNTRIES, STATES)
MEASURES: tuple[SharedMeasure, ...] = ()

_USES = ("joined_location_id", "preferred_location_id", "addresses")
_EVIDENCE = "is_sale AND within_24m AND has_country"
_SCORE = "How strong {} is: 1 for a share of at least 3/4 of the votes, 2 for 1/2, 3 for 1/4, else 4."


def _elected(name: str, kind: FieldType, over: Relation, sql: str, meaning: str) -> Aggregation:
    return Aggregation(
        name,
        kind,
        description=meaning,
        relation=over,
        sql=sql,
        time_triggers=(NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW),
        explain_filter=_EVIDENCE,
        explain_fields=_USES,
    )


def _same(name: str, kind: FieldType, as_: str, meaning: str) -> Aggregation:
    return Aggregation(
        name,
        kind,
        description=meaning,
        sql=as_,
        time_triggers=(NEXT_FUTURE_FACT, SALE_LEAVES_24M_WINDOW),
        explain_filter=_EVIDENCE,
        explain_fields=_USES,
    )


AGGREGATIONS = (
    _elected(
        "likely_country",
        FieldType.ENUM,
        COUNTRIES,
        "min(winner)",
        "The country, as ISO 3166-1 alpha-2, with the largest share of the votes of the sales within 24 months "
        "(weight 4), the joined location (2), the preferred location (2) and the addresses (2).",
    ),
    _elected("likely_country_score", FieldType.INTEGER, COUNTRIES, "min(score)", _SCORE.format("likely_country")),
    _same("likely_country_iso", FieldType.COUNTRY_ALPHA_3, "likely_country", "likely_country as ISO 3166-1 alpha-3."),
    _same("likely_country_iso_score", FieldType.INTEGER, "likely_country_score", _SCORE.format("likely_country_iso")),
    _elected(
        "likely_state_iso",
        FieldType.STRING,
        STATES,
        "min(winner) FILTER (WHERE level = 1)",
        "The state, as ISO 3166-2, with the largest share of the same votes among places within likely_country.",
    ),
    _elected(
        "likely_state_iso_score",
        FieldType.INTEGER,
        STATES,
        "min(score) FILTER (WHERE level = 1)",
        _SCORE.format("likely_state_iso"),
    ),
    _elected(
        "likely_region",
        FieldType.STRING,
        STATES,
        "min(winner) FILTER (WHERE level = 2)",
        "The state, by name, with the largest share of the same votes among places within likely_country.",
    ),
    _elected(
        "likely_region_score",
        FieldType.INTEGER,
        STATES,
        "min(score) FILTER (WHERE level = 2)",
        _SCORE.format("likely_region"),
    ),
)
