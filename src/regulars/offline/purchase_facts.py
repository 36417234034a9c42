"""From facts to purchases as reports count them: SQL, step by step.

What the live store tells of each in `rollups/tell_purchases.sql`, with its buyer as of the purchase's commit. Files
have no commits: what is told of a buyer is what the values say at the instant of the purchase, that purchase and all
others of the same instant included. The relations at the end are `purchases` and `bought_brands`, a row for each brand
of a purchase; they have those fields that are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from regulars.facts.purchases import BUYER_DIMENSIONS
from regulars.offline import member_facts, values
from regulars.offline.casting import CastDialect
from regulars.offline.column_pruning import BRAND_AMOUNT
from regulars.offline.structures import ClubContext, InputTraits, PlanStep
from regulars.query.compiler import filter_sql
from regulars.query.compiler.compiler import group_fields
from regulars.query.query import ReportQuery
from regulars.reports.transactions import BRAND

_BORN = {"birth_year", "birth_month", "birth_day"}
_READ = {"location": "location_id", "channel": "channels", BRAND.name: BRAND_AMOUNT}
_CODES = "CASE told.channels WHEN 1 THEN 'CF' WHEN 2 THEN 'CO' WHEN 3 THEN 'CM' END"

# No transaction of files is before or after these.
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
_BUCKET = timedelta(days=33)
"""No bucket of any zone is larger."""


@dataclass(frozen=True, slots=True)
class PurchaseSelection:
    """Of which purchases a query asks, and which of their fields: dimensions are not computed of others."""

    fields: frozenset[str]
    start: datetime = _FIRST
    end: datetime = _LAST

    @staticmethod
    def for_query(query: ReportQuery) -> "PurchaseSelection":
        """What a query asks of; a bucket more at both ends, for which zone they are read in is not known yet."""
        asked = {*filter_sql.field_names(query.filter), *(each.name for each in group_fields(query))}
        fields = frozenset(name for name in asked if not query.report.fields_by_name[name].is_tenant_field)
        start, end = (_known_time(each) for each in (query.start, query.end))
        return PurchaseSelection(fields, start - _BUCKET, end + _BUCKET)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Those of the fields that are values at the instant of the purchase."""
        return tuple(name for name in BUYER_DIMENSIONS if name in self.fields)

    @property
    def has_brands(self) -> bool:
        """Whether brands are told apart."""
        return BRAND.name in self.fields

    @property
    def inputs_read(self) -> set[str]:
        """The names, of those that facts are made by, that the fields are made of."""
        return {name for field, name in _READ.items() if field in self.fields}

    @property
    def profile_columns(self) -> set[str]:
        """The columns of profiles that the fields are made of."""
        return {"external_id", "joined_at", *({"gender"} & self.fields), *(_BORN if "age" in self.fields else ())}


def _known_time(at: datetime | None) -> datetime:
    if at is None:
        raise ValueError("a range needs both of its ends")
    return min(max(at.replace(tzinfo=UTC) if at.tzinfo is None else at, _FIRST), _LAST)


def buyer_instants(wanted: PurchaseSelection, as_of: datetime) -> PlanStep:
    """The pairs that the dimensions are computed at: who bought, and when."""
    return PlanStep(
        "typed_as_of",
        f"""SELECT DISTINCT own.profile_id AS profile, told.transacted_at AS as_of,
       CAST(NULL AS TIMESTAMP) AS as_of_local
FROM fact_transactions AS told
JOIN fact_profiles AS own ON own.profile = told.profile
WHERE told.transacted_at >= {values.timestamp_literal(wanted.start)}
  AND told.transacted_at <= {values.timestamp_literal(min(wanted.end, as_of))}""",
    )


def purchases(wanted: PurchaseSelection, shape: InputTraits, dialect: CastDialect) -> PlanStep:
    """Every counted purchase, whoever bought."""
    fields = wanted.fields
    columns = ["told.external_id"] if wanted.has_brands else []
    rows = [f"{_dated(shape.club, dialect)} AS told" if "age" in fields else "fact_transactions AS told"]
    if "location" in fields:
        columns.append("place.external_id AS location")
        rows.append("LEFT JOIN fact_locations AS place ON place.location_id = told.location_id")
    if "channel" in fields:
        columns.append(f"{_CODES} AS channel")
    if wanted.dimensions:
        columns += (f"known.{name}" for name in wanted.dimensions)
        rows.append(_known(wanted.dimensions))
    if of_buyers := {"gender", "age"} & fields:
        age = member_facts.age_group("buyer.birth_date", "told.day", dialect)
        told = {"gender": "buyer.gender", "age": age} if shape.has_profiles else {}
        unknown = f"CAST(NULL AS {dialect.string_type})"
        columns += (f"{told.get(name, unknown)} AS {name}" for name in sorted(of_buyers))
        rows += [_BUYER] if shape.has_profiles else []
    listed, source = "".join(f",\n       {each}" for each in columns), "\n".join(rows)
    return PlanStep(
        "purchases",
        f"""SELECT told.transacted_at AS at, CASE told.direction WHEN 1 THEN 1 ELSE 0 END AS sales, told.amount,
       told.profile AS member{listed}
FROM {source}""",
        is_materialized=bool(wanted.dimensions),
    )


_BUYER = f"""LEFT JOIN fact_profiles AS own ON own.profile = told.profile
LEFT JOIN (
    SELECT born.external_id, born.gender, {member_facts.birth_date("born")} AS birth_date FROM typed_profiles AS born
) AS buyer ON buyer.external_id = own.profile_id"""


def _known(dimensions: Sequence[str]) -> str:
    listed = ", ".join(f"value.{name}" for name in dimensions)
    return f"""LEFT JOIN (
    SELECT asked.profile, asked.as_of, {listed}
    FROM stored_values AS value
    JOIN asked ON asked.k = value.k
) AS known ON known.profile = told.profile AND known.as_of = told.transacted_at"""


def _dated(club: ClubContext, dialect: CastDialect) -> str:
    """The transactions with the date of the club's clock, as a number."""
    date = dialect.engine.macros["local_date"]("transacted_at", f"'{club.timezone}'")
    return f"""(
    SELECT dated.*, {member_facts.day_number("date")} AS day
    FROM (SELECT fact.*, {date} AS date FROM fact_transactions AS fact) AS dated
)"""


def purchase_brands(wanted: PurchaseSelection) -> PlanStep:
    """The same once for each brand, with what was paid for its lines."""
    names = "".join(f", bought.{name}" for name in sorted(wanted.fields - {BRAND.name}))
    return PlanStep(
        "bought_brands",
        f"""SELECT bought.at, bought.sales, part.amount, bought.member, part.brand{names}
FROM purchases AS bought
JOIN brand_amounts AS part ON part.external_id = bought.external_id""",
    )
