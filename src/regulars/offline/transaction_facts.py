"""Plan steps from transactions to their facts: counted ones with instant, local day, amount, channels and values of lines."""

from collections.abc import Mapping

from regulars.core.field_type import FieldType
from regulars.offline import casting, dictionary_encoding, line_items
from regulars.offline.casting import CastDialect
from regulars.offline.input_traits import LINE_TOTAL
from regulars.offline.structures import ClubContext, InputTraits, LineLayout, PlanStep, RowErrors


def amount(total: str, traits: InputTraits, dialect: CastDialect) -> str:
    """A total in minor units of the club's currency, rounded half-even."""
    digits, integer_type = traits.club.minor_digits, dialect.integer_type
    half_even = dialect.engine.macros["half_even"]
    is_from_lines = LINE_TOTAL in traits.columns_read
    if not traits.has_rates:
        if not is_from_lines and traits.scales["total"] <= digits:
            return f"CAST(t.total * {10**digits} AS BIGINT)"
        # Totals are below 10^12, so this fits into BIGINT; a sum of lines that is not is an error of the row.
        whole = f"CASE WHEN abs({total}) < {10**18} THEN {total} END" if is_from_lines else total
        return half_even(f"CAST({whole} AS BIGINT)", str(10 ** (6 - digits)))
    units = f"CAST({total} AS {integer_type}) * CAST({line_items.RATE} * 1000000000000 AS {integer_type})"
    return half_even(units, f"CAST({10 ** (18 - digits)} AS {integer_type})")


def _total(traits: InputTraits, dialect: CastDialect) -> str:
    """The total of a transaction `t` in millionths: its own, else the sum of its lines."""
    if LINE_TOTAL not in traits.columns_read:
        return line_items.millionths("t.total", "BIGINT")
    own = line_items.millionths("t.total", dialect.integer_type)
    return f"coalesce({own}, {line_items.total_of_lines(traits, dialect)})"


def dictionary_steps(traits: InputTraits, dialect: CastDialect) -> list[PlanStep]:
    """Lookup tables for the facts of transactions."""
    if not dialect.uses_ordinals:
        return []
    steps = [dictionary_encoding.system_channels(dialect)] if "systems" in traits.scales else []
    if traits.line_layout is not LineLayout.SEPARATE:
        steps += dictionary_encoding.brand_dictionary(_BRANDS)
    return (
        [*steps, dictionary_encoding.local_days(traits.club, dialect)] if _uses_local_days(traits, dialect) else steps
    )


_BRANDS = "SELECT DISTINCT brand FROM typed_transactions UNION SELECT brand FROM fact_products"


def _uses_local_days(traits: InputTraits, dialect: CastDialect) -> bool:
    return dialect.uses_ordinals and not traits.has_timezones and traits.club.timezone != "UTC"


def needs_ids(traits: InputTraits, dialect: CastDialect) -> bool:
    """Whether facts always need transaction ids; otherwise only ties and errors need them."""
    return not dialect.uses_ordinals or traits.line_layout is LineLayout.SEPARATE


def with_day_openings(rows: str) -> str:
    """SELECT of facts with `opens_day`: whether it is the first sale of a profile on a local day."""
    first = "row_number() OVER (PARTITION BY profile, transacted_on ORDER BY direction <> 1, transacted_at) = 1"
    return f"SELECT *, direction = 1 AND {first} AS opens_day\nFROM ({rows}) AS facts"


def in_order_of_days(rows: str) -> str:
    """The same facts in the order of profile and local day, sales first, each compared with the row before.

    An empty OVER clause reads rows in the order of its subquery (DuckDB documents it), with several threads too,
    and if the sort spills. The order is checked nevertheless: an unordered row raises InvalidInputError.
    """
    before = ", ".join(f"lag({name}) OVER () AS {name}_before" for name in _DAY_ORDER)
    return f"""SELECT * EXCLUDE ({", ".join(f"{name}_before" for name in _DAY_ORDER)}),
       CASE WHEN profile_before > profile OR profile_before = profile AND (
                transacted_on_before > transacted_on
                OR transacted_on_before = transacted_on AND direction = 1
                   AND (direction_before <> 1 OR transacted_at_before > transacted_at)
            ) THEN error('facts are not in the order of days')
            WHEN direction = 1
            THEN profile_before IS DISTINCT FROM profile OR transacted_on_before IS DISTINCT FROM transacted_on
            ELSE FALSE END AS opens_day
FROM (
    SELECT *, {before}
    FROM (
        SELECT * FROM ({rows}) AS facts
        ORDER BY profile, transacted_on, direction <> 1, transacted_at
    ) AS ordered
) AS compared"""


_DAY_ORDER = ("profile", "transacted_on", "direction", "transacted_at")


def transactions(
    traits: InputTraits, dialect: CastDialect, errors: RowErrors, *, has_ids: bool, is_trusted: bool
) -> list[PlanStep]:
    """All counted transactions (anonymous ones only if the traits include them), and a row for each invalid one.

    Without ids, an invalid one raises InvalidInputError: neither ids nor numbers of errors are sorted and stored.
    `is_trusted` input is valid, or the caller starts again.
    """
    total = _total(traits, dialect)
    is_incomplete = "t.at IS NULL"
    if LINE_TOTAL in traits.columns_read:
        is_incomplete += f" OR {total} IS NULL"
    is_read = f"t.error_no IS NOT NULL OR {is_incomplete} OR ({_is_counted(traits)})"
    error_no = f"CAST(CASE {' '.join(_error_cases(traits, total, errors))} END AS SMALLINT)"
    # What no value reads is neither computed nor sorted, and a constant is not stored.
    unread = sorted(_OPTIONAL - traits.columns_read)
    stored = {name: sql for name, sql in _columns(traits, dialect, total).items() if name not in unread}
    constants = dict.fromkeys(unread, "CAST(NULL AS TINYINT)")
    has_days = dialect.uses_ordinals and "transacted_on" in traits.columns_read
    if not has_days:
        constants["opens_day"] = "CAST(NULL AS BOOLEAN)"
    if "brand" not in traits.columns_read:
        constants["sold_brand"] = stored.pop("sold_brand")
    constants["id"] = "CAST(0 AS TINYINT)"
    if has_ids:
        stored |= {"external_id": "t.external_id", "error_no": error_no}
    else:
        constants |= {
            "external_id": casting.null_of(FieldType.BOOLEAN, dialect),
            "error_no": "CAST(NULL AS SMALLINT)",
        }
        # A case, because it evaluates the error for invalid rows only.
        is_read = f"({is_read}) AND CASE WHEN {error_no} IS NULL THEN TRUE ELSE error('a row is invalid') END"
    rows = f"SELECT {_named(stored)}\n{_located(traits, dialect)}\n{_joins(traits, dialect)}WHERE {is_read}"
    # Sorting by profile halves the time of later groupings and bounds their memory.
    order_by = "\nORDER BY profile" if dialect.uses_ordinals else ""
    if has_days:
        rows = in_order_of_days(rows) if is_trusted else with_day_openings(rows) + order_by
    else:
        rows += order_by
    facts = f"SELECT stored.*, {_named(constants)}\nFROM stored_transactions AS stored"
    return [
        PlanStep("stored_transactions", rows, is_materialized=True),
        PlanStep("fact_transactions", facts),
    ]


def _error_cases(traits: InputTraits, total: str, errors: RowErrors) -> list[str]:
    """The cases of the number of a row's first error."""
    cases = ["WHEN t.error_no IS NOT NULL THEN t.error_no"]

    def add_error(when: str, text: str) -> None:
        cases.append(f"WHEN {when} THEN {errors.add(text)}")

    add_error("t.location IS NOT NULL AND t.location_id IS NULL", "transactions.location does not exist in locations")
    if traits.has_rates:
        add_error(
            "t.is_foreign AND coalesce(t.currency_rate <= 0, TRUE)",
            f"transactions.currency_rate must be above 0 if the currency is not the club's {traits.club.currency}",
        )
    add_error("t.at IS NULL", "transactions.transacted_at is required")
    if LINE_TOTAL in traits.columns_read:
        add_error(f"{total} IS NULL", "transactions.total is required, or the price_sell of the lines")
        add_error(f"abs({total}) >= {10**18}", f"transactions.total must be {FieldType.MONEY.input_format}")
    in_range = "t.at >= TIMESTAMP '1900-01-01 00:00:00' AND t.at < TIMESTAMP '3000-01-01 00:00:00'"
    add_error(f"NOT ({in_range})", "transactions.transacted_at must be between the years 1900 and 2999")
    if traits.has_profiles:
        add_error("t.profile IS NOT NULL AND p.profile IS NULL", "transactions.profile does not exist in profiles")
    if traits.line_layout is LineLayout.SEPARATE:
        cases.append("WHEN sold.error_no IS NOT NULL THEN sold.error_no")
    return cases


_OPTIONAL = {"transacted_on", "channels", "discount", "list_value"}
"""Columns of facts that are null where no value reads them."""


def _columns(traits: InputTraits, dialect: CastDialect, total: str) -> dict[str, str]:
    """The columns of facts, with all that values may read."""
    sign = total if LINE_TOTAL in traits.columns_read else "t.total"
    discount, list_value, brand = line_items.sold_columns(traits, dialect)
    return {
        "profile": "p.profile" if _joins_profiles(traits, dialect) else "t.profile",
        "transacted_at": "t.at",
        "amount": amount(total, traits, dialect),
        "direction": f"CAST(CASE WHEN {sign} > 0 THEN 1 WHEN {sign} < 0 THEN -1 ELSE 0 END AS TINYINT)",
        "location_id": "t.location_id",
        "transacted_on": f"CASE WHEN t.zone = 'UTC' THEN CAST(t.at AS DATE) ELSE {_local_day(traits, dialect)} END",
        "channels": f"CAST({_channels(traits, dialect)} AS TINYINT)",
        "discount": discount,
        "list_value": list_value,
        "sold_brand": brand,
    }


def _local_day(traits: InputTraits, dialect: CastDialect) -> str:
    local_date = dialect.engine.macros["local_date"]("t.at", "t.zone")
    if not _uses_local_days(traits, dialect):
        return local_date
    return (
        "CASE WHEN t.at < local_day.midnight_at THEN local_day.first_date "
        f"WHEN t.at >= local_day.midnight_at THEN local_day.second_date ELSE {local_date} END"
    )


def _channels(traits: InputTraits, dialect: CastDialect) -> str:
    """The channels of the systems of a transaction, else that of its location."""
    of_systems = (
        "systems.channels"
        if _joins_systems(traits, dialect)
        else dictionary_encoding.channels("t.systems", dialect.text)
    )
    of_location = "CASE WHEN t.location_type = 'online' THEN 2 WHEN t.location_type <> '' THEN 1 END"
    return f"coalesce({of_systems}, {of_location})"


def _located(traits: InputTraits, dialect: CastDialect) -> str:
    """FROM of the headers `t` with their locations, instants and time zones."""
    club = traits.club
    zone = (
        f"coalesce(t.timezone, location.timezone, '{club.timezone}')" if traits.has_timezones else f"'{club.timezone}'"
    )
    local = dialect.engine.macros["instant_of"]("t.transacted_at_local", zone)
    at = f"CASE WHEN t.transacted_at IS NULL THEN {local} ELSE t.transacted_at END"
    return f"""FROM (
    SELECT t.*, location.location_id, location.type AS location_type, {at} AS at, {zone} AS zone,
           {line_items.is_foreign(club)} AS is_foreign
    FROM headers AS t
    LEFT JOIN fact_locations AS location ON location.external_id = t.location
) AS t"""


def _joins(traits: InputTraits, dialect: CastDialect) -> str:
    """The joins of what the columns and the errors of facts refer to, each on a line of its own."""
    joins = []
    if _joins_profiles(traits, dialect):
        joins.append("LEFT JOIN fact_profiles AS p ON p.profile_id = t.profile")
    if traits.line_layout is LineLayout.SEPARATE:
        joins.append("LEFT JOIN line_sums AS sold ON sold.external_id = t.external_id")
    elif traits.line_layout is LineLayout.INLINE:
        if traits.has_products:
            joins.append("LEFT JOIN fact_products AS product ON product.sku = t.sku")
        if dialect.uses_ordinals:
            joins.append(f"LEFT JOIN fact_brands AS brand_ids ON brand_ids.name = {line_items.brand_name(traits)}")
    if _uses_local_days(traits, dialect):
        joins.append("LEFT JOIN local_days AS local_day ON local_day.utc_day = CAST(t.at AS DATE)")
    if _joins_systems(traits, dialect):
        joins.append("LEFT JOIN system_channels AS systems ON systems.systems = t.systems")
    return "".join(f"{each}\n" for each in joins)


def _joins_profiles(traits: InputTraits, dialect: CastDialect) -> bool:
    return traits.has_profiles or dialect.uses_ordinals


def _joins_systems(traits: InputTraits, dialect: CastDialect) -> bool:
    return dialect.uses_ordinals and "systems" in traits.scales


def _named(columns: Mapping[str, str]) -> str:
    return ",\n       ".join(f"{sql} AS {name}" for name, sql in columns.items())


def _is_counted(traits: InputTraits) -> str:
    """Whether a transaction `t` is not void, and of a profile unless the traits include anonymous ones."""
    profile_filter = "" if traits.has_anonymous else "t.profile IS NOT NULL AND "
    return f"{profile_filter}NOT {_is_void(traits.club)}"


def _is_void(club: ClubContext) -> str:
    statuses = ", ".join(f"'{each.replace(chr(39), chr(39) * 2)}'" for each in club.void_statuses)
    by_status = f"coalesce(lower(t.status) IN ({statuses}), FALSE)" if statuses else "FALSE"
    return f"(coalesce(t.is_void, FALSE) OR {by_status})"
