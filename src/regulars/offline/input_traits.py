"""Traits of the input that determine the plan: which columns are needed, unique ids, currency and time zones."""

from collections.abc import Mapping, Set
from dataclasses import replace
from itertools import takewhile

from regulars.core import money, timestamps
from regulars.core.validation import MAX_TEXT_LENGTH
from regulars.facts.transactions import ITEM_COLUMNS
from regulars.offline import casting
from regulars.offline.casting import InputColumn, TypeFamily
from regulars.offline.errors import InvalidInputError
from regulars.offline.structures import ClubContext, EngineBackend, InputTable, InputTraits, LineLayout

BRAND_AMOUNT = "brand_amount"
"""Pseudo-column that stands for the amounts of brands."""

LINE_TOTAL = "line_total"
"""Pseudo-column that stands for the totals of transactions that have none of their own."""

MAX_BITSET_RANGE = 1_000_000_000
"""Largest range of sequential ids that is checked with a bitset of one bit each: 120 MiB."""

_PRICES = {"items", *ITEM_COLUMNS}
_BRANDS = {"sku", "brand", "variants"}

# Input columns by the columns that definitions read; input columns that are not listed are always read.
_DEPENDENCIES: Mapping[str, Mapping[str, Set[str]]] = {
    "discount": {"transactions": _PRICES},
    "list_value": {"transactions": _PRICES},
    LINE_TOTAL: {"transactions": {"items", "price_sell", "quantity"}},
    BRAND_AMOUNT: {"transactions": _PRICES, "products": _BRANDS},
    "brand": {"transactions": {"items", "sku", "brand", "quantity"}, "products": _BRANDS},
    "channels": {"transactions": {"systems", "location"}},
    "location_id": {"transactions": {"location"}},
    "joined_on": {"profiles": {"joined_at"}},
    "joined_at": {"profiles": {"joined_at"}},
    "joined_location_id": {"profiles": {"joined_location_external_id"}},
    "preferred_location_id": {"profiles": {"preferred_location_external_id"}},
    "is_default": {"profiles": {"addresses"}},
}


def needs_line_totals(backend: EngineBackend, transactions: InputTable) -> bool:
    """Whether any transaction has no total, and lines that may have prices."""
    if not transactions.has("price_sell", "items") or not transactions.has("total"):
        return not transactions.has("total")
    is_present = casting.is_present(transactions.columns["total"], backend.dialect)
    found = backend.fetch(f"SELECT 1 FROM {transactions.relation} WHERE NOT coalesce({is_present}, FALSE) LIMIT 1")
    return bool(found)


def prune_columns(inputs: Mapping[str, InputTable], read: Set[str]) -> dict[str, InputTable]:
    """The input tables with only those columns that are needed to read `read`."""
    optional: set[tuple[str, str]] = set()
    required: set[tuple[str, str]] = set()
    for name, tables in _DEPENDENCIES.items():
        dependencies = {(table, column) for table, columns in tables.items() for column in columns}
        optional |= dependencies
        required |= dependencies if name in read else set()
    if "locations" in inputs and inputs["locations"].has("timezone"):
        # The time zone of local times is that of the location.
        required.add(("transactions", "location"))
    if "products" not in inputs and BRAND_AMOUNT not in read:
        # A SKU alone has neither a brand nor a price.
        required.discard(("transactions", "sku"))
    dropped = optional - required
    return {
        name: replace(
            table, columns={each: column for each, column in table.columns.items() if (name, each) not in dropped}
        )
        for name, table in inputs.items()
    }


def determine_traits(
    backend: EngineBackend,
    inputs: Mapping[str, InputTable],
    timezone: str,
    currency: str | None,
    void_statuses: tuple[str, ...],
    read: Set[str],
    *,
    has_anonymous: bool,
) -> InputTraits:
    """Determines the traits of typed transactions. Raises InvalidInputError for unknown time zones and currencies."""
    transactions = inputs["transactions"]
    club, has_rates = _club(backend, transactions, timezone, currency)
    club = replace(club, void_statuses=void_statuses)
    are_numbered = has_numbered_ids(backend, transactions)
    has_repeated_ids = not are_numbered and not has_unique_ids(backend)
    layout = LineLayout.NONE
    if transactions.has("items", *ITEM_COLUMNS):
        is_separate = has_repeated_ids or transactions.has("items") or BRAND_AMOUNT in read
        layout = LineLayout.SEPARATE if is_separate else LineLayout.INLINE
    with_timezone = [table for table in inputs.values() if table.has("timezone")]
    for table in with_timezone:
        _check_zones(backend, table.spec.name)
    return InputTraits(
        club=club,
        columns_read=read,
        scales={name: _scale(column) for name, column in transactions.columns.items()},
        has_rates=has_rates,
        has_timezones=bool(with_timezone),
        has_repeated_ids=has_repeated_ids,
        has_numbered_ids=are_numbered,
        line_layout=layout,
        has_profiles="profiles" in inputs,
        has_locations="locations" in inputs,
        has_products="products" in inputs,
        has_anonymous=has_anonymous,
    )


def _scale(column: InputColumn) -> int:
    """Number of decimal places of a column after the cast."""
    return {TypeFamily.DECIMAL: min(column.scale, 6), TypeFamily.INTEGER: 0}.get(column.family, 6)


def _club(
    backend: EngineBackend, transactions: InputTable, timezone: str, currency: str | None
) -> tuple[ClubContext, bool]:
    """The club, and whether any transaction is in a foreign currency."""
    found: list[str] = []
    if transactions.has("currency"):
        rows = backend.fetch("SELECT DISTINCT upper(trim(currency)) FROM typed_transactions WHERE currency IS NOT NULL")
        found = sorted(row[0] for row in rows)
    if currency is None and len(found) > 1:
        raise InvalidInputError(
            f"transactions.currency has several values ({', '.join(found)}). Select the currency of values with currency."
        )
    if currency is not None:
        require_text(currency, "currency")
    own = currency or (found[0] if found else "EUR")
    for code in (own, *found):
        try:
            money.parse_currency(code)
        except ValueError as error:
            raise InvalidInputError(f"currency {code!r} {error}.") from None
    own = money.parse_currency(own)
    has_rates = bool(set(found) - {own})
    if has_rates and not transactions.has("currency_rate"):
        raise InvalidInputError(
            f"transactions.currency contains {', '.join(sorted(set(found) - {own}))} besides {own}. "
            f"Add a currency_rate to {own} to these rows."
        )
    return ClubContext(timezone, own, money.minor_digits(own)), has_rates


def require_text(value: object, path: str) -> None:
    """Raises InvalidInputError for an argument that must be a text."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{path} is {value!r}. Pass a text.")


def check_timezone(name: str, path: str) -> None:
    """Raises InvalidInputError for an unknown time zone."""
    require_text(name, path)
    try:
        timestamps.zone_info(name)
    except ValueError as error:
        raise InvalidInputError(f"{path} {name!r} {error}.") from None


def _check_zones(backend: EngineBackend, table: str) -> None:
    for (name,) in backend.fetch(f"SELECT DISTINCT timezone FROM typed_{table} WHERE timezone IS NOT NULL"):
        check_timezone(name, f"{table}.timezone")


def has_numbered_ids(engine: EngineBackend, transactions: InputTable) -> bool:
    """Whether each of the typed transactions has a number of its own, which may follow a common prefix.

    Such ids take one bit each. They are also unique, and in the same order, without the blanks around them: the lowest id
    would begin with a blank if any did, and a number is read without those after it.
    """
    if not engine.dialect.uses_ordinals or not (number := _bitset_of_ids(engine, transactions)):
        return False
    ((rows, ids),) = engine.fetch(f"SELECT count(*), bit_count({number}) FROM typed_transactions")
    return bool(rows == ids)


def has_unique_ids(engine: EngineBackend) -> bool:
    """Whether the ids of the typed transactions are unique, if they are not numbered.

    They are grouped by hash, which takes several times as long and more memory. A collision is reported as a duplicate,
    which costs time but not correctness.
    """
    ((rows, ids),) = engine.fetch(
        f"SELECT coalesce(sum(number), 0), count(*) FROM ("
        f"SELECT count(*) AS number FROM typed_transactions WHERE external_id IS NOT NULL "
        f"GROUP BY {engine.dialect.hash_of('external_id')}) AS counted"
    )
    return bool(rows == ids)


def _bitset_of_ids(engine: EngineBackend, transactions: InputTable) -> str | None:
    """Bitset expression of all ids, if the lowest and the highest id allow them to be sequential."""
    column = transactions.columns["external_id"].sql
    # For Parquet files this is in the metadata.
    ((lowest, highest),) = engine.fetch(f"SELECT min({column}), max({column}) FROM {transactions.relation}")
    first, last = str(lowest), str(highest)
    prefix_length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    suffixes = first[prefix_length:], last[prefix_length:]
    if (
        len(first) != len(last)
        or len(first) > MAX_TEXT_LENGTH
        or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in suffixes)
    ):
        return None
    low, high = (int(each) for each in suffixes)
    if high - low >= MAX_BITSET_RANGE:
        return None
    number = f"TRY_CAST(substr(external_id, {prefix_length + 1}) AS BIGINT)"
    return f"bitstring_agg(CASE WHEN {number} BETWEEN {low} AND {high} THEN {number} END, {low}, {high})"
