"""From tables as they were given to the facts that definitions are written over: SQL, step by step."""

from collections.abc import Sequence

from regulars.core.field_type import FieldType
from regulars.offline import casting, dictionary_encoding, line_items
from regulars.offline.casting import CastDialect
from regulars.offline.errors import InvalidInputError
from regulars.offline.structures import InputTable, InputTraits, LineLayout, PlanStep, RowErrors


def cast_table(source: InputTable, dialect: CastDialect, faults: RowErrors) -> str:
    """The columns of a table as their kinds say, with `wrong`: the number of the first fault of a row, or null.

    Raises InvalidInputError for a column that is missing, or of a type that can't be read.
    """
    columns, wrong = [], []
    for each in source.table.columns:
        given = source.columns.get(each.name)
        place = f"{source.table.name}.{each.name}"
        if given is None:
            columns.append(f"{casting.null_of(each.type, dialect)} AS {each.name}")
            if each.type is FieldType.TIMESTAMP:
                columns.append(f"CAST(NULL AS TIMESTAMP) AS {each.name}_local")
            continue
        try:
            read = casting.cast(each.type, given, dialect)
        except InvalidInputError as error:
            raise InvalidInputError(f"{place} {error}.") from None
        columns.append(f"{read} AS {each.name}")
        understood = f"({read}) IS NOT NULL"
        if each.type is FieldType.TIMESTAMP:
            local = casting.local_time(given, dialect)
            columns.append(f"{local} AS {each.name}_local")
            understood = f"(({read}) IS NOT NULL OR ({local}) IS NOT NULL)"
        if each.required and each.name not in _MAY_BE_EMPTY:
            number = faults.add(f"{place} is required, and must be {each.type.input_format}")
            wrong.append(f"WHEN NOT {understood} THEN {number}")
        elif casting.can_fail(each.type, given):
            number = faults.add(f"{place} must be {each.type.input_format}")
            wrong.append(f"WHEN {casting.is_present(given)} AND NOT {understood} THEN {number}")
    cases = "CASE " + " ".join(wrong) + " END" if wrong else "NULL"
    body = ",\n       ".join([*columns, f"CAST({cases} AS INT) AS wrong"])
    return f"SELECT {body}\nFROM {source.relation}"


# Whoever bought nothing known by name is nobody: the row is read and leads nowhere.
_MAY_BE_EMPTY = {"profile"}


def locations(source: InputTable | None, dialect: CastDialect, faults: RowErrors) -> PlanStep:
    """The locations, numbered in their order, with the country and the state of their addresses."""
    if source is None:
        named = "SELECT DISTINCT location AS external_id FROM typed_transactions WHERE location IS NOT NULL"
        nothing = ", ".join(f"{casting.null_of(FieldType.STRING, dialect)} AS {name}" for name in _PLACE)
        unknown = "FALSE"
        every = f"SELECT external_id, {nothing} FROM ({named}) AS named"
    else:
        part = dialect.json_field
        named = _first_told([part("address", "iso"), part("address", "country"), "country_iso_3"])
        every = f"""SELECT told.*, {_COUNTRY} AS country
FROM (
    SELECT external_id, type, timezone,
           {named} AS named,
           nullif({part("address", "iso_state")}, '') AS iso_state,
           nullif({part("address", "state")}, '') AS state
    FROM typed_locations
) AS told"""
        unknown = _UNKNOWN_COUNTRY.format("placed")
    no_country = faults.add("locations: the country must be one of ISO 3166-1")
    no_text = faults.add("locations.external_id holds a NUL character")
    return PlanStep(
        "fact_locations",
        f"""SELECT CAST(row_number() OVER (ORDER BY external_id) AS INT) AS location_id, placed.*,
       CAST(CASE WHEN {unknown} THEN {no_country}
                 WHEN {_has_nul("placed.external_id")} THEN {no_text} END AS INT) AS wrong
FROM ({every}) AS placed""",
        is_materialized=True,
    )


_PLACE = ("type", "timezone", "country", "iso_state", "state")


_COUNTRY = "(SELECT max(alpha_2) FROM country_names WHERE country_names.name = told.named)"
_UNKNOWN_COUNTRY = "{0}.named IS NOT NULL AND {0}.country IS NULL"


def _first_told(texts: Sequence[str]) -> str:
    """The first of some texts that says anything, as names of countries are kept."""
    return f"lower(coalesce({', '.join(f'nullif(trim({each}), {chr(39) * 2})' for each in texts)}))"


def _has_nul(column: str) -> str:
    return f"contains({column}, chr(0))"


_HEADER = (
    "profile", "transacted_at", "transacted_at_local", "total", "timezone", "currency", "currency_rate", "location",
    "systems", "is_void", "items",
)  # fmt: skip


def headers(shape: InputTraits, faults: RowErrors) -> PlanStep:
    """One row a transaction: the lines of one external id put together, which must agree in all else."""
    if not shape.has_repeated_ids:
        return PlanStep("headers", "SELECT * FROM typed_transactions")
    number = faults.add("transactions: rows with one external_id are one transaction, and must agree in all columns")
    columns = ",\n       ".join(f"min({name}) AS {name}" for name in _HEADER)
    differ = "\n            OR ".join(
        f"min({name}) <> max({name}) OR count({name}) NOT IN (0, count(*))" for name in _HEADER
    )
    return PlanStep(
        "headers",
        f"""SELECT external_id,
       {columns},
       coalesce(min(wrong), CASE WHEN {differ} THEN {number} END) AS wrong
FROM typed_transactions
GROUP BY external_id""",
        is_materialized=True,
    )


def amount(shape: InputTraits, dialect: CastDialect) -> str:
    """A total in minor units of the club's currency, rounded half-even once."""
    digits, whole = shape.club.minor_digits, dialect.integer_type
    if not shape.has_rates:
        if shape.scales["total"] <= digits:
            return f"CAST(t.total * {10**digits} AS BIGINT)"
        # Below 10^12 these fit.
        return dialect.engine.macros["half_even"](line_items.millionths("t.total", "BIGINT"), str(10 ** (6 - digits)))
    units = f"{line_items.millionths('t.total', whole)} * CAST({line_items.RATE} * 1000000000000 AS {whole})"
    return dialect.engine.macros["half_even"](units, f"CAST({10 ** (18 - digits)} AS {whole})")


def dictionary_steps(shape: InputTraits, dialect: CastDialect) -> list[PlanStep]:
    """What the facts of transactions are looked up in."""
    if not dialect.uses_ordinals:
        return []
    found = [dictionary_encoding.system_channels()] if "systems" in shape.scales else []
    if shape.line_layout is not LineLayout.SEPARATE:
        found += dictionary_encoding.brand_dictionary(_BRANDS)
    return [*found, dictionary_encoding.local_days(shape.club, dialect)] if _is_dated_by_days(shape, dialect) else found


_BRANDS = "SELECT DISTINCT brand FROM typed_transactions UNION SELECT brand FROM fact_products"


def _is_dated_by_days(shape: InputTraits, dialect: CastDialect) -> bool:
    return dialect.uses_ordinals and not shape.has_timezones and shape.club.timezone != "UTC"


def needs_ids(shape: InputTraits, dialect: CastDialect) -> bool:
    """Whether facts need the ids of transactions in any case: else only ties, and what is wrong, depend on them."""
    return not dialect.uses_ordinals or shape.line_layout is LineLayout.SEPARATE


def transactions(shape: InputTraits, dialect: CastDialect, faults: RowErrors, *, has_ids: bool) -> PlanStep:
    """Every counted transaction of a profile, or of anybody where these are facts too; or a row that says what is wrong
    with it.
    """
    club = shape.club
    zone = f"coalesce(t.timezone, place.timezone, '{club.timezone}')" if shape.has_timezones else f"'{club.timezone}'"
    wrong = ["WHEN t.wrong IS NOT NULL THEN t.wrong"]

    def refuse(when: str, text: str) -> None:
        wrong.append(f"WHEN {when} THEN {faults.add(text)}")

    refuse("t.location IS NOT NULL AND t.location_id IS NULL", "transactions.location is not among the locations")
    if shape.has_rates:
        refuse(
            "t.is_foreign AND coalesce(t.currency_rate <= 0, TRUE)",
            f"transactions.currency_rate must be above 0 where the currency is not the club's {club.currency}",
        )
    in_time = "t.at >= TIMESTAMP '1900-01-01 00:00:00' AND t.at < TIMESTAMP '3000-01-01 00:00:00'"
    refuse(f"NOT ({in_time})", "transactions.transacted_at must be in the years 1900 to 2999")
    if shape.has_profiles:
        refuse("t.profile IS NOT NULL AND own.profile IS NULL", "transactions.profile is not among the profiles")
    is_joined = shape.has_profiles or dialect.uses_ordinals
    join = "LEFT JOIN fact_profiles AS own ON own.profile_id = t.profile\n" if is_joined else ""
    if shape.line_layout is LineLayout.SEPARATE:
        join += "LEFT JOIN line_sums AS sold ON sold.external_id = t.external_id\n"
        wrong.append("WHEN sold.wrong IS NOT NULL THEN sold.wrong")
    elif shape.line_layout is LineLayout.INLINE:
        if shape.has_products:
            join += "LEFT JOIN fact_products AS product ON product.sku = t.sku\n"
        if dialect.uses_ordinals:
            join += f"LEFT JOIN fact_brands AS labelled ON labelled.name = {line_items.brand_name(shape)}\n"
    has_local = "CASE WHEN t.transacted_at IS NULL THEN {} ELSE t.transacted_at END"
    at = has_local.format(dialect.engine.macros["instant_of"]("t.transacted_at_local", zone))
    transacted_on = dialect.engine.macros["local_date"]("t.at", "t.zone")
    if _is_dated_by_days(shape, dialect):
        join += "LEFT JOIN zone_days AS part ON part.utc_day = CAST(t.at AS DATE)\n"
        known = "WHEN t.at < part.turns_at THEN part.earlier WHEN t.at >= part.turns_at THEN part.later"
        transacted_on = f"CASE {known} ELSE {transacted_on} END"
    channels = dictionary_encoding.channels("t.systems")
    if dialect.uses_ordinals and "systems" in shape.scales:
        join += "LEFT JOIN known_systems AS known ON known.systems = t.systems\n"
        channels = "known.channels"
    # What is grouped by profile then finds each together: half of the time, and memory that does not grow with rows.
    in_order = "\nORDER BY own.profile" if dialect.uses_ordinals else ""
    whose = "" if shape.has_anonymous else "t.profile IS NOT NULL AND "
    discount, list_value, brand = line_items.sold_columns(shape, dialect)
    return PlanStep(
        "fact_transactions",
        f"""SELECT {"own.profile" if is_joined else "t.profile"} AS profile,
       {"t.external_id" if has_ids else casting.null_of(FieldType.BOOLEAN, dialect)} AS external_id,
       CAST(0 AS TINYINT) AS id,
       t.at AS transacted_at,
       CASE WHEN t.zone = 'UTC' THEN CAST(t.at AS DATE) ELSE {transacted_on} END AS transacted_on,
       {amount(shape, dialect)} AS amount,
       CAST(CASE WHEN t.total > 0 THEN 1 WHEN t.total < 0 THEN -1 ELSE 0 END AS TINYINT) AS direction,
       CAST(coalesce({channels}, CASE WHEN t.place_type = 'online' THEN 2 WHEN t.place_type <> '' THEN 1 END)
           AS TINYINT) AS channels,
       t.location_id,
       {discount} AS discount,
       {list_value} AS list_value,
       {brand} AS sold_brand,
       CAST(CASE {" ".join(wrong)} END AS SMALLINT) AS wrong
FROM (
    SELECT t.*, place.location_id, place.type AS place_type, {at} AS at, {zone} AS zone,
           {line_items.is_foreign(club)} AS is_foreign
    FROM headers AS t
    LEFT JOIN fact_locations AS place ON place.external_id = t.location
) AS t
{join}WHERE t.wrong IS NOT NULL OR ({whose}NOT coalesce(t.is_void, FALSE)){in_order}""",
        is_materialized=True,
    )


def products(source: InputTable | None, dialect: CastDialect, faults: RowErrors) -> PlanStep:
    """The brand of each sku."""
    if source is None:
        text = casting.null_of(FieldType.STRING, dialect)
        return PlanStep(
            "fact_products", f"SELECT {text} AS sku, {text} AS brand, CAST(NULL AS INT) AS wrong WHERE 1 = 0"
        )
    variants = dialect.unnest(dialect.json_objects("variants", ("sku",)))
    number = faults.add("products: one sku can't be of two brands")
    return PlanStep(
        "fact_products",
        f"""SELECT sku, max(brand) AS brand,
       CAST(CASE WHEN min(brand) <> max(brand) THEN {number} END AS INT) AS wrong
FROM (
    SELECT sku, brand FROM typed_products WHERE sku IS NOT NULL
    UNION ALL
    SELECT variant.each.sku, variant.brand
    FROM (SELECT brand, {variants} AS each FROM typed_products WHERE variants IS NOT NULL) AS variant
) AS named
GROUP BY sku""",
        is_materialized=True,
    )


def profiles(source: InputTable | None, shape: InputTraits, dialect: CastDialect, faults: RowErrors) -> list[PlanStep]:
    """The profiles, numbered in the order of their ids where the engine counts faster than it compares."""
    place = "CAST(row_number() OVER (ORDER BY profile_id) AS INT)" if dialect.uses_ordinals else "profile_id"
    wrong = [f"WHEN {_has_nul('known.profile_id')} THEN {faults.add('a profile has a NUL character in its id')}"]
    if source is None:
        every = """SELECT DISTINCT profile AS profile_id, CAST(NULL AS TIMESTAMP) AS joined_at,
       CAST(NULL AS INT) AS joined_location_id, CAST(NULL AS INT) AS preferred_location_id
FROM typed_transactions
WHERE profile IS NOT NULL"""
    else:
        at = dialect.engine.macros["instant_of"]("own.joined_at_local", f"'{shape.club.timezone}'")
        if shape.has_locations:
            for kind in ("joined", "preferred"):
                number = faults.add(f"profiles.{kind}_location_external_id is not among the locations")
                wrong.append(f"WHEN {kind}_place IS NOT NULL AND {kind}_location_id IS NULL THEN {number}")
        every = f"""SELECT own.external_id AS profile_id, coalesce(own.joined_at, {at}) AS joined_at,
       joined.location_id AS joined_location_id, preferred.location_id AS preferred_location_id,
       own.joined_location_external_id AS joined_place, own.preferred_location_external_id AS preferred_place
FROM typed_profiles AS own
LEFT JOIN fact_locations AS joined ON joined.external_id = own.joined_location_external_id
LEFT JOIN fact_locations AS preferred ON preferred.external_id = own.preferred_location_external_id"""
    return [
        PlanStep(
            "fact_profiles",
            f"""SELECT {place} AS profile, known.*,
       CAST(CASE {" ".join(wrong)} END AS INT) AS wrong
FROM (
{every}
) AS known""",
            is_materialized=True,
        ),
        _addresses(source, dialect, faults),
    ]


def _addresses(source: InputTable | None, dialect: CastDialect, faults: RowErrors) -> PlanStep:
    if source is None or not source.has("addresses"):
        text = casting.null_of(FieldType.STRING, dialect)
        return PlanStep(
            "fact_addresses",
            f"""SELECT profile, profile_id, FALSE AS is_default,
       {text} AS country, {text} AS iso_state, {text} AS state,
       CAST(NULL AS INT) AS wrong
FROM fact_profiles
WHERE 1 = 0""",
        )
    rows = dialect.unnest(dialect.json_objects("addresses", ("is_default", "iso", "country", "country_iso_3", *_STATE)))
    unknown = faults.add("profiles.addresses: the country must be one of ISO 3166-1")
    unread = faults.add("profiles.addresses must be a list of objects, or its JSON")
    return PlanStep(
        "fact_addresses",
        f"""SELECT own.profile, own.profile_id, address.is_default, address.country, address.iso_state, address.state,
       CAST(CASE WHEN address.is_unread THEN {unread}
                 WHEN {_UNKNOWN_COUNTRY.format("address")} THEN {unknown} END AS INT) AS wrong
FROM (
    SELECT told.*, {_COUNTRY} AS country
    FROM (
        SELECT external_id,
               each IS NULL AS is_unread,
               coalesce(lower(each.is_default) = 'true', FALSE) AS is_default,
               {_first_told([f"each.{name}" for name in ("iso", "country", "country_iso_3")])} AS named,
               nullif(each.iso_state, '') AS iso_state,
               nullif(each.state, '') AS state
        FROM (SELECT external_id, {rows} AS each FROM typed_profiles WHERE addresses IS NOT NULL) AS stored
    ) AS told
) AS address
JOIN fact_profiles AS own ON own.profile_id = address.external_id""",
        is_materialized=True,
    )


_STATE = ("iso_state", "state")
