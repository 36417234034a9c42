"""From facts to purchases as reports count them: SQL, step by step.

What the live store tells of each in `reports/tell_purchases.sql`, with its buyer as of the purchase's commit. Files
have no commits: what is told of a buyer is what the values say at the instant of the purchase, that purchase and all
others of the same instant included. The relations at the end are `purchases` and `bought_brands`, a row for each brand
of a purchase; they have those fields that are asked for.
"""

from collections.abc import Sequence, Set
from datetime import datetime

from regulars.bulk import member_facts, values
from regulars.bulk.needed import BRAND_AMOUNT
from regulars.bulk.reading import Dialect
from regulars.bulk.shape import Club, Step

DIMENSIONS = ("dimension_frequency", "dimension_recency", "dimension_join")
BRAND = "brand"

_OF_BUYERS = ("gender", "age")
_BORN = {"birth_year", "birth_month", "birth_day"}
_READ = {"location": "location_id", "channel": "channels", BRAND: BRAND_AMOUNT}
_CODES = "CASE told.channels WHEN 1 THEN 'CF' WHEN 2 THEN 'CO' WHEN 3 THEN 'CM' END"


def read(fields: Set[str]) -> Set[str]:
    """The names, of those that facts are made by, that fields are made of."""
    return {name for field, name in _READ.items() if field in fields}


def of_profiles(fields: Set[str]) -> Set[str]:
    """The columns of profiles that fields are made of, beside those of values."""
    return {"external_id", "joined_at", *({"gender"} & fields), *(_BORN if "age" in fields else ())}


def buyers(as_of: datetime) -> Step:
    """The pairs that the dimensions are computed at: who bought, and when."""
    return Step(
        "typed_as_of",
        f"""SELECT DISTINCT own.profile_id AS profile, told.transacted_at AS as_of,
       CAST(NULL AS TIMESTAMP) AS as_of_local
FROM fact_transactions AS told
JOIN fact_profiles AS own ON own.profile = told.profile
WHERE told.transacted_at <= {values.timestamp(as_of)}""",
    )


def purchases(fields: Set[str], club: Club, dialect: Dialect, *, has_ids: bool, has_profiles: bool) -> Step:
    """Every counted purchase, whoever bought."""
    columns, joins = ["told.external_id"] if has_ids else [], []
    if "location" in fields:
        columns.append("place.external_id AS location")
        joins.append("LEFT JOIN fact_locations AS place ON place.location_id = told.location_id")
    if "channel" in fields:
        columns.append(f"{_CODES} AS channel")
    if dimensions := [name for name in DIMENSIONS if name in fields]:
        columns += (f"known.{name}" for name in dimensions)
        joins.append(_known(dimensions))
    if of_buyers := [name for name in _OF_BUYERS if name in fields]:
        unknown = dict.fromkeys(_OF_BUYERS, f"CAST(NULL AS {dialect.string})")
        told = {"gender": "buyer.gender", "age": _age(club, dialect)} if has_profiles else unknown
        columns += (f"{told[name]} AS {name}" for name in of_buyers)
        joins += [_BUYER] if has_profiles else []
    listed = "".join(f",\n       {each}" for each in columns)
    rows = "\n".join(["fact_transactions AS told", *joins])
    return Step(
        "purchases",
        f"""SELECT told.transacted_at AS at, CASE told.sign WHEN 1 THEN 1 ELSE 0 END AS sales, told.amount,
       told.profile AS member{listed}
FROM {rows}""",
        keeps=bool(dimensions),
    )


_BUYER = """LEFT JOIN fact_profiles AS own ON own.profile = told.profile
LEFT JOIN typed_profiles AS buyer ON buyer.external_id = own.profile_id"""


def _known(dimensions: Sequence[str]) -> str:
    listed = ", ".join(f"value.{name}" for name in dimensions)
    return f"""LEFT JOIN (
    SELECT asked.profile, asked.as_of, {listed}
    FROM stored_values AS value
    JOIN asked ON asked.k = value.k
) AS known ON known.profile = told.profile AND known.as_of = told.transacted_at"""


def _age(club: Club, dialect: Dialect) -> str:
    date = dialect.engine.macros["local_date"]("told.transacted_at", f"'{club.timezone}'")
    return member_facts.age_group(member_facts.birth_date("buyer"), member_facts.day_number(date), dialect)


def bought_brands(fields: Set[str]) -> Step:
    """The same once for each brand, with what was paid for its lines."""
    names = "".join(f", bought.{name}" for name in sorted(fields - {BRAND}))
    return Step(
        "bought_brands",
        f"""SELECT bought.at, bought.sales, part.amount, bought.member, part.brand{names}
FROM purchases AS bought
JOIN brand_amounts AS part ON part.external_id = bought.external_id""",
    )
