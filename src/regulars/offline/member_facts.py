"""Plan steps from profiles and memberships to members and their groups.

Computes what the server derives in `facts/sql/members_recompute.sql`, from current states only. The resulting relations
are `members`, `joins` and `membership_deltas`, which `offline/report_sources.py` reads.
"""

from collections.abc import Sequence
from datetime import datetime

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import REGISTRY
from regulars.core import phones
from regulars.core.field_type import FieldType
from regulars.model.consents import (
    CHANNEL_STATUSES,
    REACH_RULES,
    STATUS_CHANNELS,
    ReachRule,
    marketing_consent,
)
from regulars.model.consents import (
    CHANNELS as COMMS_CHANNELS,
)
from regulars.model.member_dimensions import (
    AGE_GROUP_YEARS,
    ANY_CHANNEL,
    MAX_AGE,
    MIN_AGE,
    NAMED_PLATFORMS,
    OTHER_PLATFORM,
    counts_as_member,
)
from regulars.model.profiles.gender import FEMALE, GENDER_SPELLINGS, MALE, OTHER
from regulars.offline import casting, values
from regulars.offline.array_functions import ArrayFunctions
from regulars.offline.casting import CastDialect
from regulars.offline.structures import ClubContext, InputTable, PlanStep, RowErrors

CHANNELS = (*(rule.channel for rule in REACH_RULES), ANY_CHANNEL)


def home_countries(profiles: InputTable, dialect: CastDialect, lists: ArrayFunctions, errors: RowErrors) -> PlanStep:
    """Country of each profile: that of its default address, else of its first address with a country."""
    if not profiles.has("addresses"):
        text = casting.null_of(FieldType.STRING, dialect)
        return PlanStep(
            "home_countries", f"SELECT {text} AS external_id, {text} AS country, NULL AS error_no WHERE 1 = 0"
        )
    listed = lists.with_index(dialect.json_objects("addresses", ("is_default", "iso", "country", "country_iso_3")))
    name_sql = "coalesce({})".format(
        ", ".join(f"nullif(trim(each.element.{name}), '')" for name in ("iso", "country", "country_iso_3"))
    )
    unknown = errors.add("profiles.addresses: the country must be a code or name of ISO 3166-1")
    return PlanStep(
        "home_countries",
        f"""SELECT external_id, country, error_no
FROM (
    SELECT address.external_id, names.alpha_2 AS country,
           CAST(CASE WHEN address.country_name IS NOT NULL AND names.alpha_2 IS NULL THEN {unknown} END AS INT) AS error_no,
           row_number() OVER (
               PARTITION BY address.external_id
               ORDER BY CASE WHEN names.alpha_2 IS NULL THEN 1 ELSE 0 END, address.is_default DESC, address.place
           ) AS choice
    FROM (
        SELECT external_id, each.position AS place,
               coalesce(lower(each.element.is_default) = 'true', FALSE) AS is_default,
               lower({name_sql}) AS country_name
        FROM (SELECT external_id, {dialect.unnest(listed)} AS each FROM typed_profiles WHERE addresses IS NOT NULL)
    ) AS address
    LEFT JOIN country_names AS names ON names.name = address.country_name
) AS ranked
WHERE error_no IS NOT NULL OR (choice = 1 AND country IS NOT NULL)""",
        is_materialized=True,
    )


def profile_states(
    club: ClubContext, as_of: datetime, personal: Sequence[str], dialect: CastDialect, lists: ArrayFunctions
) -> list[PlanStep]:
    """Plan steps for the current state and the groups of each profile."""
    word = lists.first_word("p.optin_channel")
    local = {each: dialect.engine.macros["instant_of"](f"{each}_local", f"'{club.timezone}'") for each in _TIME_COLUMNS}
    times = {each: f"coalesce(p.{each}, {local[each].replace(each, f'p.{each}')})" for each in _TIME_COLUMNS}
    now = values.timestamp_literal(as_of)
    return [
        PlanStep(
            "cast_states",
            f"""SELECT p.external_id AS profile_id, {gender("p.gender", dialect)} AS gender, p.optin_channel, p.optin_subchannel,
       {_statuses(dialect, lists)},
       CASE WHEN {word} IN ({_NAMED_PLATFORMS}) THEN {word}
            WHEN p.optin_channel IS NOT NULL THEN '{OTHER_PLATFORM}' END AS optin_platform,
       {birth_date("p")} AS birth_date,
       p.birth_year - p.birth_year % 5 AS birth_year_group,
       coalesce({lists.parse_ids("p.subunit_ids")}, {lists.empty_ids}) AS subunit_ids,
       coalesce({lists.parse_ids("p.group_ids")}, {lists.empty_ids}) AS group_ids,
       coalesce({lists.parse_ids("p.favorite_stores")}, {lists.empty_ids}) AS favorite_stores,
       {_consents("true", dialect, lists)} AS consents_true,
       {_consents("false", dialect, lists)} AS consents_false,
       coalesce({lists.without_keys("p.properties", personal)}, '{{}}') AS properties,
       coalesce(home.country, phone.country) AS country,
       {counts_as_member("coalesce(p.profile_type, 'active')")} AS is_counted,
       p.member_id, {times["joined_at"]} AS joined_at,
       coalesce({times["created_at"]}, {now}) AS created_at,
       coalesce({times["updated_at"]}, {times["created_at"]}, {now}) AS updated_at
FROM typed_profiles AS p
LEFT JOIN home_countries AS home ON home.external_id = p.external_id
LEFT JOIN phone_countries AS phone ON phone.number = p.mobile_phone""",
        ),
        PlanStep(
            "reachable_states",
            f"""SELECT s.*,
       {lists.compact(tuple(_reach(rule, lists) for rule in REACH_RULES))} AS reachable_by
FROM cast_states AS s""",
        ),
        PlanStep(
            "states",
            f"""SELECT s.*, {_group_keys(lists)} AS groups
FROM (
    SELECT s.*,
           {
                lists.compact(
                    (
                        *(
                            f"CASE WHEN {lists.contains('reachable_by', _quoted(each))} THEN {_quoted(each)} END"
                            for each in CHANNELS
                            if each != ANY_CHANNEL
                        ),
                        f"CASE WHEN {lists.is_not_empty('reachable_by')} THEN '{ANY_CHANNEL}' END",
                    )
                )
            } AS marketing
    FROM reachable_states AS s
) AS s""",
            is_materialized=True,
        ),
    ]


_CONTACTS = {"email": "p.email", "sms": "p.mobile_phone"}


def _comms(name: str, dialect: CastDialect) -> str:
    """The comms attribute of the profile `p`, as text."""
    return f"lower({dialect.json_field('p.attributes', f'comms.{name}')})"


def _flag_of(name: str, dialect: CastDialect) -> str:
    text = _comms(name, dialect)
    return f"CASE WHEN {text} IN ('true', '1') THEN 'true' WHEN {text} IN ('false', '0') THEN 'false' END"


def _consents(answer: str, dialect: CastDialect, lists: ArrayFunctions) -> str:
    """The names of the consents of the profile `p` with an answer, in both views; see `model.consents`."""
    written = [f"coalesce({lists.keys_with_value('p.consents', each)}, {lists.empty_strings})" for each in _ANSWERS]
    promos = []
    for channel in COMMS_CHANNELS:
        name = _quoted(marketing_consent(channel))
        is_new = " AND ".join(f"NOT {lists.contains(each, name)}" for each in written)
        promos.append(f"CASE WHEN {_flag_of(f'{channel}_promo', dialect)} = '{answer}' AND {is_new} THEN {name} END")
    return lists.concat((written[_ANSWERS.index(answer)], lists.compact(tuple(promos))))


_ANSWERS = ("true", "false")


def _statuses(dialect: CastDialect, lists: ArrayFunctions) -> str:
    """The status of each channel of the profile `p`; see `model.consents`."""
    columns = []
    for channel in STATUS_CHANNELS:
        optout, bounced = (f"{_flag_of(f'{channel}_{flag}', dialect)}" for flag in ("optout", "bounced"))
        verification = _comms(f"{channel}_verification", dialect)
        consent = _quoted(marketing_consent(channel))
        granted, declined = (lists.contains(_consents(answer, dialect, lists), consent) for answer in _ANSWERS)
        can_be_reached = f"{_CONTACTS[channel]} IS NOT NULL" if channel in _CONTACTS else "FALSE"
        columns.append(
            f"""CASE WHEN p.{channel}_status IS NOT NULL THEN p.{channel}_status
            WHEN {optout} = 'true' THEN 'unsubscribed'
            WHEN {bounced} = 'true' THEN 'hard_bounced'
            WHEN {verification} = 'verified' THEN 'verified'
            WHEN coalesce({optout}, {bounced}, {verification}) IS NOT NULL THEN 'enabled'
            WHEN {granted} OR ({can_be_reached} AND NOT {declined}) THEN 'enabled' END AS {channel}_status"""
        )
    return ",\n       ".join(columns)


_TIME_COLUMNS = ("joined_at", "created_at", "updated_at")


def _quoted(text: str) -> str:
    return f"'{text}'"


_NAMED_PLATFORMS = ", ".join(map(_quoted, NAMED_PLATFORMS))


def _reach(rule: ReachRule, lists: ArrayFunctions) -> str:
    """SQL of the channel of a rule if it applies to the profile state `s`, else null."""
    statuses = ", ".join(map(_quoted, rule.statuses))
    consent = "" if rule.consent is None else f" AND {lists.contains('s.consents_true', _quoted(rule.consent))}"
    return f"CASE WHEN s.{rule.channel}_status IN ({statuses}){consent} THEN '{rule.channel}' END"


def _group_keys(lists: ArrayFunctions) -> str:
    single = ("optin_channel", "optin_subchannel", "optin_platform", "birth_year_group", "country", "gender")
    # Concatenation with null is null, and compact drops it.
    attributes = lists.compact(("'all:'", *(f"'{name}:' || s.{name}" for name in single)))
    reachable = lists.compact(
        tuple(
            f"CASE WHEN {lists.contains('s.marketing', _quoted(each))} THEN 'marketing_true:{each}' "
            f"ELSE 'marketing_false:{each}' END"
            for each in CHANNELS
        )
    )
    list_columns = (
        ("consents_true", "consent_true"),
        ("consents_false", "consent_false"),
        ("subunit_ids", "subunit_id"),
        ("group_ids", "group_id"),
        ("favorite_stores", "favorite_store"),
    )
    return lists.concat(
        (attributes, reachable, *(lists.with_prefix(f"s.{column}", f"{name}:") for column, name in list_columns))
    )


def memberships(
    source: InputTable | None, club: ClubContext, as_of: datetime, dialect: CastDialect, lists: ArrayFunctions
) -> list[PlanStep]:
    """Plan steps for joins and leaves: the implicit join of each profile, and the rows of memberships.

    A repeated `in` or `out` does not count.
    """
    at = dialect.engine.macros["instant_of"]("m.at_local", f"'{club.timezone}'")
    implicit = f"""SELECT profile_id, 'in' AS type, coalesce(joined_at, created_at) AS at, optin_channel, optin_subchannel,
       consents_true, consents_false, 1 AS rank, CAST(NULL AS {dialect.string_type}) AS external_id
FROM states"""
    explicit = f"""SELECT m.profile, m.type, coalesce(m.at, {at}), m.optin_channel, m.optin_subchannel,
       CASE WHEN m.consents IS NOT NULL THEN {lists.keys_with_value("m.consents", "true")} END,
       CASE WHEN m.consents IS NOT NULL THEN {lists.keys_with_value("m.consents", "false")} END,
       CASE WHEN m.external_id IS NULL THEN 0 ELSE 2 END, m.external_id
FROM typed_memberships AS m"""
    age = age_group("s.birth_date", "c.day", dialect)
    word = lists.first_word("c.optin_channel")
    date = dialect.engine.macros["local_date"]("m.at", f"'{club.timezone}'")
    return [
        PlanStep("all_memberships", implicit if source is None else f"{implicit}\nUNION ALL\n{explicit}"),
        PlanStep(
            "counted_memberships",
            f"""SELECT m.*,
       {day_number("date")} AS day
FROM (
    SELECT m.*, {date} AS date,
           lag(type, 1, 'out') OVER by_time AS previous
    FROM all_memberships AS m
    WINDOW by_time AS (PARTITION BY m.profile_id ORDER BY m.at, m.rank, m.external_id, m.type)
) AS m
WHERE type <> previous""",
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
WHERE s.is_counted""",
        ),
        PlanStep(
            "membership_deltas",
            """SELECT c.profile_id, c.at, CASE c.type WHEN 'in' THEN 1 ELSE -1 END AS delta, s.groups
FROM counted_memberships AS c
JOIN states AS s ON s.profile_id = c.profile_id
WHERE s.is_counted""",
        ),
        PlanStep(
            "current_members",
            f"""SELECT s.*
FROM states AS s
JOIN (
    SELECT profile_id
    FROM counted_memberships AS c
    WHERE c.at <= {values.timestamp_literal(as_of)}
    GROUP BY profile_id
    HAVING sum(CASE type WHEN 'in' THEN 1 ELSE -1 END) > 0
) AS active ON active.profile_id = s.profile_id
WHERE s.is_counted""",
        ),
    ]


def gender(column: str, dialect: CastDialect) -> str:
    """The gender that a text means; see `model.profiles.gender`."""
    text = f"lower({dialect.text.trim(column)})"
    cases = " ".join(
        f"WHEN {text} IN ({', '.join(_quoted(each) for each, meaning in GENDER_SPELLINGS.items() if meaning == name)}) "
        f"THEN '{name}'"
        for name in (FEMALE, MALE, OTHER)
    )
    return f"CASE {cases} ELSE nullif({text}, '') END"


def birth_date(profile: str) -> str:
    """Birth date of a typed profile, as an integer such as 20261124."""
    year, month, day = (f"{profile}.birth_{each}" for each in ("year", "month", "day"))
    return f"CAST(10000 * {year} + 100 * coalesce({month}, 1) + coalesce({day}, 1) AS INT)"


def day_number(date: str) -> str:
    """A date as an integer such as 20261124."""
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
    """The members with the columns of the server's member replica, and of their values if these are computed."""
    number = "coalesce(s.member_id, row_number() OVER (ORDER BY s.profile_id))"
    value_columns = [f"{_value(each, dialect)} AS {each.name}" for each in REGISTRY.stored] if has_values else []
    joins = f"""
JOIN stored_values AS value ON value.profile_id = s.profile_id
CROSS JOIN (SELECT {dialect.location_names} AS names FROM fact_locations) AS location
JOIN country_codes ON country_codes.alpha_2 = coalesce(value.likely_country, '')"""
    return PlanStep(
        "members",
        f"""SELECT {number} AS member_id, s.profile_id, s.birth_date, s.optin_channel, s.optin_subchannel,
       s.optin_platform, s.gender, s.country, s.sms_status, s.email_status, s.push_status, s.subunit_ids, s.group_ids,
       s.favorite_stores, s.consents_true, s.consents_false, s.marketing,
       {dialect.output_timestamp("s.created_at")} AS created_at, {dialect.output_timestamp("s.updated_at")} AS updated_at,
       {", ".join(("s.properties", *value_columns))}
FROM current_members AS s{joins if has_values else ""}""",
    )


def _value(aggregation: Aggregation, dialect: CastDialect) -> str:
    """A value as reports use it: money in minor units, locations as external ids."""
    column = f"value.{aggregation.name}"
    match aggregation.type:
        case FieldType.COUNTRY_ALPHA_3:
            return "country_codes.alpha_3"
        case FieldType.LOCATION:
            return dialect.name_at("location.names", column)
        case FieldType.LOCATION_LIST:
            return dialect.names_at("location.names", column)
        case FieldType.TIMESTAMP:
            return dialect.output_timestamp(column)
        case _:
            return column


PHONES_WITHOUT_ADDRESS = """SELECT DISTINCT p.mobile_phone
FROM typed_profiles AS p
LEFT JOIN home_countries AS home ON home.external_id = p.external_id
WHERE p.mobile_phone IS NOT NULL AND home.external_id IS NULL"""
"""Phone numbers of profiles without a country in their addresses."""


def invalid_profiles(errors: RowErrors, today: int, dialect: CastDialect) -> str:
    """SELECT of typed profiles with the number of their first invalid value, or null. `today` is such as 20261124."""
    listed, allowed = ", ".join(CHANNEL_STATUSES), ", ".join(map(_quoted, CHANNEL_STATUSES))
    cases = [
        f"WHEN {each}_status NOT IN ({allowed}) THEN {errors.add(f'profiles.{each}_status must be one of {listed}')}"
        for each in STATUS_CHANNELS
    ]
    future = errors.add("profiles.birth_year makes a birth in the future")
    cases.append(f"WHEN {birth_date('p')} > {today} THEN {future}")
    exponent = errors.add("profiles.mobile_phone must be a phone number, not a number with an exponent")
    cases.append(f"WHEN {dialect.text.matches('p.mobile_phone', phones.EXPONENT.pattern)} THEN {exponent}")
    return f"SELECT p.external_id, CAST(CASE {' '.join(cases)} END AS INT) AS error_no FROM typed_profiles AS p"


def invalid_memberships(errors: RowErrors) -> str:
    """SELECT of typed memberships with the number of their first invalid value, or null."""
    invalid_type = errors.add("memberships.type must be in or out")
    unknown_profile = errors.add("memberships.profile does not exist in profiles")
    return f"""SELECT m.profile,
       CAST(CASE WHEN m.type NOT IN ('in', 'out') THEN {invalid_type}
                 WHEN p.external_id IS NULL THEN {unknown_profile} END AS INT) AS error_no
FROM typed_memberships AS m
LEFT JOIN typed_profiles AS p ON p.external_id = m.profile"""
