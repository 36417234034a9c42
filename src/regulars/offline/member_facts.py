"""From profiles and memberships as they were given to who is a member and as what: SQL, step by step.

What the live store derives in `rollups/derive.sql`, of the present state alone. The relations at its end are `members`,
`joins` and `turns`, those that `offline/report_sources.py` is written over.
"""

from collections.abc import Sequence
from datetime import datetime

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import REGISTRY
from regulars.core.field_type import FieldType
from regulars.model.consents import CHANNEL_STATUSES, REACH_RULES, STATUS_CHANNELS, ReachRule
from regulars.model.member_dimensions import (
    AGE_GROUP_YEARS,
    ANY_CHANNEL,
    MAX_AGE,
    MIN_AGE,
    NAMED_PLATFORMS,
    OTHER_PLATFORM,
)
from regulars.offline import casting, values
from regulars.offline.array_functions import ArrayFunctions
from regulars.offline.casting import CastDialect
from regulars.offline.structures import ClubContext, InputTable, PlanStep, RowErrors

CHANNELS = (*(rule.channel for rule in REACH_RULES), ANY_CHANNEL)


def home_countries(profiles: InputTable, dialect: CastDialect, lists: ArrayFunctions, faults: RowErrors) -> PlanStep:
    """Of each profile the country of its address: the default one's, else that of the first that tells one."""
    if not profiles.has("addresses"):
        text = casting.null_of(FieldType.STRING, dialect)
        return PlanStep("home_countries", f"SELECT {text} AS external_id, {text} AS country, NULL AS wrong WHERE 1 = 0")
    listed = lists.with_index(dialect.json_objects("addresses", ("is_default", "iso", "country", "country_iso_3")))
    named = "coalesce({})".format(
        ", ".join(f"nullif(trim(each.element.{name}), '')" for name in ("iso", "country", "country_iso_3"))
    )
    unknown = faults.add("profiles.addresses: the country must be one of ISO 3166-1")
    return PlanStep(
        "home_countries",
        f"""SELECT external_id, country, wrong
FROM (
    SELECT told.external_id, known.alpha_2 AS country,
           CAST(CASE WHEN told.named IS NOT NULL AND known.alpha_2 IS NULL THEN {unknown} END AS INT) AS wrong,
           row_number() OVER (
               PARTITION BY told.external_id
               ORDER BY CASE WHEN known.alpha_2 IS NULL THEN 1 ELSE 0 END, told.is_default DESC, told.place
           ) AS choice
    FROM (
        SELECT external_id, each.place,
               coalesce(lower(each.element.is_default) = 'true', FALSE) AS is_default,
               lower({named}) AS named
        FROM (SELECT external_id, {dialect.unnest(listed)} AS each FROM typed_profiles WHERE addresses IS NOT NULL)
    ) AS told
    LEFT JOIN country_names AS known ON known.name = told.named
) AS found
WHERE wrong IS NOT NULL OR (choice = 1 AND country IS NOT NULL)""",
        is_materialized=True,
    )


def profile_states(
    club: ClubContext, as_of: datetime, personal: Sequence[str], dialect: CastDialect, lists: ArrayFunctions
) -> list[PlanStep]:
    """As what each profile stands."""
    word = lists.first_word("own.optin_channel")
    local = {each: dialect.engine.macros["instant_of"](f"{each}_local", f"'{club.timezone}'") for each in _TIMES}
    times = {each: f"coalesce(own.{each}, {local[each].replace(each, f'own.{each}')})" for each in _TIMES}
    now = values.timestamp_literal(as_of)
    return [
        PlanStep(
            "read_states",
            f"""SELECT own.external_id AS profile_id, own.gender, own.optin_channel, own.optin_subchannel,
       own.sms_status, own.email_status, own.push_status,
       CASE WHEN {word} IN ({_NAMED_PLATFORMS}) THEN {word}
            WHEN own.optin_channel IS NOT NULL THEN '{OTHER_PLATFORM}' END AS optin_platform,
       {birth_date("own")} AS birth_date,
       own.birth_year - own.birth_year % 5 AS birth_year_group,
       coalesce({lists.parse_ids("own.subunit_ids")}, {lists.empty_ids}) AS subunit_ids,
       coalesce({lists.parse_ids("own.group_ids")}, {lists.empty_ids}) AS group_ids,
       coalesce({lists.parse_ids("own.favorite_stores")}, {lists.empty_ids}) AS favorite_stores,
       coalesce({lists.keys_with_value("own.consents", "true")}, {lists.empty_strings}) AS consents_true,
       coalesce({lists.keys_with_value("own.consents", "false")}, {lists.empty_strings}) AS consents_false,
       coalesce({lists.without_keys("own.properties", personal)}, '{{}}') AS properties,
       coalesce(home.country, phone.country) AS country,
       coalesce(own.profile_type, 'active') NOT IN ('deleted', 'system', 'temporary') AS is_somebody,
       own.member_id, {times["joined_at"]} AS joined_at,
       coalesce({times["created_at"]}, {now}) AS created_at,
       coalesce({times["updated_at"]}, {times["created_at"]}, {now}) AS updated_at
FROM typed_profiles AS own
LEFT JOIN home_countries AS home ON home.external_id = own.external_id
LEFT JOIN phone_countries AS phone ON phone.number = own.mobile_phone""",
        ),
        PlanStep(
            "reached_states",
            f"""SELECT read.*,
       {lists.compact(tuple(_reach(rule, lists) for rule in REACH_RULES))} AS reaching
FROM read_states AS read""",
        ),
        PlanStep(
            "states",
            f"""SELECT marked.*, {_groups(lists)} AS groups
FROM (
    SELECT reached.*,
           {
                lists.compact(
                    (
                        *(
                            f"CASE WHEN {lists.contains('reaching', _quoted(each))} THEN {_quoted(each)} END"
                            for each in CHANNELS
                            if each != ANY_CHANNEL
                        ),
                        f"CASE WHEN {lists.is_not_empty('reaching')} THEN '{ANY_CHANNEL}' END",
                    )
                )
            } AS marketing
    FROM reached_states AS reached
) AS marked""",
            is_materialized=True,
        ),
    ]


_TIMES = ("joined_at", "created_at", "updated_at")


def _quoted(text: str) -> str:
    return f"'{text}'"


_NAMED_PLATFORMS = ", ".join(map(_quoted, NAMED_PLATFORMS))


def _reach(rule: ReachRule, lists: ArrayFunctions) -> str:
    """The channel of a rule where it reaches the member of `read`, else null."""
    statuses = ", ".join(map(_quoted, rule.statuses))
    consent = "" if rule.consent is None else f" AND {lists.contains('read.consents_true', _quoted(rule.consent))}"
    return f"CASE WHEN read.{rule.channel}_status IN ({statuses}){consent} THEN '{rule.channel}' END"


def _groups(lists: ArrayFunctions) -> str:
    single = ("optin_channel", "optin_subchannel", "optin_platform", "birth_year_group", "country", "gender")
    # Beside null a text is null, and is left out.
    told = lists.compact(("'all:'", *(f"'{name}:' || marked.{name}" for name in single)))
    reach = lists.compact(
        tuple(
            f"CASE WHEN {lists.contains('marked.marketing', _quoted(each))} THEN 'marketing_true:{each}' "
            f"ELSE 'marketing_false:{each}' END"
            for each in CHANNELS
        )
    )
    several = (
        ("consents_true", "consent_true"),
        ("consents_false", "consent_false"),
        ("subunit_ids", "subunit_id"),
        ("group_ids", "group_id"),
        ("favorite_stores", "favorite_store"),
    )
    return lists.concat((told, reach, *(lists.with_prefix(f"marked.{column}", f"{name}:") for column, name in several)))


def memberships(
    source: InputTable | None, club: ClubContext, as_of: datetime, dialect: CastDialect, lists: ArrayFunctions
) -> list[PlanStep]:
    """Who came in and who left: each profile by being made, and what the table of memberships tells.

    An `in` while in, an `out` while out do not count.
    """
    at = dialect.engine.macros["instant_of"]("told.at_local", f"'{club.timezone}'")
    joins = f"""SELECT profile_id, 'in' AS type, coalesce(joined_at, created_at) AS at, optin_channel, optin_subchannel,
       consents_true, consents_false, 1 AS rank, CAST(NULL AS {dialect.string_type}) AS external_id
FROM states"""
    told = f"""SELECT told.profile, told.type, coalesce(told.at, {at}), told.optin_channel, told.optin_subchannel,
       CASE WHEN told.consents IS NOT NULL THEN {lists.keys_with_value("told.consents", "true")} END,
       CASE WHEN told.consents IS NOT NULL THEN {lists.keys_with_value("told.consents", "false")} END,
       CASE WHEN told.external_id IS NULL THEN 0 ELSE 2 END, told.external_id
FROM typed_memberships AS told"""
    age = age_group("s.birth_date", "c.day", dialect)
    word = lists.first_word("c.optin_channel")
    date = dialect.engine.macros["local_date"]("told.at", f"'{club.timezone}'")
    return [
        PlanStep("told_memberships", joins if source is None else f"{joins}\nUNION ALL\n{told}"),
        PlanStep(
            "counted_memberships",
            f"""SELECT seen.*,
       {day_number("date")} AS day
FROM (
    SELECT told.*, {date} AS date,
           lag(type, 1, 'out') OVER in_order AS before
    FROM told_memberships AS told
    WINDOW in_order AS (PARTITION BY told.profile_id ORDER BY told.at, told.rank, told.external_id, told.type)
) AS seen
WHERE type <> before""",
            is_materialized=True,
        ),
        PlanStep(
            "joins",
            f"""SELECT c.profile_id, c.at, c.type,
       coalesce(c.optin_channel, s.optin_channel) AS optin_channel,
       coalesce(c.optin_subchannel, s.optin_subchannel) AS optin_subchannel,
       CASE WHEN c.optin_channel IS NULL THEN s.optin_platform
            WHEN {word} IN ({_NAMED_PLATFORMS}) THEN {word}
            ELSE '{OTHER_PLATFORM}' END AS optin_platform,
       s.gender, {age} AS age,
       coalesce(c.consents_true, s.consents_true) AS consents_true,
       coalesce(c.consents_false, s.consents_false) AS consents_false
FROM counted_memberships AS c
JOIN states AS s ON s.profile_id = c.profile_id
WHERE s.is_somebody""",
        ),
        PlanStep(
            "turns",
            """SELECT c.profile_id, c.at, CASE c.type WHEN 'in' THEN 1 ELSE -1 END AS n, s.groups
FROM counted_memberships AS c
JOIN states AS s ON s.profile_id = c.profile_id
WHERE s.is_somebody""",
        ),
        PlanStep(
            "member_dimension_history",
            f"""SELECT s.*
FROM states AS s
JOIN (
    SELECT profile_id
    FROM counted_memberships AS counted
    WHERE counted.at <= {values.timestamp_literal(as_of)}
    GROUP BY profile_id
    HAVING sum(CASE type WHEN 'in' THEN 1 ELSE -1 END) > 0
) AS there ON there.profile_id = s.profile_id
WHERE s.is_somebody""",
        ),
    ]


def birth_date(profile: str) -> str:
    """When a typed profile was born, as a number such as 20261124."""
    year, month, day = (f"{profile}.birth_{each}" for each in ("year", "month", "day"))
    return f"CAST(10000 * {year} + 100 * coalesce({month}, 1) + coalesce({day}, 1) AS INT)"


def day_number(date: str) -> str:
    """A date as such a number."""
    return f"CAST(year({date}) * 10000 + month({date}) * 100 + day({date}) AS INT)"


def age_group(birth_date: str, day: str, dialect: CastDialect) -> str:
    """The age group of a birth date on a day, both numbers such as 20261124."""
    group = dialect.engine.macros["whole"](f"{day} - {birth_date}", str(AGE_GROUP_YEARS * 10000))
    first = f"CAST({group} * {AGE_GROUP_YEARS} AS {dialect.string_type})"
    last = f"CAST({group} * {AGE_GROUP_YEARS} + {AGE_GROUP_YEARS - 1} AS {dialect.string_type})"
    return f"""CASE
           WHEN {birth_date} IS NULL THEN NULL
           WHEN {day} - {birth_date} < {MIN_AGE * 10000} THEN '-{MIN_AGE - 1}'
           WHEN {day} - {birth_date} >= {MAX_AGE * 10000} THEN '{MAX_AGE}-'
           ELSE concat({first}, '-', {last})
       END"""


def members(dialect: CastDialect, *, has_values: bool) -> PlanStep:
    """The members as the live copy has them, with the columns of values where these are computed."""
    number = "coalesce(s.member_id, row_number() OVER (ORDER BY s.profile_id))"
    told = [f"{_value(each, dialect)} AS {each.name}" for each in REGISTRY.stored] if has_values else []
    joined = f"""
JOIN stored_values AS value ON value.profile_id = s.profile_id
CROSS JOIN (SELECT {dialect.location_names} AS names FROM fact_locations) AS place
JOIN country_codes ON country_codes.alpha_2 = coalesce(value.likely_country, '')"""
    return PlanStep(
        "members",
        f"""SELECT {number} AS member_id, s.profile_id, s.birth_date, s.optin_channel, s.optin_subchannel,
       s.optin_platform, s.gender, s.country, s.sms_status, s.email_status, s.push_status, s.subunit_ids, s.group_ids,
       s.favorite_stores, s.consents_true, s.consents_false, s.marketing,
       {dialect.output_timestamp("s.created_at")} AS created_at, {dialect.output_timestamp("s.updated_at")} AS updated_at,
       {", ".join(("s.properties", *told))}
FROM member_dimension_history AS s{joined if has_values else ""}""",
    )


def _value(of: Aggregation, dialect: CastDialect) -> str:
    """A value as reports have it: money in minor units, places by their external ids."""
    column = f"value.{of.name}"
    match of.type:
        case FieldType.COUNTRY_ALPHA_3:
            return "country_codes.alpha_3"
        case FieldType.LOCATION:
            return dialect.name_at("place.names", column)
        case FieldType.LOCATION_LIST:
            return dialect.names_at("place.names", column)
        case FieldType.TIMESTAMP:
            return dialect.output_timestamp(column)
        case _:
            return column


PHONES_WITHOUT_ADDRESS = """SELECT DISTINCT own.mobile_phone
FROM typed_profiles AS own
LEFT JOIN home_countries AS home ON home.external_id = own.external_id
WHERE own.mobile_phone IS NOT NULL AND home.external_id IS NULL"""
"""The numbers that may tell where somebody lives whose address does not."""


def invalid_profiles(faults: RowErrors) -> str:
    """What of typed profiles has values that none may have, by the number of the first fault."""
    listed, known = ", ".join(CHANNEL_STATUSES), ", ".join(map(_quoted, CHANNEL_STATUSES))
    status = [
        f"WHEN {each}_status NOT IN ({known}) THEN {faults.add(f'profiles.{each}_status must be one of {listed}')}"
        for each in STATUS_CHANNELS
    ]
    return f"SELECT external_id, CAST(CASE {' '.join(status)} END AS INT) AS wrong FROM typed_profiles"


def invalid_memberships(faults: RowErrors) -> str:
    """The same of memberships."""
    kind = faults.add("memberships.type must be in or out")
    stranger = faults.add("memberships.profile is not among the profiles")
    return f"""SELECT told.profile,
       CAST(CASE WHEN told.type NOT IN ('in', 'out') THEN {kind}
                 WHEN own.external_id IS NULL THEN {stranger} END AS INT) AS wrong
FROM typed_memberships AS told
LEFT JOIN typed_profiles AS own ON own.external_id = told.profile"""
