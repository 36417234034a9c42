"""The relations that a report over files is asked of, made step by step, the same on every engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regulars.aggregations import serialization
from regulars.aggregations.pruning import columns_read
from regulars.core import money, phones
from regulars.facts.members import PERSONAL_PROPERTIES, normalize_property_name
from regulars.offline import line_items, member_facts, pipeline, purchase_facts
from regulars.offline.array_functions import ARRAY_FUNCTIONS, ArrayFunctions
from regulars.offline.errors import InvalidInputError
from regulars.offline.pipeline import ComputeSpec, EngineBackend
from regulars.offline.purchase_facts import PurchaseSelection
from regulars.offline.structures import ClubContext, InputTable, LineLayout, PlanStep, RowErrors
from regulars.query.compiler import filter_sql
from regulars.query.compiler.compiler import group_fields
from regulars.query.query import ReportQuery
from regulars.reports import transactions
from regulars.reports.member_fields import AGGREGATION_FIELDS

_VALUES = {each.name for each in AGGREGATION_FIELDS}
_OF_PURCHASES = {each.name for each in transactions.REPORTS}
_OF_GROUPS = ("members_grouped_count", "members_count_history")


@dataclass(frozen=True, slots=True)
class RequiredRelations:
    """What a query is about: of the members, beside what every profile says, their values, their countries; or
    purchases.
    """

    values: bool = False
    country: bool = False
    purchases: PurchaseSelection | None = None

    @staticmethod
    def for_query(query: ReportQuery) -> "RequiredRelations":
        """What a query needs."""
        report = query.report
        if report.name in _OF_PURCHASES:
            return RequiredRelations(purchases=PurchaseSelection.for_query(query))
        asked = {*filter_sql.field_names(query.filter), *(each.name for each in group_fields(query))}
        is_listed = bool(report.key) and query.aggregate_by is None
        names = {each.removeprefix("aggregations.") for each in asked}
        names |= {each.name for each in report.fields if each.visible} if is_listed else set()
        values = bool(names & _VALUES) or report.name == "member_aggregations"
        return RequiredRelations(values, "country" in names or report.name in _OF_GROUPS)


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What is told of the club, and the instant that it is asked at. `personal` are properties that stay out."""

    timezone: str
    currency: str | None
    now: datetime
    community_id: int = 1
    personal_properties: tuple[str, ...] = ()


def build_purchase_relations(
    runner: EngineBackend,
    sources: Mapping[str, InputTable],
    wanted: PurchaseSelection,
    asked: ReportContext,
    tell: Callable[[str], None],
) -> ClubContext:
    """Makes `purchases` and, where they are asked for by brand, `bought_brands`; gives the club.

    Raises InvalidInputError for whatever can't be computed from.
    """
    registry = pipeline.registry_for(wanted.dimensions)
    read = columns_read(registry) | wanted.inputs_read
    has_profiles = "profiles" in sources
    if has_profiles:
        own, named = sources["profiles"], wanted.profile_columns
        columns = {name: given for name, given in own.columns.items() if name in named}
        sources = {**sources, "profiles": replace(own, columns=columns)}
    by = ComputeSpec(asked.timezone, asked.currency, None, ())
    made = pipeline.prepare_facts(runner, sources, by, read, tell, has_anonymous=True)
    if wanted.has_brands and made.traits.line_layout is LineLayout.NONE:
        raise InvalidInputError(
            "transactions have no lines, and brand is of lines: give items, or columns from sku on."
        )
    tell("computing")
    if wanted.dimensions:
        runner.make(purchase_facts.buyer_instants(wanted, asked.now))
        pipeline.compute_prepared_values(runner, made, None, registry)
    runner.make(purchase_facts.purchases(wanted, made.traits, runner.dialect))
    if wanted.has_brands:
        runner.make(line_items.brand_amounts(made.traits, runner.dialect))
        runner.make(purchase_facts.purchase_brands(wanted))
    return made.traits.club


def build_member_relations(
    runner: EngineBackend,
    sources: Mapping[str, InputTable],
    needs: RequiredRelations,
    asked: ReportContext,
    tell: Callable[[str], None],
) -> ClubContext:
    """Makes `members`, `joins` and `turns`; gives the club, whose money values are in.

    Raises InvalidInputError for whatever can't be computed from.
    """
    lists = ARRAY_FUNCTIONS[runner.dialect.engine.name]
    currency = asked.currency
    profiles, told = sources["profiles"], sources.get("memberships")
    if needs.values:
        of_values = {name: source for name, source in sources.items() if name != "memberships"}
        pipeline.build_values(
            runner, of_values, ComputeSpec(asked.timezone, currency, asked.now, serialization.ALL_AGGREGATIONS), tell
        )
        currency = runner.rows("SELECT currency FROM club")[0][0]
    else:
        pipeline.create_country_tables(runner)
        tell("reading")
        pipeline.cast_input(runner, profiles, RowErrors())
    faults = RowErrors()
    _refuse(runner, member_facts.invalid_profiles(faults), "external_id", faults)
    if told is not None:
        pipeline.cast_input(runner, told, faults)
        _refuse(runner, member_facts.invalid_memberships(faults), "profile", faults)
    _make_countries(runner, lists, profiles, needs, faults)
    own = currency or "EUR"
    club = ClubContext(asked.timezone, own, money.minor_digits(own))
    never = sorted({*PERSONAL_PROPERTIES, *map(normalize_property_name, asked.personal_properties)})
    for step in (
        *member_facts.profile_states(club, asked.now, never, runner.dialect, lists),
        *member_facts.memberships(told, club, asked.now, runner.dialect, lists),
        member_facts.members(runner.dialect, has_values=needs.values),
    ):
        runner.make(step)
    return club


def _make_countries(
    runner: EngineBackend, lists: ArrayFunctions, profiles: InputTable, needs: RequiredRelations, faults: RowErrors
) -> None:
    """Makes the countries that addresses tell, and, of who has none, those that phones tell."""
    runner.make(member_facts.home_countries(profiles, runner.dialect, lists, faults))
    pipeline.raise_on_invalid_rows(runner, "home_countries", "external_id", faults)
    numbers: list[tuple[Any, ...]] = []
    if needs.country and profiles.has("mobile_phone"):
        numbers = runner.rows(member_facts.PHONES_WITHOUT_ADDRESS)
    told = ((number, phones.country_of(number)) for (number,) in numbers)
    runner.make_pairs("phone_countries", ("number", "country"), [(a, b) for a, b in told if b is not None])


def _refuse(runner: EngineBackend, rows: str, key: str, faults: RowErrors) -> None:
    runner.make(PlanStep(f"checked_{key}s", rows))
    pipeline.raise_on_invalid_rows(runner, f"checked_{key}s", key, faults)
