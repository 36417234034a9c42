"""The lines of transactions: what was sold, at which price, of which brand."""

from regulars.core.field_type import FieldType
from regulars.offline import casting
from regulars.offline.casting import CastDialect, InputColumn, TypeFamily
from regulars.offline.schema import ITEM_COLUMNS
from regulars.offline.structures import ClubContext, InputTable, InputTraits, LineLayout, PlanStep, RowErrors

RATE = "CASE WHEN t.is_foreign THEN t.currency_rate ELSE CAST(1 AS DECIMAL(19, 12)) END"
"""The rate into the club's currency of a transaction `t`."""


def is_foreign(club: ClubContext) -> str:
    """Whether a transaction `t` is in another currency than the club's."""
    return f"coalesce(upper(trim(t.currency)) <> '{club.currency}', FALSE)"


_IS_SOLD = "coalesce({line}.quantity, 1) > 0"
_PRICE = "coalesce({line}.price_current, {line}.price_sell, 0)"


def millionths(amount: str, whole: str) -> str:
    """A decimal in whole millionths; it is made wide first, for a large one times a million is wider than it was."""
    return f"CAST(CAST({amount} AS DECIMAL(25, 6)) * 1000000 AS {whole})"


def _units(amount: str, scale: int, whole: str) -> str:
    """A decimal of so many places in whole numbers of the last of them; it is made wide first where it has to be."""
    if scale <= 2:
        return f"CAST(CAST({amount} * {10**scale} AS BIGINT) AS {whole})"
    return f"CAST(CAST({amount} AS DECIMAL(25, {scale})) * {10**scale} AS {whole})"


def _value_of_row(shape: InputTraits, dialect: CastDialect) -> tuple[str, str]:
    """The same of a row `t` that is a transaction with one line, in the largest unit that both are whole in."""
    scales, whole = shape.scales, dialect.integer_type
    prices = [name for name in ("price_current", "price_sell") if name in scales]
    in_price, in_quantity = max((scales[name] for name in prices), default=0), scales.get("quantity", 0)
    price = f"coalesce({', '.join([*(f't.{name}' for name in prices), '0'])})"
    quantity = "coalesce(t.quantity, 1)" if "quantity" in scales else "1"
    discount = "coalesce(t.discount, 0)" if "discount" in scales else "0"
    in_discount = scales.get("discount", 0)
    most = max(in_discount, in_price + in_quantity)
    value = f"{_units(price, in_price, whole)} * {_units(quantity, in_quantity, whole)}"
    return (
        f"{_units(discount, in_discount, whole)} * {10 ** (most - in_discount)}",
        f"{value} * {10 ** (most - in_price - in_quantity)}",
    )


def _value_units(line: str, dialect: CastDialect) -> tuple[str, str]:
    """The discount of a line and its value at the current price, in millionths of millionths."""
    whole = dialect.integer_type
    price, quantity = _PRICE.format(line=line), f"coalesce({line}.quantity, 1)"
    return (
        f"{millionths(f'coalesce({line}.discount, 0)', whole)} * 1000000",
        f"{millionths(price, whole)} * {millionths(quantity, whole)}",
    )


def sold_columns(shape: InputTraits, dialect: CastDialect) -> tuple[str, str, str]:
    """The discount, the list value and the brand of a transaction; the brand only where it has one line."""
    nothing, no_brand = f"CAST(NULL AS {dialect.integer_type})", casting.null_of(FieldType.STRING, dialect)
    # The scale of the rate is everywhere or nowhere, for the two are only ever compared with each other.
    rate = f" * CAST({RATE} * 1000000000000 AS {dialect.integer_type})" if shape.has_rates else ""
    if shape.line_layout is LineLayout.NONE:
        return nothing, nothing, no_brand
    if shape.line_layout is LineLayout.SEPARATE:
        return f"sold.discount{rate}", f"sold.list_value{rate}", no_brand
    is_line = f"({' OR '.join(f't.{name} IS NOT NULL' for name in ITEM_COLUMNS)}) AND {_IS_SOLD.format(line='t')}"
    discount, list_value = (f"CASE WHEN {is_line} THEN {each}{rate} END" for each in _value_of_row(shape, dialect))
    if "brand" not in shape.columns_read:
        return discount, list_value, no_brand
    brand = "labelled.brand" if dialect.uses_ordinals else brand_name(shape)
    return discount, list_value, f"CASE WHEN {is_line} THEN {brand} END"


def brand_name(shape: InputTraits) -> str:
    """The brand of a transaction `t` that is one line, by its name."""
    return "coalesce(product.brand, t.brand)" if shape.has_products else "t.brand"


_LINE_KINDS = {
    "sku": FieldType.STRING, "brand": FieldType.STRING, "quantity": FieldType.QUANTITY, "price_sell": FieldType.MONEY,
    "price_current": FieldType.MONEY, "discount": FieldType.MONEY, "is_void": FieldType.BOOLEAN,
}  # fmt: skip


def line_steps(source: InputTable, shape: InputTraits, dialect: CastDialect, faults: RowErrors) -> list[PlanStep]:
    """The sold lines with their brands, and what the lines of each transaction come to."""
    if shape.line_layout is not LineLayout.SEPARATE:
        name = "branded_lines" if dialect.uses_ordinals else "fact_lines"
        within = (
            "SELECT profile, transacted_at, sold_brand AS brand FROM fact_transactions WHERE sold_brand IS NOT NULL"
        )
        return [PlanStep(name, within)]
    parts = []
    if source.has(*ITEM_COLUMNS):
        given = " OR ".join(f"{name} IS NOT NULL" for name in ITEM_COLUMNS)
        columns = ", ".join(name for name in _LINE_KINDS if name != "is_void")
        parts.append(
            f"SELECT external_id, {columns}, FALSE AS is_void, CAST(NULL AS INT) AS wrong\n"
            f"FROM typed_transactions\nWHERE {given}"
        )
    if source.has("items"):
        parts.append(_listed(dialect, faults))
    discount, list_value = _value_units("line", dialect)
    is_sold = f"{_IS_SOLD.format(line='line')} AND NOT coalesce(line.is_void, FALSE)"
    return [
        PlanStep("typed_lines", "\nUNION ALL\n".join(parts), is_materialized=True),
        PlanStep(
            "line_sums",
            f"""SELECT external_id,
       sum({discount}) FILTER (WHERE {is_sold}) AS discount,
       sum({list_value}) FILTER (WHERE {is_sold}) AS list_value,
       min(wrong) AS wrong
FROM typed_lines AS line
GROUP BY external_id""",
        ),
        PlanStep(
            "fact_lines",
            f"""SELECT told.profile, told.transacted_at, coalesce(product.brand, line.brand) AS brand
FROM typed_lines AS line
JOIN fact_transactions AS told ON told.external_id = line.external_id
LEFT JOIN fact_products AS product ON product.sku = line.sku
WHERE {is_sold} AND coalesce(product.brand, line.brand) IS NOT NULL""",
        ),
    ]


def _listed(dialect: CastDialect, faults: RowErrors) -> str:
    """The lines that come as a list in one column."""
    columns, wrong = [], []
    for name, kind in _LINE_KINDS.items():
        given = InputColumn(f"listed.line.{name}", TypeFamily.TEXT)
        read = casting.cast(kind, given, dialect)
        if name == "discount":
            read = f"coalesce({read}, {dialect.sum_of_amounts('listed.line.discounts')})"
        columns.append(f"{read} AS {name}")
        if kind in casting.PARSED_TYPES:
            number = faults.add(f"transactions.items.{name} must be {kind.input_format}")
            wrong.append(f"WHEN {given.sql} <> '' AND ({read}) IS NULL THEN {number}")
    amount = InputColumn("d.amount", TypeFamily.TEXT)
    is_wrong = f"d.amount <> '' AND ({casting.cast(FieldType.MONEY, amount, dialect)}) IS NULL"
    number = faults.add(f"transactions.items.discounts.amount must be {FieldType.MONEY.input_format}")
    wrong.append(f"WHEN {dialect.any_element('listed.line.discounts', is_wrong)} THEN {number}")
    unread = faults.add("transactions.items must be a list of objects, or its JSON")
    rows = dialect.json_objects("items", (*_LINE_KINDS, "discounts"))
    body = ",\n       ".join(columns)
    return f"""SELECT external_id, {body},
       CAST(CASE WHEN listed.line IS NULL THEN {unread} {" ".join(wrong)} END AS INT) AS wrong
FROM (
    SELECT external_id, {dialect.unnest(rows)} AS line
    FROM headers
    WHERE items IS NOT NULL
) AS listed"""


def brand_amounts(shape: InputTraits, dialect: CastDialect) -> PlanStep:
    """What was paid for the lines of each brand in a transaction, in minor units, rounded half-even once."""
    units, scale = "sold.units", 12
    join = ""
    if shape.has_rates:
        units, scale = f"sold.units * CAST({RATE} * 1000000000000 AS {dialect.integer_type})", 24
        join = f"""
JOIN (
    SELECT t.external_id, t.currency_rate, {is_foreign(shape.club)} AS is_foreign FROM headers AS t
) AS t ON t.external_id = sold.external_id"""
    price, quantity = (
        millionths(f"coalesce(line.{each})", dialect.integer_type) for each in ("price_sell, 0", "quantity, 1")
    )
    divisor = f"CAST({10 ** (scale - shape.club.minor_digits)} AS {dialect.integer_type})"
    rounded = dialect.engine.macros["half_even"](units, divisor)
    return PlanStep(
        "brand_amounts",
        f"""SELECT sold.external_id, sold.brand, CAST({rounded} AS BIGINT) AS amount
FROM (
    SELECT line.external_id, coalesce(product.brand, line.brand) AS brand, sum({price} * {quantity}) AS units
    FROM typed_lines AS line
    LEFT JOIN fact_products AS product ON product.sku = line.sku
    WHERE NOT coalesce(line.is_void, FALSE)
    GROUP BY line.external_id, coalesce(product.brand, line.brand)
) AS sold{join}""",
    )
