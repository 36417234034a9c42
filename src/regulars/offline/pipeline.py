"""The steps from what is given to values, the same on every engine; an engine only runs them."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, Protocol

from regulars.aggregations.aggregation import Aggregation, AggregationRegistry
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import DUCKDB_BRAND_BITSET, MAX_BITSET_BRANDS, MAX_LOCATIONS
from regulars.aggregations.fingerprint import LOADABLE_REGISTRY
from regulars.aggregations.pruning import columns_read, prune
from regulars.core import countries, money, timestamps
from regulars.offline import fact_tables, line_items, schema, values
from regulars.offline.casting import CastDialect, InputColumn, TypeFamily
from regulars.offline.column_pruning import BRAND_AMOUNT, prune_columns
from regulars.offline.errors import InvalidInputError
from regulars.offline.row_ids import has_unique_ids
from regulars.offline.structures import ClubContext, InputTable, InputTraits, LineLayout, PlanStep, RowErrors

MAX_ERROR_KINDS = 3


class EngineBackend(Protocol):
    """What an engine does: makes relations by name, and answers what is small."""

    dialect: CastDialect

    def make(self, step: PlanStep) -> None:
        """Makes a relation that later steps know by its name."""

    def make_pairs(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Makes a small relation of texts."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""


@dataclass(frozen=True, slots=True)
class ComputeSpec:
    """What is asked for: the zone and the currency of the club, one instant or pairs (None), and which values;
    `for_loading` has them computed with when they change, and with evidence of their facts.
    """

    timezone: str
    currency: str | None
    as_of: datetime | None
    aggregations: tuple[Aggregation, ...]
    with_fingerprints: bool = False


def build_values(
    runner: EngineBackend, sources: Mapping[str, InputTable], asked: ComputeSpec, tell: Callable[[str], None]
) -> str:
    """Makes every relation up to the values; gives the SELECT of them as they go out.

    Raises InvalidInputError for whatever can't be computed from.
    """
    registry = (
        LOADABLE_REGISTRY if asked.with_fingerprints else registry_for(tuple(each.name for each in asked.aggregations))
    )
    made = prepare_facts(runner, sources, asked, columns_read(registry), tell)
    tell("computing")
    compute_prepared_values(runner, made, asked.as_of, registry)
    return values.output_select(asked.aggregations, made.traits.club, runner.dialect)


@dataclass(frozen=True, slots=True)
class PreparedFacts:
    """What the facts that were made are like; `with_ids` makes the transactions anew, with their ids, where they have
    none.
    """

    traits: InputTraits
    rebuild_with_ids: Callable[[], None] | None


def prepare_facts(
    runner: EngineBackend,
    sources: Mapping[str, InputTable],
    asked: ComputeSpec,
    read: Set[str],
    tell: Callable[[str], None],
    *,
    has_anonymous: bool = False,
) -> PreparedFacts:
    """Makes the facts that whatever reads these names is written over; by `has_anonymous` also of who is not known.

    Raises InvalidInputError for whatever can't be computed from.
    """
    faults = RowErrors()
    sources = prune_columns(sources, read)
    transactions = sources["transactions"]
    check_timezone(asked.timezone, "timezone")
    create_country_tables(runner)
    tell("reading")
    for source in sources.values():
        cast_input(runner, source, faults)
    shape = replace(_shape(runner, sources, asked, read), has_anonymous=has_anonymous)
    runner.make(fact_tables.locations(sources.get("locations"), runner.dialect, faults))
    raise_on_invalid_rows(runner, "fact_locations", "external_id", faults)
    runner.make(fact_tables.headers(shape, faults))
    for step in fact_tables.profiles(sources.get("profiles"), shape, runner.dialect, faults):
        runner.make(step)
        raise_on_invalid_rows(runner, step.name, "profile_id", faults)
    runner.make(fact_tables.products(sources.get("products"), runner.dialect, faults))
    raise_on_invalid_rows(runner, "fact_products", "sku", faults)
    if "as_of" in sources:
        _refuse_unknown_pairs(runner)
    sold = line_items.line_steps(transactions, shape, runner.dialect, faults)
    for step in (*sold[:-1], *fact_tables.dictionary_steps(shape, runner.dialect)):
        runner.make(step)

    def make_transactions(*, has_ids: bool) -> None:
        runner.make(fact_tables.transactions(shape, runner.dialect, faults, has_ids=has_ids))

    has_ids = fact_tables.needs_ids(shape, runner.dialect)
    make_transactions(has_ids=has_ids)
    if not has_ids and runner.rows("SELECT wrong FROM fact_transactions WHERE wrong IS NOT NULL LIMIT 1"):
        make_transactions(has_ids=True)
    raise_on_invalid_rows(runner, "fact_transactions", "external_id", faults)
    runner.make(sold[-1])
    runner.make(values.club_step(shape.club))
    return PreparedFacts(shape, None if has_ids else partial(make_transactions, has_ids=True))


@cache
def registry_for(names: tuple[str, ...]) -> AggregationRegistry:
    """The values of these names and what they are made of."""
    # The same each time, so that its statement is translated once.
    return prune(REGISTRY, names)


def compute_prepared_values(
    runner: EngineBackend, made: PreparedFacts, as_of: datetime | None, registry: AggregationRegistry
) -> None:
    """From facts that were made to `stored_values`; see `compute_values`."""
    is_branded = runner.dialect.uses_ordinals and made.traits.line_layout is not LineLayout.SEPARATE
    compute_values(
        runner, made.traits.club, as_of, registry, has_brand_ids=is_branded, rebuild_with_ids=made.rebuild_with_ids
    )


def compute_values(
    runner: EngineBackend,
    club: ClubContext,
    as_of: datetime | None,
    registry: AggregationRegistry = REGISTRY,
    *,
    has_brand_ids: bool = False,
    rebuild_with_ids: Callable[[], None] | None = None,
) -> None:
    """From facts to `stored_values`: of all profiles at one instant, or, where that is None, of the pairs.

    `is_branded` says that the brands of the lines are numbers already; `with_ids` makes the transactions anew, with
    their ids, where they have none.
    """
    dialect = runner.dialect
    engine = dialect.engine
    if dialect.uses_ordinals and runner.rows("SELECT count(*) FROM fact_locations")[0][0] >= MAX_LOCATIONS:
        raise InvalidInputError(f"locations: there are more than {MAX_LOCATIONS - 1:,}.")
    for step in [] if has_brand_ids else values.branded_lines(dialect):
        runner.make(step)
    if dialect.uses_ordinals and runner.rows("SELECT count(*) FROM fact_brands")[0][0] <= MAX_BITSET_BRANDS:
        engine = DUCKDB_BRAND_BITSET
    for step in values.ordered_transactions(False, dialect):
        runner.make(step)
    for step in values.entity_spine(club, dialect) if as_of is None else values.as_of_spine(as_of):
        runner.make(step)
    ties = values.order_sensitive_profiles(registry, engine) if dialect.uses_ordinals else None
    if ties is not None and runner.rows(ties):
        if rebuild_with_ids is not None:
            rebuild_with_ids()
        for step in values.ordered_transactions(True, dialect):
            runner.make(step)
    for step in values.stored_values(registry, engine, dialect):
        runner.make(step)


def create_country_tables(runner: EngineBackend) -> None:
    """Makes the names of countries, and their codes."""
    names = countries.codes_by_name()
    runner.make_pairs("country_names", ("name", "alpha_2"), [*names.items()])
    codes = sorted(set(names.values()))
    # An unknown country has an unknown code.
    rows = [("", ""), *((code, countries.alpha_3(code)) for code in codes)]
    runner.make_pairs("country_pairs", ("alpha_2", "alpha_3"), rows)
    runner.make(PlanStep("country_codes", "SELECT alpha_2, nullif(alpha_3, '') AS alpha_3 FROM country_pairs"))


def cast_input(runner: EngineBackend, source: InputTable, faults: RowErrors) -> None:
    """Makes the typed rows of a table; of what has an id, rows that are alike count once, and others must differ in it.

    Raises InvalidInputError for wrong rows; those of transactions are told later, together with what else is wrong with them.
    """
    name, key = source.table.name, source.table.key
    rows = fact_tables.cast_table(source, runner.dialect, faults)
    if source.table in _OF_ANY_NUMBER:
        runner.make(PlanStep(f"typed_{name}", rows))
    else:
        runner.make(PlanStep(f"read_{name}", rows))
        ((told, ids),) = runner.rows(f"SELECT count({key}), count(DISTINCT {key}) FROM read_{name}")
        runner.make(PlanStep(f"typed_{name}", f"SELECT {'' if told == ids else 'DISTINCT '}* FROM read_{name}"))
        if told != ids:
            _refuse_twice(runner, name, key)
    if source.table is not schema.TRANSACTIONS:
        raise_on_invalid_rows(runner, f"typed_{name}", key, faults)


_OF_ANY_NUMBER = (schema.TRANSACTIONS, schema.MEMBERSHIPS, schema.ENTITIES)
"""What has no id of its own in each row."""


def _refuse_twice(runner: EngineBackend, name: str, key: str) -> None:
    ((number, first),) = runner.rows(
        f"SELECT count(*), min({key}) FROM (SELECT {key} FROM typed_{name} GROUP BY {key} HAVING count(*) > 1) AS twice"
    )
    if number:
        raise InvalidInputError(
            f"{name}: rows with one {key} must agree in all columns ({number:,} do not, such as {first!r})."
        )


def _refuse_unknown_pairs(runner: EngineBackend) -> None:
    ((number, first),) = runner.rows(
        """SELECT count(*), min(pair.profile)
FROM typed_as_of AS pair
LEFT JOIN fact_profiles AS own ON own.profile_id = pair.profile
WHERE own.profile_id IS NULL"""
    )
    if number:
        raise InvalidInputError(
            f"as_of.profile is not among the profiles (such as {first!r}, of {number:,}): "
            f"give a table of profiles that has those without transactions too."
        )


def raise_on_invalid_rows(runner: EngineBackend, relation: str, key: str, faults: RowErrors) -> None:
    """Raises InvalidInputError with the first few kinds of faults of a relation, if there are any."""
    found = runner.rows(
        f"SELECT wrong, count(*), min(CAST({key} AS {runner.dialect.string_type})) FROM {relation} "
        f"WHERE wrong IS NOT NULL GROUP BY wrong ORDER BY wrong"
    )
    told = [
        f"{faults.messages[wrong - 1]} ({number:,} row{'' if number == 1 else 's'}"
        + (f", such as {key} {first!r})" if first is not None else ")")
        for wrong, number, first in found[:MAX_ERROR_KINDS]
    ]
    if told:
        raise InvalidInputError("; ".join(told) + ".")


def _shape(runner: EngineBackend, sources: Mapping[str, InputTable], asked: ComputeSpec, read: Set[str]) -> InputTraits:
    transactions = sources["transactions"]
    club, has_rates = _club(runner, transactions, asked)
    repeats = not has_unique_ids(runner, transactions)
    where = LineLayout.NONE
    if transactions.has("items", *schema.ITEM_COLUMNS):
        is_apart = repeats or transactions.has("items") or BRAND_AMOUNT in read
        where = LineLayout.SEPARATE if is_apart else LineLayout.INLINE
    zoned = [source for source in sources.values() if source.has("timezone")]
    for source in zoned:
        _check_zones(runner, source.table.name)
    return InputTraits(
        club=club,
        columns_read=read,
        scales={name: _scale(given) for name, given in transactions.columns.items()},
        has_rates=has_rates,
        has_timezones=bool(zoned),
        has_repeated_ids=repeats,
        line_layout=where,
        has_profiles="profiles" in sources,
        has_locations="locations" in sources,
        has_products="products" in sources,
    )


def _scale(of: InputColumn) -> int:
    """How many decimals a column has once it is read."""
    return {TypeFamily.DECIMAL: min(of.scale, 6), TypeFamily.INTEGER: 0}.get(of.family, 6)


def _club(runner: EngineBackend, transactions: InputTable, asked: ComputeSpec) -> tuple[ClubContext, bool]:
    """The club, and whether any transaction is in another currency than its own."""
    found: list[str] = []
    if transactions.has("currency"):
        rows = runner.rows("SELECT DISTINCT upper(trim(currency)) FROM typed_transactions WHERE currency IS NOT NULL")
        found = sorted(row[0] for row in rows)
    if asked.currency is None and len(found) > 1:
        raise InvalidInputError(
            f"transactions.currency names several ({', '.join(found)}): say which one values are in, by currency."
        )
    own = asked.currency or (found[0] if found else "EUR")
    for code in (own, *found):
        try:
            money.parse_currency(code)
        except ValueError as error:
            raise InvalidInputError(f"currency {code!r} {error}.") from None
    own = money.parse_currency(own)
    has_rates = bool(set(found) - {own})
    if has_rates and not transactions.has("currency_rate"):
        raise InvalidInputError(
            f"transactions.currency names {', '.join(sorted(set(found) - {own}))} beside {own}: "
            f"give each such row a currency_rate into {own}."
        )
    return ClubContext(asked.timezone, own, money.minor_digits(own)), has_rates


def check_timezone(name: str, path: str) -> None:
    """Raises InvalidInputError for what is no time zone."""
    try:
        timestamps.zone_info(name)
    except ValueError as error:
        raise InvalidInputError(f"{path} {name!r} {error}.") from None


def _check_zones(runner: EngineBackend, table: str) -> None:
    for (name,) in runner.rows(f"SELECT DISTINCT timezone FROM typed_{table} WHERE timezone IS NOT NULL"):
        check_timezone(name, f"{table}.timezone")
