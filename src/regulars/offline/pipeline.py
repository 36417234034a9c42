"""Pipeline from input tables to values: the same plan steps on every engine, which only runs them."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial

from regulars.aggregations.aggregation import Aggregation, AggregationRegistry
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import DUCKDB_BRAND_BITSET, MAX_BITSET_BRANDS, MAX_LOCATIONS
from regulars.aggregations.fingerprint import LOADABLE_REGISTRY
from regulars.aggregations.pruning import columns_read, prune
from regulars.core import cells, countries, date_formats
from regulars.core.time_forms import BLANKS
from regulars.model.transactions.void_statuses import DEFAULT_VOID_STATUSES
from regulars.offline import fact_tables, line_items, schema, transaction_facts, values
from regulars.offline.casting import TypeFamily
from regulars.offline.errors import InvalidInputError
from regulars.offline.input_traits import (
    LINE_TOTAL,
    check_timezone,
    determine_traits,
    needs_line_totals,
    prune_columns,
)
from regulars.offline.structures import (
    ClubContext,
    EngineBackend,
    InputTable,
    InputTraits,
    LineLayout,
    NoticeCallback,
    PlanStep,
    RowErrors,
)

MAX_ERROR_KINDS = 3


@dataclass(frozen=True, slots=True)
class ComputeSpec:
    """What to compute: time zone and currency of the club, an instant (None: an entity table), and the values.

    `is_strict` rejects transactions whose lines differ in other columns than those of items; `on_notice` receives how many
    there are otherwise. `with_fingerprints` adds time triggers and the fingerprint of the facts.
    `money_as_float` returns money and percentages as floating-point numbers.
    """

    timezone: str
    currency: str | None
    as_of: datetime | None
    aggregations: tuple[Aggregation, ...]
    with_fingerprints: bool = False
    money_as_float: bool = False
    is_strict: bool = False
    on_notice: NoticeCallback = lambda text: None
    void_statuses: tuple[str, ...] = DEFAULT_VOID_STATUSES


def build_values(
    backend: EngineBackend, inputs: Mapping[str, InputTable], spec: ComputeSpec, progress: Callable[[str], None]
) -> str:
    """Creates all relations up to the values; returns the SELECT of the output.

    Raises InvalidInputError for invalid input.
    """
    registry = (
        LOADABLE_REGISTRY if spec.with_fingerprints else registry_for(tuple(each.name for each in spec.aggregations))
    )
    facts = prepare_facts(backend, inputs, spec, columns_read(registry), progress)
    progress("computing")
    compute_prepared_values(backend, facts, spec.as_of, registry)
    return values.output_select(
        spec.aggregations, facts.traits.club, backend.dialect, money_as_float=spec.money_as_float
    )


@dataclass(frozen=True, slots=True)
class PreparedFacts:
    """Traits of the prepared facts; `rebuild_with_ids` recreates transactions that were created without ids."""

    traits: InputTraits
    rebuild_with_ids: Callable[[], None] | None


def prepare_facts(
    backend: EngineBackend,
    inputs: Mapping[str, InputTable],
    spec: ComputeSpec,
    read: Set[str],
    progress: Callable[[str], None],
    *,
    has_anonymous: bool = False,
) -> PreparedFacts:
    """Creates the fact tables that are needed for the columns `read`, with anonymous purchases if `has_anonymous`.

    A single machine first takes the input for valid and stops at the first row that is not; then it starts again with all
    checks, whose ids and numbers of errors valid facts need not store.
    Raises InvalidInputError for invalid input.
    """
    if needs_line_totals(backend, inputs["transactions"]):
        read = read | {LINE_TOTAL}
    inputs = prune_columns(inputs, read)
    check_timezone(spec.timezone, "timezone")
    create_country_tables(backend)
    progress("reading")
    if not backend.dialect.uses_ordinals:
        return _prepare_facts(
            backend, inputs, spec, read, spec.on_notice, has_anonymous=has_anonymous, is_trusted=False
        )
    notices: list[str] = []
    try:
        facts = _prepare_facts(
            backend, inputs, spec, read, notices.append, has_anonymous=has_anonymous, is_trusted=True
        )
    except InvalidInputError:
        return _prepare_facts(
            backend, inputs, spec, read, spec.on_notice, has_anonymous=has_anonymous, is_trusted=False
        )
    for text in notices:
        spec.on_notice(text)
    return facts


def _prepare_facts(
    backend: EngineBackend,
    inputs: Mapping[str, InputTable],
    spec: ComputeSpec,
    read: Set[str],
    on_notice: NoticeCallback,
    *,
    has_anonymous: bool,
    is_trusted: bool,
) -> PreparedFacts:
    errors = RowErrors()
    untrimmed = _untrimmed(inputs) if is_trusted else frozenset()
    inputs = {
        name: trim_ids(backend, table, untrimmed if name == "transactions" else frozenset())
        for name, table in inputs.items()
    }
    transactions = inputs["transactions"]
    for table in inputs.values():
        cast_input(backend, table, errors, checks_texts=not is_trusted)
    determine = partial(
        determine_traits,
        backend,
        timezone=spec.timezone,
        currency=spec.currency,
        void_statuses=spec.void_statuses,
        read=read,
        has_anonymous=has_anonymous,
    )
    traits = determine(inputs)
    if is_trusted and traits.has_numbered_ids:
        _trust_ids(backend, transactions, errors)
    elif is_trusted:
        # Ids, and the rows of one transaction, do not differ by blanks.
        searched = untrimmed if traits.has_repeated_ids else {transactions.spec.key}
        trimmed = trim_ids(backend, transactions, transactions.columns.keys() - searched)
        if trimmed is not transactions:
            transactions = trim_ids(backend, transactions, transactions.columns.keys() - untrimmed)
            cast_input(backend, transactions, errors)
            traits = determine({**inputs, "transactions": transactions})
    if is_trusted:
        _require_storable_texts(backend, transactions, traits)
    backend.create(fact_tables.locations(inputs.get("locations"), backend.dialect, errors))
    raise_on_invalid_rows(backend, "fact_locations", "external_id", errors)
    backend.create(fact_tables.headers(traits, errors, is_strict=spec.is_strict))
    if traits.has_repeated_ids and not spec.is_strict:
        _take_first_values(backend, transactions, traits, errors, on_notice)
    for step in fact_tables.profiles(inputs.get("profiles"), traits, backend.dialect, errors):
        backend.create(step)
        raise_on_invalid_rows(backend, step.name, "profile_id", errors)
    backend.create(fact_tables.products(inputs.get("products"), backend.dialect, errors))
    raise_on_invalid_rows(backend, "fact_products", "sku", errors)
    if "as_of" in inputs:
        _raise_on_unknown_profiles(backend)
    sold = line_items.line_steps(transactions, traits, backend.dialect, errors)
    for step in (*sold[:-1], *transaction_facts.dictionary_steps(traits, backend.dialect)):
        backend.create(step)
    if is_trusted and traits.line_layout is LineLayout.INLINE:
        _raise_if_any(backend, [fact_tables.is_unstorable("name")], "fact_brands")

    def create_transactions(*, has_ids: bool) -> None:
        for step in transaction_facts.transactions(
            traits, backend.dialect, errors, has_ids=has_ids, is_trusted=is_trusted
        ):
            backend.create(step)

    has_ids = not is_trusted or transaction_facts.needs_ids(traits, backend.dialect)
    create_transactions(has_ids=has_ids)
    raise_on_invalid_rows(backend, "fact_transactions", "external_id", errors)
    backend.create(sold[-1])
    backend.create(values.club_step(traits.club))
    return PreparedFacts(traits, None if has_ids else partial(create_transactions, has_ids=True))


def _take_first_values(
    backend: EngineBackend, transactions: InputTable, traits: InputTraits, errors: RowErrors, on_notice: NoticeCallback
) -> None:
    """Has the first line with a value decide where lines of a transaction differ, which takes the order of the rows."""
    ((number, first),) = backend.fetch("SELECT count(*), min(external_id) FROM headers WHERE differs")
    if not number:
        return
    numbered = replace(transactions, relation=backend.number_rows(transactions.relation))
    rows = fact_tables.cast_table(numbered, backend.dialect, RowErrors(), row_number="row_number")
    backend.create(PlanStep("numbered_transactions", rows))
    backend.create(fact_tables.headers(traits, errors, rows="numbered_transactions"))
    on_notice(
        f"transactions: {number:,} have lines that differ in other columns than those of items, such as {first!r}: the first "
        f"line with a value decides (strict rejects them)"
    )


@cache
def registry_for(names: tuple[str, ...]) -> AggregationRegistry:
    """Registry of the named values and their dependencies."""
    # Cached, so that its statement is translated once.
    return prune(REGISTRY, names)


def compute_prepared_values(
    backend: EngineBackend, facts: PreparedFacts, as_of: datetime | None, registry: AggregationRegistry
) -> None:
    """Creates `stored_values` from prepared facts; see `compute_values`."""
    has_brand_ids = backend.dialect.uses_ordinals and facts.traits.line_layout is not LineLayout.SEPARATE
    compute_values(
        backend,
        facts.traits.club,
        as_of,
        registry,
        has_brand_ids=has_brand_ids,
        rebuild_with_ids=facts.rebuild_with_ids,
    )


def compute_values(
    backend: EngineBackend,
    club: ClubContext,
    as_of: datetime | None,
    registry: AggregationRegistry = REGISTRY,
    *,
    has_brand_ids: bool = False,
    rebuild_with_ids: Callable[[], None] | None = None,
) -> None:
    """Creates `stored_values` from fact tables: for all profiles at one instant, or for the entity table if it is None.

    `has_brand_ids` states that the brands of the lines are encoded already; `rebuild_with_ids` recreates transactions
    that were created without ids.
    """
    dialect = backend.dialect
    engine = dialect.engine
    if dialect.uses_ordinals and backend.fetch("SELECT count(*) FROM fact_locations")[0][0] >= MAX_LOCATIONS:
        raise InvalidInputError(f"locations: more than {MAX_LOCATIONS - 1:,} rows.")
    for step in [] if has_brand_ids else values.branded_lines(dialect):
        backend.create(step)
    if dialect.uses_ordinals and backend.fetch("SELECT count(*) FROM fact_brands")[0][0] <= MAX_BITSET_BRANDS:
        engine = DUCKDB_BRAND_BITSET
    for step in values.ordered_transactions(False, dialect):
        backend.create(step)
    for step in values.entity_spine(club, dialect) if as_of is None else values.as_of_spine(as_of):
        backend.create(step)
    ties = values.order_sensitive_profiles(registry, engine) if dialect.uses_ordinals else None
    if ties is not None and backend.fetch(ties):
        if rebuild_with_ids is not None:
            rebuild_with_ids()
        for step in values.ordered_transactions(True, dialect):
            backend.create(step)
    for step in values.stored_values(registry, engine, dialect):
        backend.create(step)


def create_country_tables(backend: EngineBackend) -> None:
    """Creates the lookup tables of country names and codes."""
    names = countries.codes_by_name()
    backend.create_lookup("country_names", ("name", "alpha_2"), [*names.items()])
    codes = sorted(set(names.values()))
    # The empty code stands for an unknown country.
    rows = [("", ""), *((code, countries.alpha_3(code)) for code in codes)]
    backend.create_lookup("country_code_rows", ("alpha_2", "alpha_3"), rows)
    backend.create(PlanStep("country_codes", "SELECT alpha_2, nullif(alpha_3, '') AS alpha_3 FROM country_code_rows"))


def _untrimmed(inputs: Mapping[str, InputTable]) -> Set[str]:
    """The ids of valid transactions that need not be searched for blanks at first.

    Those of profiles and locations are found untrimmed or not at all in the table that they refer to. Their own are
    numbers in most files, which blanks do not change.
    """
    found = {column for column, table in (("profile", "profiles"), ("location", "locations")) if table in inputs}
    return found | {schema.TRANSACTIONS.key}


def _trust_ids(backend: EngineBackend, transactions: InputTable, errors: RowErrors) -> None:
    """Has facts not read the ids of transactions, none of which is missing."""
    if not backend.is_small(transactions.relation):
        rows = fact_tables.cast_table(transactions, backend.dialect, errors, present={transactions.spec.key})
        backend.create(PlanStep("typed_transactions", rows))


def _require_storable_texts(backend: EngineBackend, transactions: InputTable, traits: InputTraits) -> None:
    """Raises InvalidInputError for a text of a transaction that the server may reject. Those of few distinct values, such as
    profiles and brands, are checked once each elsewhere.
    """
    checked = {"external_id", "status", "sku", "name", "brand"}
    checked -= {"external_id"} if traits.has_numbered_ids else set()
    checked -= {"brand"} if traits.line_layout is LineLayout.INLINE else set()
    texts = [
        each.sql for name, each in transactions.columns.items() if name in checked and each.family is TypeFamily.TEXT
    ]
    _raise_if_any(backend, [fact_tables.is_unstorable(each) for each in texts], transactions.relation)


def _raise_if_any(backend: EngineBackend, conditions: Sequence[str], relation: str) -> None:
    if conditions and backend.fetch(f"SELECT bool_or({' OR '.join(conditions)}) FROM {relation}") == [(True,)]:
        raise InvalidInputError("a text is invalid")


def trim_ids(backend: EngineBackend, table: InputTable, untrimmed: Set[str] = frozenset()) -> InputTable:
    """The table with its ids, except `untrimmed` ones, without the blanks around them.

    A single machine looks whether there are any: trimming each id whenever it is read costs more than all else.
    """
    dialect = backend.dialect
    ids = {
        each.name: table.columns[each.name]
        for each in table.spec.columns
        if each.is_id
        and each.name in table.columns
        and each.name not in untrimmed
        and table.columns[each.name].family is TypeFamily.TEXT
    }
    if ids and dialect.uses_ordinals:
        found = ", ".join(f"bool_or({dialect.text.has_blank_end(column.sql)})" for column in ids.values())
        (flags,) = backend.fetch(f"SELECT {found} FROM {table.relation}")
        ids = {name: column for (name, column), flag in zip(ids.items(), flags, strict=True) if flag}
    trimmed = {name: replace(column, sql=dialect.text.trim(column.sql)) for name, column in ids.items()}
    return replace(table, columns={**table.columns, **trimmed}) if trimmed else table


def cast_input(backend: EngineBackend, table: InputTable, errors: RowErrors, *, checks_texts: bool = False) -> None:
    """Creates the typed rows of a table. In tables with an id, duplicate rows count once and ids must be unique. Of
    transactions, all texts are checked with `checks_texts`.

    Raises InvalidInputError for invalid rows, except those of transactions, which are reported with later checks.
    """
    name, key = table.spec.name, table.spec.key
    checks_texts = checks_texts and table.spec is schema.TRANSACTIONS
    rows = fact_tables.cast_table(table, backend.dialect, errors, checks_texts=checks_texts)
    is_small = backend.is_small(table.relation)
    if table.spec in _WITHOUT_UNIQUE_ID:
        backend.create(PlanStep(f"typed_{name}", rows, is_materialized=is_small))
    else:
        backend.create(PlanStep(f"cast_{name}", rows, is_materialized=is_small))
        ((rows_count, ids, invalid),) = backend.fetch(
            f"SELECT count({key}), count(DISTINCT {key}), count(error_no) FROM cast_{name}"
        )
        backend.create(
            PlanStep(f"typed_{name}", f"SELECT {'' if rows_count == ids else 'DISTINCT '}* FROM cast_{name}")
        )
        if rows_count != ids:
            _raise_on_conflicting_rows(backend, name, key)
        if not invalid:
            return
    if table.spec is not schema.TRANSACTIONS:
        raise_on_invalid_rows(backend, f"typed_{name}", key, errors)


_WITHOUT_UNIQUE_ID = (schema.TRANSACTIONS, schema.MEMBERSHIPS, schema.ENTITIES)
"""Tables whose rows have no unique id."""


def _raise_on_conflicting_rows(backend: EngineBackend, name: str, key: str) -> None:
    ((number, first),) = backend.fetch(
        f"SELECT count(*), min({key}) FROM (SELECT {key} FROM typed_{name} GROUP BY {key} HAVING count(*) > 1) AS conflicting"
    )
    if number:
        raise InvalidInputError(
            f"{name}: rows with the same {key} must agree in all columns ({number:,} do not, such as {first!r})."
        )


def _raise_on_unknown_profiles(backend: EngineBackend) -> None:
    ((number, first),) = backend.fetch(
        """SELECT count(*), min(entity.profile)
FROM typed_as_of AS entity
LEFT JOIN fact_profiles AS p ON p.profile_id = entity.profile
WHERE p.profile_id IS NULL"""
    )
    if number:
        raise InvalidInputError(
            f"as_of.profile does not exist in profiles ({number:,} row{'' if number == 1 else 's'}, such as {first!r}). "
            f"Pass a table of profiles that includes those without transactions."
        )


def raise_on_invalid_rows(backend: EngineBackend, relation: str, key: str, errors: RowErrors) -> None:
    """Raises InvalidInputError with the first kinds of errors of a relation, if any."""
    found = backend.fetch(
        f"SELECT error_no, count(*), min(CAST({key} AS {backend.dialect.string_type})) FROM {relation} "
        f"WHERE error_no IS NOT NULL GROUP BY error_no ORDER BY error_no"
    )
    messages = [
        f"{errors.messages[error_no - 1]}{_quoted_cell(backend, errors, error_no)} ({number:,} row{'' if number == 1 else 's'}"
        + (f", such as {key} {first!r})" if first is not None else ")")
        for error_no, number, first in found[:MAX_ERROR_KINDS]
    ]
    if messages:
        raise InvalidInputError("; ".join(messages) + ".")


def _quoted_cell(backend: EngineBackend, errors: RowErrors, error_no: int) -> str:
    invalid = errors.cells.get(error_no)
    found = [] if invalid is None else [str(cell) for (cell,) in backend.fetch(invalid.query)]
    if invalid is None or not found:
        return ""
    cell_format = replace(invalid.cell_format, time_advice=date_formats.advise(found))
    return f", not {cells.quote(found[0])}{cells.advice(invalid.type, found[0].strip(BLANKS), cell_format)}"
