"""Builds the relations that reports over files read, with the same plan steps on every engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regulars.aggregations import serialization
from regulars.aggregations.pruning import columns_read
from regulars.clock import system_clock
from regulars.core import money, phones, timestamps
from regulars.facts.members import PERSONAL_PROPERTIES, normalize_property_name
from regulars.model.transactions.void_statuses import DEFAULT_VOID_STATUSES
from regulars.offline import line_items, member_facts, pipeline, purchase_facts
from regulars.offline.array_functions import ARRAY_FUNCTIONS, ArrayFunctions
from regulars.offline.errors import InvalidInputError
from regulars.offline.pipeline import ComputeSpec
from regulars.offline.purchase_facts import PurchaseSelection
from regulars.offline.structures import (
    ClubContext,
    EngineBackend,
    InputTable,
    LineLayout,
    NoticeCallback,
    PlanStep,
    RowErrors,
)
from regulars.query.compiler import filter_sql
from regulars.query.compiler.groups import group_fields
from regulars.query.query import ReportQuery
from regulars.reports import transactions
from regulars.reports.member_fields import AGGREGATION_FIELDS

_VALUE_NAMES = {each.name for each in AGGREGATION_FIELDS}
_PURCHASE_REPORTS = {each.name for each in transactions.REPORTS}
_GROUP_REPORTS = ("members_grouped_count", "members_count_history")


@dataclass(frozen=True, slots=True)
class RequiredRelations:
    """The relations that a query needs: members, optionally with their values and countries, or purchases."""

    values: bool = False
    country: bool = False
    purchases: PurchaseSelection | None = None

    @staticmethod
    def for_query(query: ReportQuery) -> "RequiredRelations":
        """The relations that a query needs."""
        report = query.report
        if report.name in _PURCHASE_REPORTS:
            return RequiredRelations(purchases=PurchaseSelection.for_query(query))
        used = {*filter_sql.field_names(query.filter), *(each.name for each in group_fields(query))}
        is_listed = bool(report.key) and query.aggregate_by is None
        names = {each.removeprefix("aggregations.") for each in used}
        names |= {each.name for each in report.fields if each.visible} if is_listed else set()
        values = bool(names & _VALUE_NAMES) or report.name == "member_aggregations"
        return RequiredRelations(values, "country" in names or report.name in _GROUP_REPORTS)


@dataclass(frozen=True, slots=True)
class ReportContext:
    """The club and the instant of the request. `personal_properties` are excluded from the properties of members."""

    timezone: str
    currency: str | None
    now: datetime
    community_id: int = 1
    personal_properties: tuple[str, ...] = ()
    is_strict: bool = False
    on_notice: NoticeCallback = lambda text: None
    void_statuses: tuple[str, ...] = DEFAULT_VOID_STATUSES


def build_purchase_relations(
    backend: EngineBackend,
    inputs: Mapping[str, InputTable],
    selection: PurchaseSelection,
    context: ReportContext,
    progress: Callable[[str], None],
) -> ClubContext:
    """Creates `purchases` and, for queries by brand, `purchase_brands`; returns the club.

    Raises InvalidInputError for invalid input.
    """
    registry = pipeline.registry_for(selection.dimensions)
    read = columns_read(registry) | selection.inputs_read
    has_profiles = "profiles" in inputs
    if has_profiles:
        profiles, names = inputs["profiles"], selection.profile_columns
        columns = {name: column for name, column in profiles.columns.items() if name in names}
        inputs = {**inputs, "profiles": replace(profiles, columns=columns)}
    spec = ComputeSpec(
        context.timezone,
        context.currency,
        None,
        (),
        is_strict=context.is_strict,
        on_notice=context.on_notice,
        void_statuses=context.void_statuses,
    )
    facts = pipeline.prepare_facts(backend, inputs, spec, read, progress, has_anonymous=True)
    if selection.has_brands and facts.traits.line_layout is LineLayout.NONE:
        raise InvalidInputError("brand needs line items. Add items, or the columns from sku on, to transactions.")
    progress("computing")
    if selection.dimensions:
        backend.create(purchase_facts.buyer_instants(selection, context.now))
        pipeline.compute_prepared_values(backend, facts, None, registry)
    backend.create(purchase_facts.purchases(selection, facts.traits, backend.dialect))
    if selection.has_brands:
        backend.create(line_items.brand_amounts(facts.traits, backend.dialect))
        backend.create(purchase_facts.purchase_brands(selection))
    return facts.traits.club


def build_member_relations(
    backend: EngineBackend,
    inputs: Mapping[str, InputTable],
    needs: RequiredRelations,
    context: ReportContext,
    progress: Callable[[str], None],
) -> ClubContext:
    """Creates `members`, `joins` and `membership_deltas`; returns the club with the currency of values.

    Raises InvalidInputError for invalid input.
    """
    lists = ARRAY_FUNCTIONS[backend.dialect.engine.name]
    currency = context.currency
    inputs = {name: pipeline.trim_ids(backend, table) for name, table in inputs.items()}
    profiles, memberships = inputs["profiles"], inputs.get("memberships")
    if needs.values:
        value_inputs = {name: table for name, table in inputs.items() if name != "memberships"}
        pipeline.build_values(
            backend,
            value_inputs,
            ComputeSpec(
                context.timezone,
                currency,
                context.now,
                serialization.ALL_AGGREGATIONS,
                is_strict=context.is_strict,
                on_notice=context.on_notice,
                void_statuses=context.void_statuses,
            ),
            progress,
        )
        currency = backend.fetch("SELECT currency FROM club")[0][0]
    else:
        pipeline.create_country_tables(backend)
        progress("reading")
        pipeline.cast_input(backend, profiles, RowErrors())
    errors = RowErrors()
    today = system_clock().astimezone(timestamps.zone_info(context.timezone))
    day = today.year * 10_000 + today.month * 100 + today.day
    _check(backend, member_facts.invalid_profiles(errors, day, backend.dialect), "external_id", errors)
    if memberships is not None:
        pipeline.cast_input(backend, memberships, errors)
        _check(backend, member_facts.invalid_memberships(errors), "profile", errors)
    _create_country_relations(backend, lists, profiles, needs, errors)
    own = currency or "EUR"
    club = ClubContext(context.timezone, own, money.minor_digits(own))
    excluded = sorted({*PERSONAL_PROPERTIES, *map(normalize_property_name, context.personal_properties)})
    for step in (
        *member_facts.profile_states(club, context.now, excluded, backend.dialect, lists),
        *member_facts.memberships(memberships, club, context.now, backend.dialect, lists),
        member_facts.members(backend.dialect, has_values=needs.values),
    ):
        backend.create(step)
    return club


def _create_country_relations(
    backend: EngineBackend, lists: ArrayFunctions, profiles: InputTable, needs: RequiredRelations, errors: RowErrors
) -> None:
    """Creates the countries of profiles from their addresses, else from their phone numbers."""
    backend.create(member_facts.home_countries(profiles, backend.dialect, lists, errors))
    pipeline.raise_on_invalid_rows(backend, "home_countries", "external_id", errors)
    numbers: list[tuple[Any, ...]] = []
    if needs.country and profiles.has("mobile_phone"):
        numbers = backend.fetch(member_facts.PHONES_WITHOUT_ADDRESS)
    countries = ((number, phones.country_of(number)) for (number,) in numbers)
    backend.create_lookup("phone_countries", ("number", "country"), [(a, b) for a, b in countries if b is not None])


def _check(backend: EngineBackend, rows: str, key: str, errors: RowErrors) -> None:
    backend.create(PlanStep(f"checked_{key}s", rows))
    pipeline.raise_on_invalid_rows(backend, f"checked_{key}s", key, errors)
