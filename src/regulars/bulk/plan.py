"""The steps from what is given to values, the same on every engine; an engine only runs them."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, Protocol

from regulars.aggregations.aggregation import Aggregation, Registry
from regulars.aggregations.choosing import chosen, names_read
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import DUCKDB_FEW_BRANDS, FEW_BRANDS, MOST_LOCATIONS
from regulars.aggregations.evidence import LOADABLE
from regulars.bulk import facts, lines, tables, values
from regulars.bulk.identity import is_one_row_each
from regulars.bulk.needed import BRAND_AMOUNT, needed
from regulars.bulk.reading import Dialect, Family, Given
from regulars.bulk.refusals import UnfitError
from regulars.bulk.shape import Club, Faults, Lines, Shape, Source, Step
from regulars.facts import countries, instants, money

SHOWN = 3


class Runner(Protocol):
    """What an engine does: makes relations by name, and answers what is small."""

    dialect: Dialect

    def make(self, step: Step) -> None:
        """Makes a relation that later steps know by its name."""

    def make_pairs(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Makes a small relation of texts."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: the zone and the currency of the club, one instant or pairs (None), and which values;
    `for_loading` has them computed with when they change, and with evidence of their facts.
    """

    timezone: str
    currency: str | None
    as_of: datetime | None
    shown: tuple[Aggregation, ...]
    for_loading: bool = False


def run(runner: Runner, sources: Mapping[str, Source], asked: Asked, tell: Callable[[str], None]) -> str:
    """Makes every relation up to the values; gives the SELECT of them as they go out.

    Raises UnfitError for whatever can't be computed from.
    """
    registry = LOADABLE if asked.for_loading else needed_for(tuple(each.name for each in asked.shown))
    made = make_facts(runner, sources, asked, names_read(registry), tell)
    tell("computing")
    make_values(runner, made, asked.as_of, registry)
    return values.shown(asked.shown, made.shape.club, runner.dialect)


@dataclass(frozen=True, slots=True)
class Made:
    """What the facts that were made are like; `with_ids` makes the transactions anew, with their ids, where they have
    none.
    """

    shape: Shape
    with_ids: Callable[[], None] | None


def make_facts(
    runner: Runner,
    sources: Mapping[str, Source],
    asked: Asked,
    read: Set[str],
    tell: Callable[[str], None],
    *,
    has_anonymous: bool = False,
) -> Made:
    """Makes the facts that whatever reads these names is written over; by `has_anonymous` also of who is not known.

    Raises UnfitError for whatever can't be computed from.
    """
    faults = Faults()
    sources = needed(sources, read)
    transactions = sources["transactions"]
    zone(asked.timezone, "timezone")
    make_countries(runner)
    tell("reading")
    for source in sources.values():
        make_typed(runner, source, faults)
    shape = replace(_shape(runner, sources, asked, read), has_anonymous=has_anonymous)
    runner.make(facts.locations(sources.get("locations"), runner.dialect, faults))
    refuse(runner, "fact_locations", "external_id", faults)
    runner.make(facts.headers(shape, faults))
    for step in facts.profiles(sources.get("profiles"), shape, runner.dialect, faults):
        runner.make(step)
        refuse(runner, step.name, "profile_id", faults)
    runner.make(facts.products(sources.get("products"), runner.dialect, faults))
    refuse(runner, "fact_products", "sku", faults)
    if "as_of" in sources:
        _refuse_unknown_pairs(runner)
    sold = lines.steps(transactions, shape, runner.dialect, faults)
    for step in (*sold[:-1], *facts.looked_up(shape, runner.dialect)):
        runner.make(step)

    def make_transactions(*, has_ids: bool) -> None:
        runner.make(facts.transactions(shape, runner.dialect, faults, has_ids=has_ids))

    has_ids = facts.keeps_ids(shape, runner.dialect)
    make_transactions(has_ids=has_ids)
    if not has_ids and runner.rows("SELECT wrong FROM fact_transactions WHERE wrong IS NOT NULL LIMIT 1"):
        make_transactions(has_ids=True)
    refuse(runner, "fact_transactions", "external_id", faults)
    runner.make(sold[-1])
    runner.make(values.club_row(shape.club))
    return Made(shape, None if has_ids else partial(make_transactions, has_ids=True))


@cache
def needed_for(names: tuple[str, ...]) -> Registry:
    """The values of these names and what they are made of."""
    # The same each time, so that its statement is translated once.
    return chosen(REGISTRY, names)


def make_values(runner: Runner, made: Made, as_of: datetime | None, registry: Registry) -> None:
    """From facts that were made to `stored_values`; see `compute_values`."""
    is_branded = runner.dialect.numbers and made.shape.lines is not Lines.APART
    compute_values(runner, made.shape.club, as_of, registry, is_branded=is_branded, with_ids=made.with_ids)


def compute_values(
    runner: Runner,
    club: Club,
    as_of: datetime | None,
    registry: Registry = REGISTRY,
    *,
    is_branded: bool = False,
    with_ids: Callable[[], None] | None = None,
) -> None:
    """From facts to `stored_values`: of all profiles at one instant, or, where that is None, of the pairs.

    `is_branded` says that the brands of the lines are numbers already; `with_ids` makes the transactions anew, with
    their ids, where they have none.
    """
    dialect = runner.dialect
    engine = dialect.engine
    if dialect.numbers and runner.rows("SELECT count(*) FROM fact_locations")[0][0] >= MOST_LOCATIONS:
        raise UnfitError(f"locations: there are more than {MOST_LOCATIONS - 1:,}.")
    for step in [] if is_branded else values.brands(dialect):
        runner.make(step)
    if dialect.numbers and runner.rows("SELECT count(*) FROM fact_brands")[0][0] <= FEW_BRANDS:
        engine = DUCKDB_FEW_BRANDS
    for step in values.ordered(False, dialect):
        runner.make(step)
    for step in values.asked_in_pairs(club, dialect) if as_of is None else values.asked_at(as_of):
        runner.make(step)
    ties = values.deciding_ties(registry, engine) if dialect.numbers else None
    if ties is not None and runner.rows(ties):
        if with_ids is not None:
            with_ids()
        for step in values.ordered(True, dialect):
            runner.make(step)
    for step in values.stored(registry, engine, dialect):
        runner.make(step)


def make_countries(runner: Runner) -> None:
    """Makes the names of countries, and their codes."""
    names = countries.names()
    runner.make_pairs("country_names", ("name", "alpha_2"), [*names.items()])
    codes = sorted(set(names.values()))
    # An unknown country has an unknown code.
    rows = [("", ""), *((code, countries.alpha_3(code)) for code in codes)]
    runner.make_pairs("country_pairs", ("alpha_2", "alpha_3"), rows)
    runner.make(Step("country_codes", "SELECT alpha_2, nullif(alpha_3, '') AS alpha_3 FROM country_pairs"))


def make_typed(runner: Runner, source: Source, faults: Faults) -> None:
    """Makes the typed rows of a table; of what has an id, rows that are alike count once, and others must differ in it.

    Raises UnfitError for wrong rows; those of transactions are told later, together with what else is wrong with them.
    """
    name, key = source.table.name, source.table.key
    rows = facts.typed(source, runner.dialect, faults)
    if source.table in _OF_ANY_NUMBER:
        runner.make(Step(f"typed_{name}", rows))
    else:
        runner.make(Step(f"read_{name}", rows))
        ((told, ids),) = runner.rows(f"SELECT count({key}), count(DISTINCT {key}) FROM read_{name}")
        runner.make(Step(f"typed_{name}", f"SELECT {'' if told == ids else 'DISTINCT '}* FROM read_{name}"))
        if told != ids:
            _refuse_twice(runner, name, key)
    if source.table is not tables.TRANSACTIONS:
        refuse(runner, f"typed_{name}", key, faults)


_OF_ANY_NUMBER = (tables.TRANSACTIONS, tables.MEMBERSHIPS, tables.PAIRS)
"""What has no id of its own in each row."""


def _refuse_twice(runner: Runner, name: str, key: str) -> None:
    ((number, first),) = runner.rows(
        f"SELECT count(*), min({key}) FROM (SELECT {key} FROM typed_{name} GROUP BY {key} HAVING count(*) > 1) AS twice"
    )
    if number:
        raise UnfitError(
            f"{name}: rows with one {key} must agree in all columns ({number:,} do not, such as {first!r})."
        )


def _refuse_unknown_pairs(runner: Runner) -> None:
    ((number, first),) = runner.rows(
        """SELECT count(*), min(pair.profile)
FROM typed_as_of AS pair
LEFT JOIN fact_profiles AS own ON own.profile_id = pair.profile
WHERE own.profile_id IS NULL"""
    )
    if number:
        raise UnfitError(
            f"as_of.profile is not among the profiles (such as {first!r}, of {number:,}): "
            f"give a table of profiles that has those without transactions too."
        )


def refuse(runner: Runner, relation: str, key: str, faults: Faults) -> None:
    """Raises UnfitError with the first few kinds of faults of a relation, if there are any."""
    found = runner.rows(
        f"SELECT wrong, count(*), min(CAST({key} AS {runner.dialect.string})) FROM {relation} "
        f"WHERE wrong IS NOT NULL GROUP BY wrong ORDER BY wrong"
    )
    told = [
        f"{faults.texts[wrong - 1]} ({number:,} row{'' if number == 1 else 's'}"
        + (f", such as {key} {first!r})" if first is not None else ")")
        for wrong, number, first in found[:SHOWN]
    ]
    if told:
        raise UnfitError("; ".join(told) + ".")


def _shape(runner: Runner, sources: Mapping[str, Source], asked: Asked, read: Set[str]) -> Shape:
    transactions = sources["transactions"]
    club, has_rates = _club(runner, transactions, asked)
    repeats = not is_one_row_each(runner, transactions)
    where = Lines.NOWHERE
    if transactions.has("items", *tables.ITEM_COLUMNS):
        is_apart = repeats or transactions.has("items") or BRAND_AMOUNT in read
        where = Lines.APART if is_apart else Lines.WITHIN
    zoned = [source for source in sources.values() if source.has("timezone")]
    for source in zoned:
        _check_zones(runner, source.table.name)
    return Shape(
        club=club,
        read=read,
        scales={name: _scale(given) for name, given in transactions.columns.items()},
        has_rates=has_rates,
        has_zones=bool(zoned),
        repeats=repeats,
        lines=where,
        has_profiles="profiles" in sources,
        has_locations="locations" in sources,
        has_products="products" in sources,
    )


def _scale(of: Given) -> int:
    """How many decimals a column has once it is read."""
    return {Family.DECIMAL: min(of.scale, 6), Family.INTEGER: 0}.get(of.family, 6)


def _club(runner: Runner, transactions: Source, asked: Asked) -> tuple[Club, bool]:
    """The club, and whether any transaction is in another currency than its own."""
    found: list[str] = []
    if transactions.has("currency"):
        rows = runner.rows("SELECT DISTINCT upper(trim(currency)) FROM typed_transactions WHERE currency IS NOT NULL")
        found = sorted(row[0] for row in rows)
    if asked.currency is None and len(found) > 1:
        raise UnfitError(
            f"transactions.currency names several ({', '.join(found)}): say which one values are in, by currency."
        )
    own = asked.currency or (found[0] if found else "EUR")
    for code in (own, *found):
        try:
            money.currency(code)
        except ValueError as error:
            raise UnfitError(f"currency {code!r} {error}.") from None
    own = money.currency(own)
    has_rates = bool(set(found) - {own})
    if has_rates and not transactions.has("currency_rate"):
        raise UnfitError(
            f"transactions.currency names {', '.join(sorted(set(found) - {own}))} beside {own}: "
            f"give each such row a currency_rate into {own}."
        )
    return Club(asked.timezone, own, money.minor_digits(own)), has_rates


def zone(name: str, path: str) -> None:
    """Raises UnfitError for what is no time zone."""
    try:
        instants.zone(name)
    except ValueError as error:
        raise UnfitError(f"{path} {name!r} {error}.") from None


def _check_zones(runner: Runner, table: str) -> None:
    for (name,) in runner.rows(f"SELECT DISTINCT timezone FROM typed_{table} WHERE timezone IS NOT NULL"):
        zone(name, f"{table}.timezone")
