"""Plan steps from cast input tables to the fact tables that definitions read."""

from collections.abc import Sequence, Set
from dataclasses import replace

from regulars.core import cells
from regulars.core.field_type import FieldType
from regulars.core.validation import MAX_TEXT_LENGTH
from regulars.offline import casting
from regulars.offline.casting import CastDialect
from regulars.offline.errors import InvalidInputError
from regulars.offline.schema import ColumnSpec
from regulars.offline.structures import (
    InputTable,
    InputTraits,
    InvalidCells,
    PlanStep,
    RowErrors,
)


def cast_table(
    source: InputTable,
    dialect: CastDialect,
    errors: RowErrors,
    *,
    row_number: str = "",
    present: Set[str] = frozenset(),
    checks_texts: bool = False,
) -> str:
    """SELECT of the columns of a table, cast to their types, and `error_no`: the number of the first error of a row, or
    null. A column `row_number` is added as it is. Columns that are known to be `present` in each row are not checked,
    nor whether the server stores texts unless `checks_texts`.

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
        if each.name in present:
            continue
        # Qualified, because some names are keywords of an engine.
        value = f"cast_cells.{each.name}"
        is_valid = f"{value} IS NOT NULL"
        if each.type is FieldType.TIMESTAMP:
            columns.append(f"{casting.local_time(column, dialect)} AS {each.name}_local")
            instant = f"coalesce({value}, {value}_local)"
            is_valid = f"coalesce({instant} BETWEEN {_FIRST_TIME} AND {_LAST_TIME}, FALSE)"
        if casting.can_fail(each.type, column, dialect):
            cells_read.append(f"{column.sql} AS {each.name}_cell")
            is_present = casting.is_present(replace(column, sql=f"{value}_cell"), dialect)
            is_invalid = f"CASE WHEN {is_valid} THEN FALSE ELSE {is_present} END"
            expected = f"{path} must be {cells.input_format(each.type, column.cell_format)}"
            error_cases.append((is_invalid, expected, each))
        has_alternative = each.alternatives and source.has(*each.alternatives)
        if checks_texts and each.type is FieldType.STRING:
            message = f"{path} must be at most {MAX_TEXT_LENGTH} characters without NUL characters"
            error_cases.append((is_unstorable(value), message, None))
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
    is_long = errors.add(f"locations.external_id is longer than {MAX_TEXT_LENGTH} characters")
    return PlanStep(
        "fact_locations",
        f"""SELECT CAST(row_number() OVER (ORDER BY external_id) AS INT) AS location_id, located.*,
       CAST(CASE WHEN {unknown} THEN {unknown_country}
                 WHEN {_has_nul("located.external_id")} THEN {has_nul}
                 WHEN {_is_long("located.external_id")} THEN {is_long} END AS INT) AS error_no
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


def _is_long(column: str) -> str:
    return f"length({column}) > {MAX_TEXT_LENGTH}"


def is_unstorable(column: str) -> str:
    """SQL condition for texts that the server rejects."""
    return f"coalesce({_is_long(column)} OR {_has_nul(column)}, FALSE)"


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
    SELECT sku, brand FROM typed_products
    UNION ALL
    SELECT {casting.trimmed_text("variant.each.sku", dialect)} AS sku, variant.brand
    FROM (SELECT brand, {variants} AS each FROM typed_products WHERE variants IS NOT NULL) AS variant
) AS sku_brands
WHERE sku IS NOT NULL
GROUP BY sku""",
        is_materialized=True,
    )


def profiles(source: InputTable | None, traits: InputTraits, dialect: CastDialect, errors: RowErrors) -> list[PlanStep]:
    """The profiles, numbered in order of their ids if the engine uses ordinals."""
    ordinal = "CAST(row_number() OVER (ORDER BY profile_id) AS INT)" if dialect.uses_ordinals else "profile_id"
    has_nul = errors.add("the id of a profile contains a NUL character")
    is_long = errors.add(f"the id of a profile is longer than {MAX_TEXT_LENGTH} characters")
    id_ = "unnumbered.profile_id"
    error_cases = [f"WHEN {_has_nul(id_)} THEN {has_nul}", f"WHEN {_is_long(id_)} THEN {is_long}"]
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
