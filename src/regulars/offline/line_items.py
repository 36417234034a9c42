"""Line items of transactions: SQL of their prices, discounts and brands."""

from regulars.core.field_type import FieldType
from regulars.facts.transactions import ITEM_COLUMNS
from regulars.model.transactions.line_items import MAX_ITEMS
from regulars.offline import casting, item_lists
from regulars.offline.casting import CastDialect, InputColumn, TypeFamily
from regulars.offline.structures import (
    ClubContext,
    InputTable,
    InputTraits,
    InvalidCells,
    LineLayout,
    PlanStep,
    RowErrors,
)

RATE = "CASE WHEN t.is_foreign THEN t.currency_rate ELSE CAST(1 AS DECIMAL(19, 12)) END"
"""Currency rate of a transaction `t` to the club's currency."""


def is_foreign(club: ClubContext) -> str:
    """Whether the currency of a transaction `t` differs from the club's."""
    return f"coalesce(upper(trim(t.currency)) <> '{club.currency}', FALSE)"


_IS_SOLD = "coalesce({line}.quantity, 1) > 0"
_PRICE = "coalesce({line}.price_current, {line}.price_sell, 0)"


def millionths(amount: str, integer_type: str) -> str:
    """A decimal as an integer number of millionths; widened first, because the product has more digits."""
    return f"CAST(CAST({amount} AS DECIMAL(25, 6)) * 1000000 AS {integer_type})"


def _units(amount: str, scale: int, integer_type: str) -> str:
    """A decimal with `scale` decimal places as an integer in units of the last place, widened first if necessary."""
    if scale <= 2:
        return f"CAST(CAST({amount} * {10**scale} AS BIGINT) AS {integer_type})"
    return f"CAST(CAST({amount} AS DECIMAL(25, {scale})) * {10**scale} AS {integer_type})"


def _value_of_row(traits: InputTraits, dialect: CastDialect) -> tuple[str, str]:
    """Discount and list value of a one-line transaction `t`, as integers in their largest common unit."""
    scales, integer_type = traits.scales, dialect.integer_type
    prices = [name for name in ("price_current", "price_sell") if name in scales]
    price_scale, quantity_scale = max((scales[name] for name in prices), default=0), scales.get("quantity", 0)
    price = f"coalesce({', '.join([*(f't.{name}' for name in prices), '0'])})"
    quantity = "coalesce(t.quantity, 1)" if "quantity" in scales else "1"
    discount = "coalesce(t.discount, 0)" if "discount" in scales else "0"
    discount_scale = scales.get("discount", 0)
    scale = max(discount_scale, price_scale + quantity_scale)
    value = f"{_units(price, price_scale, integer_type)} * {_units(quantity, quantity_scale, integer_type)}"
    return (
        f"{_units(discount, discount_scale, integer_type)} * {10 ** (scale - discount_scale)}",
        f"{value} * {10 ** (scale - price_scale - quantity_scale)}",
    )


def _value_units(line: str, dialect: CastDialect) -> tuple[str, str]:
    """Discount and list value of a line, in units of 10^-12."""
    integer_type = dialect.integer_type
    price, quantity = _PRICE.format(line=line), f"coalesce({line}.quantity, 1)"
    return (
        f"{millionths(f'coalesce({line}.discount, 0)', integer_type)} * 1000000",
        f"{millionths(price, integer_type)} * {millionths(quantity, integer_type)}",
    )


def sold_columns(traits: InputTraits, dialect: CastDialect) -> tuple[str, str, str]:
    """SQL of discount, list value and brand of a transaction; the brand is null unless it has exactly one line."""
    null, no_brand = f"CAST(NULL AS {dialect.integer_type})", casting.null_of(FieldType.STRING, dialect)
    # The unit does not matter, because discounts and list values are only compared with each other.
    rate = f" * CAST({RATE} * 1000000000000 AS {dialect.integer_type})" if traits.has_rates else ""
    if traits.line_layout is LineLayout.NONE:
        return null, null, no_brand
    if traits.line_layout is LineLayout.SEPARATE:
        return f"sold.discount{rate}", f"sold.list_value{rate}", no_brand
    # A row without any line has neither a brand nor a price, and adds 0 to both sums.
    is_sold = _IS_SOLD.format(line="t")
    discount, list_value = (f"CASE WHEN {is_sold} THEN {each}{rate} END" for each in _value_of_row(traits, dialect))
    if "brand" not in traits.columns_read:
        return discount, list_value, no_brand
    brand = "brand_ids.brand" if dialect.uses_ordinals else brand_name(traits)
    return discount, list_value, f"CASE WHEN {is_sold} THEN {brand} END"


def brand_name(traits: InputTraits) -> str:
    """Name of the brand of a one-line transaction `t`."""
    return "coalesce(product.brand, t.brand)" if traits.has_products else "t.brand"


def total_of_lines(traits: InputTraits, dialect: CastDialect) -> str:
    """The sum of the price times quantity of the lines of a transaction `t`, in millionths; null if no line has a price."""
    if traits.line_layout is LineLayout.SEPARATE:
        return "sold.total"
    if traits.line_layout is LineLayout.NONE or "price_sell" not in traits.scales:
        return f"CAST(NULL AS {dialect.integer_type})"
    return _to_millionths(_paid_units("t", dialect), dialect)


def _paid_units(line: str, dialect: CastDialect) -> str:
    """The price times quantity of a line, in units of 10^-12; null without a price."""
    integer_type = dialect.integer_type
    return f"{millionths(f'{line}.price_sell', integer_type)} * {millionths(f'coalesce({line}.quantity, 1)', integer_type)}"


def _to_millionths(units: str, dialect: CastDialect) -> str:
    return dialect.engine.macros["half_even"](units, f"CAST(1000000 AS {dialect.integer_type})")


_LINE_TYPES = {
    "sku": FieldType.STRING, "brand": FieldType.STRING, "quantity": FieldType.QUANTITY, "price_sell": FieldType.MONEY,
    "price_current": FieldType.MONEY, "discount": FieldType.MONEY, "is_void": FieldType.BOOLEAN,
}  # fmt: skip


def line_steps(source: InputTable, traits: InputTraits, dialect: CastDialect, errors: RowErrors) -> list[PlanStep]:
    """Plan steps for the sold lines with their brands, and the sums of the lines of each transaction."""
    if traits.line_layout is not LineLayout.SEPARATE:
        name = "branded_lines" if dialect.uses_ordinals else "fact_lines"
        within = (
            "SELECT profile, transacted_at, sold_brand AS brand FROM fact_transactions WHERE sold_brand IS NOT NULL"
        )
        return [PlanStep(name, within)]
    sources = []
    if source.has(*ITEM_COLUMNS):
        has_item = " OR ".join(f"{name} IS NOT NULL" for name in ITEM_COLUMNS)
        columns = ", ".join(name for name in _LINE_TYPES if name != "is_void")
        sources.append(
            f"SELECT external_id, {columns}, FALSE AS is_void, 0 AS is_listed, CAST(NULL AS INT) AS error_no\n"
            f"FROM typed_transactions\nWHERE {has_item}"
        )
    if source.has("items"):
        sources.append(_list_lines(source, dialect, errors))
    discount, list_value = _value_units("line", dialect)
    too_many = errors.add(item_lists.KINDS[item_lists.TOO_MANY])
    both = errors.add("transactions.items must be a list or in columns of their own, not both")
    paid = f"sum({_paid_units('line', dialect)}) FILTER (WHERE NOT coalesce(line.is_void, FALSE))"
    total = _to_millionths(paid, dialect)
    is_sold = f"{_IS_SOLD.format(line='line')} AND NOT coalesce(line.is_void, FALSE)"
    return [
        PlanStep("typed_lines", "\nUNION ALL\n".join(sources), is_materialized=True),
        PlanStep(
            "line_sums",
            f"""SELECT external_id,
       sum({discount}) FILTER (WHERE {is_sold}) AS discount,
       sum({list_value}) FILTER (WHERE {is_sold}) AS list_value,
       {total} AS total,
       CASE WHEN count(*) > {MAX_ITEMS} THEN {too_many}
            WHEN min(is_listed) <> max(is_listed) THEN {both} ELSE min(error_no) END AS error_no
FROM typed_lines AS line
GROUP BY external_id""",
        ),
        PlanStep(
            "fact_lines",
            f"""SELECT t.profile, t.transacted_at, coalesce(product.brand, line.brand) AS brand
FROM typed_lines AS line
JOIN fact_transactions AS t ON t.external_id = line.external_id
LEFT JOIN fact_products AS product ON product.sku = line.sku
WHERE {is_sold} AND coalesce(product.brand, line.brand) IS NOT NULL""",
        ),
    ]


def _list_lines(source: InputTable, dialect: CastDialect, errors: RowErrors) -> str:
    """SELECT of the lines that are a list in the column items. Their discounts take precedence over their discount."""
    amount = casting.cast(FieldType.MONEY, InputColumn("d.amount", TypeFamily.TEXT), dialect)
    columns = []
    for name, column_type in _LINE_TYPES.items():
        column = InputColumn(f"listed.line.{name}", TypeFamily.TEXT)
        expression = casting.cast(column_type, column, dialect)
        if name == "sku":
            expression = casting.trimmed_text(column.sql, dialect)
        if name == "discount":
            expression = f"coalesce({dialect.sum_of('listed.discounts', amount)}, {expression})"
        columns.append(f"{expression} AS {name}")
    body = ",\n       ".join(columns)
    names, discounts = dict.fromkeys(_LINE_TYPES), _DISCOUNTS
    if dialect.validates_items:
        names |= dict.fromkeys((item_lists.REJECTED, *item_lists.MAX_LENGTHS))
        cases = _rejections(source, dialect, errors)
        # A condition would read each list once more, and an unnested null has no rows.
        has_items = ""
    else:
        cases = _invalid_cells(amount, dialect, errors)
        has_items = "\nWHERE items IS NOT NULL"
        discounts = f"CASE WHEN {dialect.is_list(_DISCOUNTS)} THEN {dialect.json_objects(_DISCOUNTS, ('amount',))} END"
    return f"""SELECT external_id, {body}, 1 AS is_listed,
       CAST(CASE {" ".join(cases)} END AS INT) AS error_no
FROM (
    SELECT external_id, listed.line, {discounts} AS discounts
    FROM (
        SELECT external_id, {dialect.unnest(dialect.item_objects("items", [*names]))} AS line
        FROM headers{has_items}
    ) AS listed
) AS listed"""


_DISCOUNTS = "listed.line.discounts"


def _rejections(source: InputTable, dialect: CastDialect, errors: RowErrors) -> list[str]:
    """The cases of the errors of a list that `item_lists` has read: why it is rejected, and texts that are too long."""
    items = source.columns["items"]
    key = source.columns[source.spec.key].sql
    no_list = f"'{item_lists.rejected(item_lists.NO_LIST)}'"
    first = (
        f"SELECT CAST({items.sql} AS {dialect.string_type}) FROM {source.relation} "
        f"WHERE {casting.cast(FieldType.LINE_ITEMS, items, dialect)} = {no_list} ORDER BY {key} LIMIT 1"
    )
    quoted = {item_lists.NO_LIST: InvalidCells(first, FieldType.LINE_ITEMS, items.cell_format)}
    numbers = {kind: errors.add(message, quoted.get(kind)) for kind, message in item_lists.KINDS.items()}
    rejected = f'listed.line."{item_lists.REJECTED}"'
    kinds = " ".join(f"WHEN '{kind}' THEN {number}" for kind, number in numbers.items())
    return [
        f"WHEN {rejected} IS NOT NULL THEN CASE {rejected} {kinds} END",
        *(
            f"WHEN strlen(listed.line.{name}) > {most} AND length(listed.line.{name}) > {most} THEN {numbers[name]}"
            for name, most in item_lists.MAX_LENGTHS.items()
        ),
    ]


def _invalid_cells(amount: str, dialect: CastDialect, errors: RowErrors) -> list[str]:
    """The cases of the errors of a list that the engine reads: values that it does not cast."""
    unparsable = errors.add(f"transactions.items must be {FieldType.LINE_ITEMS.input_format}")
    cases = [f"WHEN listed.line IS NULL THEN {unparsable}"]
    for name, column_type in _LINE_TYPES.items():
        if column_type in casting.PARSED_TYPES:
            column = InputColumn(f"listed.line.{name}", TypeFamily.TEXT)
            number = errors.add(f"transactions.items.{name} must be {column_type.input_format}")
            is_null = f"({casting.cast(column_type, column, dialect)}) IS NULL"
            cases.append(f"WHEN {casting.is_present(column, dialect)} AND {is_null} THEN {number}")
    is_present = casting.is_present(InputColumn(_DISCOUNTS, TypeFamily.TEXT), dialect)
    number = errors.add(f"transactions.items.discounts must be {FieldType.OBJECT_LIST.input_format}")
    cases.append(f"WHEN {is_present} AND listed.discounts IS NULL THEN {number}")
    number = errors.add(f"transactions.items.discounts.amount must be {FieldType.MONEY.input_format}")
    cases.append(f"WHEN {dialect.any_element('listed.discounts', f'({amount}) IS NULL')} THEN {number}")
    return cases


def brand_amounts(traits: InputTraits, dialect: CastDialect) -> PlanStep:
    """Amount paid for each brand of a transaction, in minor units, rounded half-even."""
    units, scale = "sold.units", 12
    join = ""
    if traits.has_rates:
        units, scale = f"sold.units * CAST({RATE} * 1000000000000 AS {dialect.integer_type})", 24
        join = f"""
JOIN (
    SELECT t.external_id, t.currency_rate, {is_foreign(traits.club)} AS is_foreign FROM headers AS t
) AS t ON t.external_id = sold.external_id"""
    price, quantity = (
        millionths(f"coalesce(line.{each})", dialect.integer_type) for each in ("price_sell, 0", "quantity, 1")
    )
    divisor = f"CAST({10 ** (scale - traits.club.minor_digits)} AS {dialect.integer_type})"
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
