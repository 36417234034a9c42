"""Plan steps from cast input tables to the fact tables that definitions read."""

from collections.abc import Sequence
from dataclasses import replace

from regulars.core import cells
from regulars.core.field_type import FieldType
from regulars.offline import casting, dictionary_encoding, line_items
from regulars.offline.casting import CastDialect
from regulars.offline.errors import InvalidInputError
from regulars.offline.input_traits import LINE_TOTAL
from regulars.offline.schema import ColumnSpec
from regulars.offline.structures import (
    ClubContext,
    InputTable,
    InputTraits,
    InvalidCells,
    LineLayout,
    PlanStep,
    RowErrors,
)


def cast_table(source: InputTable, dialect: CastDialect, errors: RowErrors, *, row_number: str = "") -> str:
    """SELECT of the columns of a table, cast to their types, and `error_no`: the number of the first error of a row, or
    null. A column `row_number` is added as it is.

    Raises InvalidInputError for a column with a type that can't be cast.
    """
    columns, cells_read = [], []
    error_cases: list[tuple[str, str, ColumnSpec | None]] = []
    for each in source.spec.columns:
        column = source.columns.get(each.name)
        path = f"{source.spec.name}.{each.name}"
        if column is None:
            columns.append(f"{casting.null_of(each.type, dialect)} AS {each.name}")
            if each.type is FieldType.TIMESTAMP:
                columns.append(f"CAST(NULL AS TIMESTAMP) AS {each.name}_local")
            continue
        try:
            columns.append(f"{casting.cast(each.type, column, dialect)} AS {each.name}")
        except InvalidInputError as error:
            raise InvalidInputError(f"{path} {error}.") from None
        # Qualified, because some names are keywords of an engine.
        value = f"cast_cells.{each.name}"
        is_valid = f"{value} IS NOT NULL"
        if each.type is FieldType.TIMESTAMP:
            columns.append(f"{casting.local_time(column, dialect)} AS {each.name}_local")
            instant = f"coalesce({value}, {value}_local)"
            is_valid = f"coalesce({instant} BETWEEN {_FIRST_TIME} AND {_LAST_TIME}, FALSE)"
        if casting.can_fail(each.type, column):
            cells_read.append(f"{column.sql} AS {each.name}_cell")
            is_present = casting.is_present(replace(column, sql=f"{value}_cell"), dialect)
            is_invalid = f"CASE WHEN {is_valid} THEN FALSE ELSE {is_present} END"
            expected = f"{path} must be {cells.input_format(each.type, column.cell_format)}"
            error_cases.append((is_invalid, expected, each))
        has_alternative = each.alternatives and source.has(*each.alternatives)
        if each.required and each.name not in _MAY_BE_EMPTY and not has_alternative:
            error_cases.append((f"NOT ({is_valid})", f"{path} is required", None))
    columns += [f"{row_number} AS {row_number}"] if row_number else []
    casts = ",\n       ".join([*columns, *cells_read])
    filled = (f"nullif({each.sql}, '') IS NOT NULL" for each in source.columns.values())
    where = f"\nWHERE {' OR '.join(filled)}" if source.has_empty_rows else ""
    rows = f"(SELECT {casts}\nFROM {source.relation}{where}) AS cast_cells"
    cases = []
    for condition, message, spec in error_cases:
        invalid = None
        if spec is not None:
            first = f"SELECT CAST({spec.name}_cell AS {dialect.string_type}) FROM {rows} WHERE {condition}"
            query = f"{first} ORDER BY {source.spec.key} LIMIT {MAX_INVALID_CELLS}"
            invalid = InvalidCells(query, spec.type, source.columns[spec.name].cell_format)
        cases.append(f"WHEN {condition} THEN {errors.add(message, invalid)}")
    error_no = f"CASE {' '.join(cases)} END" if cases else "NULL"
    names = ", ".join(f"cast_cells.{each.rpartition(' AS ')[2]}" for each in columns)
    return f"SELECT {names}, CAST({error_no} AS INT) AS error_no\nFROM {rows}"


MAX_INVALID_CELLS = 100
"""Most invalid cells of a kind that are read to advise how to read them."""


_FIRST_TIME, _LAST_TIME = "TIMESTAMP '1900-01-01 00:00:00'", "TIMESTAMP '2999-12-31 23:59:59.999999'"

# Rows without a profile are anonymous purchases. The time may be on the first line of a transaction only.
_MAY_BE_EMPTY = {"profile", "transacted_at"}


def locations(source: InputTable | None, dialect: CastDialect, errors: RowErrors) -> PlanStep:
    """The locations, numbered in order of their ids, with country and state of their addresses."""
    if source is None:
        locations_sql = "SELECT DISTINCT location AS external_id FROM typed_transactions WHERE location IS NOT NULL"
        nulls = ", ".join(f"{casting.null_of(FieldType.STRING, dialect)} AS {name}" for name in _LOCATION_COLUMNS)
        unknown = "FALSE"
        source_sql = f"SELECT external_id, {nulls} FROM ({locations_sql}) AS used_locations"
    else:
        json_field = dialect.json_field
        country_name = _first_non_empty(
            [json_field("address", "iso"), json_field("address", "country"), "country_iso_3"]
        )
        source_sql = f"""SELECT raw.*, {_COUNTRY} AS country
FROM (
    SELECT external_id, type, timezone,
           {country_name} AS country_name,
           nullif({json_field("address", "iso_state")}, '') AS iso_state,
           nullif({json_field("address", "state")}, '') AS state
    FROM typed_locations
) AS raw"""
        unknown = _UNKNOWN_COUNTRY.format("located")
    unknown_country = errors.add("locations: the country must be a code or name of ISO 3166-1")
    has_nul = errors.add("locations.external_id contains a NUL character")
    return PlanStep(
        "fact_locations",
        f"""SELECT CAST(row_number() OVER (ORDER BY external_id) AS INT) AS location_id, located.*,
       CAST(CASE WHEN {unknown} THEN {unknown_country}
                 WHEN {_has_nul("located.external_id")} THEN {has_nul} END AS INT) AS error_no
FROM ({source_sql}) AS located""",
        is_materialized=True,
    )


_LOCATION_COLUMNS = ("type", "timezone", "country", "iso_state", "state")


_COUNTRY = "(SELECT max(alpha_2) FROM country_names WHERE country_names.name = raw.country_name)"
_UNKNOWN_COUNTRY = "{0}.country_name IS NOT NULL AND {0}.country IS NULL"


def _first_non_empty(texts: Sequence[str]) -> str:
    """The first non-empty string, normalized like the names of countries."""
    return f"lower(coalesce({', '.join(f'nullif(trim({each}), {chr(39) * 2})' for each in texts)}))"


def _has_nul(column: str) -> str:
    return f"contains({column}, chr(0))"


_HEADER = (
    "profile", "transacted_at", "transacted_at_local", "total", "timezone", "currency", "currency_rate", "location",
    "systems", "is_void", "status", "items",
)  # fmt: skip


def headers(
    traits: InputTraits, errors: RowErrors, *, is_strict: bool = False, rows: str = "typed_transactions"
) -> PlanStep:
    """One row for each transaction: rows with the same external id are combined.

    With `is_strict` they must agree in all header columns; else `differs` says that they do not. Of `rows` with a
    `row_number`, the first one with a value decides.
    """
    if not traits.has_repeated_ids:
        return PlanStep("headers", f"SELECT * FROM {rows}")
    is_numbered = rows != "typed_transactions"
    value = "min_by({0}, row_number) FILTER (WHERE {0} IS NOT NULL) AS {0}" if is_numbered else "min({0}) AS {0}"
    columns = ",\n       ".join(value.format(name) for name in _HEADER)
    differing = {name: f"coalesce(min({name}) <> max({name}), FALSE)" for name in _HEADER}
    if is_strict:
        number = errors.add(
            "transactions: rows with the same external_id must agree in all columns except those of line items"
        )
        contradiction = " OR ".join(f"{each} OR count({name}) NOT IN (0, count(*))" for name, each in differing.items())
    else:
        number = errors.add("transactions: rows with the same external_id must not have different lists of items")
        contradiction = differing["items"]
    return PlanStep(
        "headers",
        f"""SELECT external_id,
       {columns},
       coalesce(min(error_no), CASE WHEN {contradiction} THEN {number} END) AS error_no,
       {" OR ".join(differing.values())} AS differs
FROM {rows}
GROUP BY external_id""",
        is_materialized=True,
    )


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
    steps = [dictionary_encoding.system_channels()] if "systems" in traits.scales else []
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


def transactions(traits: InputTraits, dialect: CastDialect, errors: RowErrors, *, has_ids: bool) -> PlanStep:
    """All counted transactions (anonymous ones only if the traits include them), and a row for each invalid one."""
    club = traits.club
    zone = (
        f"coalesce(t.timezone, location.timezone, '{club.timezone}')" if traits.has_timezones else f"'{club.timezone}'"
    )
    error_cases = ["WHEN t.error_no IS NOT NULL THEN t.error_no"]

    def add_error(when: str, text: str) -> None:
        error_cases.append(f"WHEN {when} THEN {errors.add(text)}")

    add_error("t.location IS NOT NULL AND t.location_id IS NULL", "transactions.location does not exist in locations")
    if traits.has_rates:
        add_error(
            "t.is_foreign AND coalesce(t.currency_rate <= 0, TRUE)",
            f"transactions.currency_rate must be above 0 if the currency is not the club's {club.currency}",
        )
    is_incomplete = "t.at IS NULL"
    add_error(is_incomplete, "transactions.transacted_at is required")
    total = _total(traits, dialect)
    sign = total if LINE_TOTAL in traits.columns_read else "t.total"
    if LINE_TOTAL in traits.columns_read:
        is_incomplete += f" OR {total} IS NULL"
        add_error(f"{total} IS NULL", "transactions.total is required, or the price_sell of the lines")
        add_error(f"abs({total}) >= {10**18}", f"transactions.total must be {FieldType.MONEY.input_format}")
    in_range = "t.at >= TIMESTAMP '1900-01-01 00:00:00' AND t.at < TIMESTAMP '3000-01-01 00:00:00'"
    add_error(f"NOT ({in_range})", "transactions.transacted_at must be between the years 1900 and 2999")
    if traits.has_profiles:
        add_error("t.profile IS NOT NULL AND p.profile IS NULL", "transactions.profile does not exist in profiles")
    is_joined = traits.has_profiles or dialect.uses_ordinals
    join = "LEFT JOIN fact_profiles AS p ON p.profile_id = t.profile\n" if is_joined else ""
    if traits.line_layout is LineLayout.SEPARATE:
        join += "LEFT JOIN line_sums AS sold ON sold.external_id = t.external_id\n"
        error_cases.append("WHEN sold.error_no IS NOT NULL THEN sold.error_no")
    elif traits.line_layout is LineLayout.INLINE:
        if traits.has_products:
            join += "LEFT JOIN fact_products AS product ON product.sku = t.sku\n"
        if dialect.uses_ordinals:
            join += f"LEFT JOIN fact_brands AS brand_ids ON brand_ids.name = {line_items.brand_name(traits)}\n"
    has_local = "CASE WHEN t.transacted_at IS NULL THEN {} ELSE t.transacted_at END"
    at = has_local.format(dialect.engine.macros["instant_of"]("t.transacted_at_local", zone))
    transacted_on = dialect.engine.macros["local_date"]("t.at", "t.zone")
    if _uses_local_days(traits, dialect):
        join += "LEFT JOIN local_days AS local_day ON local_day.utc_day = CAST(t.at AS DATE)\n"
        cases = (
            "WHEN t.at < local_day.midnight_at THEN local_day.first_date "
            "WHEN t.at >= local_day.midnight_at THEN local_day.second_date"
        )
        transacted_on = f"CASE {cases} ELSE {transacted_on} END"
    channels = dictionary_encoding.channels("t.systems")
    if dialect.uses_ordinals and "systems" in traits.scales:
        join += "LEFT JOIN system_channels AS systems ON systems.systems = t.systems\n"
        channels = "systems.channels"
    # Sorting by profile halves the time of later groupings and bounds their memory.
    order_by = "\nORDER BY p.profile" if dialect.uses_ordinals else ""
    profile_filter = "" if traits.has_anonymous else "t.profile IS NOT NULL AND "
    channels = (
        f"coalesce({channels}, CASE WHEN t.location_type = 'online' THEN 2 WHEN t.location_type <> '' THEN 1 END)"
    )
    discount, list_value, brand = line_items.sold_columns(traits, dialect)
    # What no value reads is neither computed nor sorted.
    channels, discount, list_value = (
        sql if name in traits.columns_read else "CAST(NULL AS TINYINT)"
        for name, sql in (("channels", channels), ("discount", discount), ("list_value", list_value))
    )
    return PlanStep(
        "fact_transactions",
        f"""SELECT {"p.profile" if is_joined else "t.profile"} AS profile,
       {"t.external_id" if has_ids else casting.null_of(FieldType.BOOLEAN, dialect)} AS external_id,
       CAST(0 AS TINYINT) AS id,
       t.at AS transacted_at,
       CASE WHEN t.zone = 'UTC' THEN CAST(t.at AS DATE) ELSE {transacted_on} END AS transacted_on,
       {amount(total, traits, dialect)} AS amount,
       CAST(CASE WHEN {sign} > 0 THEN 1 WHEN {sign} < 0 THEN -1 ELSE 0 END AS TINYINT) AS direction,
       CAST({channels} AS TINYINT) AS channels,
       t.location_id,
       {discount} AS discount,
       {list_value} AS list_value,
       {brand} AS sold_brand,
       CAST(CASE {" ".join(error_cases)} END AS SMALLINT) AS error_no
FROM (
    SELECT t.*, location.location_id, location.type AS location_type, {at} AS at, {zone} AS zone,
           {line_items.is_foreign(club)} AS is_foreign
    FROM headers AS t
    LEFT JOIN fact_locations AS location ON location.external_id = t.location
) AS t
{join}WHERE t.error_no IS NOT NULL OR {is_incomplete} OR ({profile_filter}NOT {_is_void(club)}){order_by}""",
        is_materialized=True,
    )


def _is_void(club: ClubContext) -> str:
    statuses = ", ".join(f"'{each.replace(chr(39), chr(39) * 2)}'" for each in club.void_statuses)
    by_status = f"coalesce(lower(t.status) IN ({statuses}), FALSE)" if statuses else "FALSE"
    return f"(coalesce(t.is_void, FALSE) OR {by_status})"


def products(source: InputTable | None, dialect: CastDialect, errors: RowErrors) -> PlanStep:
    """Brand of each SKU."""
    if source is None:
        text = casting.null_of(FieldType.STRING, dialect)
        return PlanStep(
            "fact_products", f"SELECT {text} AS sku, {text} AS brand, CAST(NULL AS INT) AS error_no WHERE 1 = 0"
        )
    variants = dialect.unnest(dialect.json_objects("variants", ("sku",)))
    number = errors.add("products: a sku must not have two brands")
    return PlanStep(
        "fact_products",
        f"""SELECT sku, max(brand) AS brand,
       CAST(CASE WHEN min(brand) <> max(brand) THEN {number} END AS INT) AS error_no
FROM (
    SELECT sku, brand FROM typed_products WHERE sku IS NOT NULL
    UNION ALL
    SELECT variant.each.sku, variant.brand
    FROM (SELECT brand, {variants} AS each FROM typed_products WHERE variants IS NOT NULL) AS variant
) AS sku_brands
GROUP BY sku""",
        is_materialized=True,
    )


def profiles(source: InputTable | None, traits: InputTraits, dialect: CastDialect, errors: RowErrors) -> list[PlanStep]:
    """The profiles, numbered in order of their ids if the engine uses ordinals."""
    ordinal = "CAST(row_number() OVER (ORDER BY profile_id) AS INT)" if dialect.uses_ordinals else "profile_id"
    error_cases = [
        f"WHEN {_has_nul('unnumbered.profile_id')} THEN {errors.add('the id of a profile contains a NUL character')}"
    ]
    if source is None:
        source_sql = """SELECT DISTINCT profile AS profile_id, CAST(NULL AS TIMESTAMP) AS joined_at,
       CAST(NULL AS INT) AS joined_location_id, CAST(NULL AS INT) AS preferred_location_id
FROM typed_transactions
WHERE profile IS NOT NULL"""
    else:
        at = dialect.engine.macros["instant_of"]("p.joined_at_local", f"'{traits.club.timezone}'")
        if traits.has_locations:
            for kind in ("joined", "preferred"):
                number = errors.add(f"profiles.{kind}_location_external_id does not exist in locations")
                error_cases.append(f"WHEN {kind}_location IS NOT NULL AND {kind}_location_id IS NULL THEN {number}")
        source_sql = f"""SELECT p.external_id AS profile_id, coalesce(p.joined_at, {at}) AS joined_at,
       joined.location_id AS joined_location_id, preferred.location_id AS preferred_location_id,
       p.joined_location_external_id AS joined_location, p.preferred_location_external_id AS preferred_location
FROM typed_profiles AS p
LEFT JOIN fact_locations AS joined ON joined.external_id = p.joined_location_external_id
LEFT JOIN fact_locations AS preferred ON preferred.external_id = p.preferred_location_external_id"""
    return [
        PlanStep(
            "fact_profiles",
            f"""SELECT {ordinal} AS profile, unnumbered.*,
       CAST(CASE {" ".join(error_cases)} END AS INT) AS error_no
FROM (
{source_sql}
) AS unnumbered""",
            is_materialized=True,
        ),
        _addresses(source, dialect, errors),
    ]


def _addresses(source: InputTable | None, dialect: CastDialect, errors: RowErrors) -> PlanStep:
    if source is None or not source.has("addresses"):
        text = casting.null_of(FieldType.STRING, dialect)
        return PlanStep(
            "fact_addresses",
            f"""SELECT profile, profile_id, FALSE AS is_default,
       {text} AS country, {text} AS iso_state, {text} AS state,
       CAST(NULL AS INT) AS error_no
FROM fact_profiles
WHERE 1 = 0""",
        )
    rows = dialect.unnest(dialect.json_objects("addresses", ("is_default", "iso", "country", "country_iso_3", *_STATE)))
    unknown = errors.add("profiles.addresses: the country must be a code or name of ISO 3166-1")
    unparsable = errors.add("profiles.addresses must be a list of objects, or its JSON")
    return PlanStep(
        "fact_addresses",
        f"""SELECT p.profile, p.profile_id, address.is_default, address.country, address.iso_state, address.state,
       CAST(CASE WHEN address.is_unparsable THEN {unparsable}
                 WHEN {_UNKNOWN_COUNTRY.format("address")} THEN {unknown} END AS INT) AS error_no
FROM (
    SELECT raw.*, {_COUNTRY} AS country
    FROM (
        SELECT external_id,
               each IS NULL AS is_unparsable,
               coalesce(lower(each.is_default) = 'true', FALSE) AS is_default,
               {_first_non_empty([f"each.{name}" for name in ("iso", "country", "country_iso_3")])} AS country_name,
               nullif(each.iso_state, '') AS iso_state,
               nullif(each.state, '') AS state
        FROM (SELECT external_id, {rows} AS each FROM typed_profiles WHERE addresses IS NOT NULL) AS stored
    ) AS raw
) AS address
JOIN fact_profiles AS p ON p.profile_id = address.external_id""",
        is_materialized=True,
    )


_STATE = ("iso_state", "state")
