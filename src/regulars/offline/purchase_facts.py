"""Plan steps from fact tables to the purchases that reports count.

Computes what the server records in `facts/sql/purchases_record.sql` with the buyer as of the commit of the purchase.
Files have no commits, so the dimensions of a buyer are the values at the instant of the purchase, including all
purchases at that instant. The resulting relations are `purchases` and `purchase_brands` (a row for each brand of a
purchase), with the requested fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from regulars.facts.purchases import BUYER_DIMENSIONS
from regulars.model.member_dimensions import channel_code
from regulars.offline import member_facts, values
from regulars.offline.casting import CastDialect
from regulars.offline.input_traits import BRAND_AMOUNT
from regulars.offline.structures import ClubContext, InputTraits, PlanStep
from regulars.query.compiler import filter_sql
from regulars.query.compiler.groups import group_fields
from regulars.query.query import ReportQuery
from regulars.reports.transactions import BRAND

_BORN = {"birth_year", "birth_month", "birth_day"}
_INPUTS_BY_FIELD = {"location": "location_id", "channel": "channels", BRAND.name: BRAND_AMOUNT}
_CHANNEL_CODE = channel_code("t.channels")

# All transactions of files are within this range.
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
_BUCKET = timedelta(days=33)
"""Upper bound of the length of a bucket in any time zone."""


@dataclass(frozen=True, slots=True)
class PurchaseSelection:
    """Range and fields of the purchases of a query; dimensions are computed only for these."""

    fields: frozenset[str]
    start: datetime = _FIRST
    end: datetime = _LAST

    @staticmethod
    def for_query(query: ReportQuery) -> "PurchaseSelection":
        """Selection of a query, extended by a bucket at both ends, because the time zone is not known yet."""
        names = {*filter_sql.field_names(query.filter), *(each.name for each in group_fields(query))}
        fields = frozenset(name for name in names if not query.report.fields_by_name[name].is_tenant_field)
        start, end = (_clamped(each) for each in (query.start, query.end))
        return PurchaseSelection(fields, start - _BUCKET, end + _BUCKET)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The requested fields that are values at the instant of the purchase."""
        return tuple(name for name in BUYER_DIMENSIONS if name in self.fields)

    @property
    def has_brands(self) -> bool:
        """Whether the query groups or filters by brand."""
        return BRAND.name in self.fields

    @property
    def inputs_read(self) -> set[str]:
        """Columns of facts that the fields need."""
        return {name for field, name in _INPUTS_BY_FIELD.items() if field in self.fields}

    @property
    def profile_columns(self) -> set[str]:
        """Columns of profiles that the fields need."""
        return {"external_id", "joined_at", *({"gender"} & self.fields), *(_BORN if "age" in self.fields else ())}


def _clamped(at: datetime | None) -> datetime:
    if at is None:
        raise ValueError("a range needs a start and an end")
    return min(max(at.replace(tzinfo=UTC) if at.tzinfo is None else at, _FIRST), _LAST)


def buyer_instants(selection: PurchaseSelection, as_of: datetime) -> PlanStep:
    """The entity table of dimensions: profile and instant of each purchase."""
    return PlanStep(
        "typed_as_of",
        f"""SELECT DISTINCT p.profile_id AS profile, t.transacted_at AS as_of,
       CAST(NULL AS TIMESTAMP) AS as_of_local
FROM fact_transactions AS t
JOIN fact_profiles AS p ON p.profile = t.profile
WHERE t.transacted_at >= {values.timestamp_literal(selection.start)}
  AND t.transacted_at <= {values.timestamp_literal(min(selection.end, as_of))}""",
    )


def purchases(selection: PurchaseSelection, traits: InputTraits, dialect: CastDialect) -> PlanStep:
    """All counted purchases, anonymous ones included."""
    fields = selection.fields
    columns = ["t.external_id"] if selection.has_brands else []
    sources = [f"{_dated(traits.club, dialect)} AS t" if "age" in fields else "fact_transactions AS t"]
    if "location" in fields:
        columns.append("location.external_id AS location")
        sources.append("LEFT JOIN fact_locations AS location ON location.location_id = t.location_id")
    if "channel" in fields:
        columns.append(f"{_CHANNEL_CODE} AS channel")
    if selection.dimensions:
        columns += (f"value.{name}" for name in selection.dimensions)
        sources.append(_values(selection.dimensions))
    if of_buyers := {"gender", "age"} & fields:
        age = member_facts.age_group("buyer.birth_date", "t.day", dialect)
        expressions = {"gender": "buyer.gender", "age": age} if traits.has_profiles else {}
        unknown = f"CAST(NULL AS {dialect.string_type})"
        columns += (f"{expressions.get(name, unknown)} AS {name}" for name in sorted(of_buyers))
        sources += [_buyer(dialect)] if traits.has_profiles else []
    listed, source = "".join(f",\n       {each}" for each in columns), "\n".join(sources)
    return PlanStep(
        "purchases",
        f"""SELECT t.transacted_at AS at, CASE t.direction WHEN 1 THEN 1 ELSE 0 END AS sales, t.amount,
       t.profile AS member{listed}
FROM {source}""",
        is_materialized=bool(selection.dimensions),
    )


def _buyer(dialect: CastDialect) -> str:
    return f"""LEFT JOIN fact_profiles AS p ON p.profile = t.profile
LEFT JOIN (
    SELECT born.external_id, {member_facts.gender("born.gender", dialect)} AS gender,
           {member_facts.birth_date("born")} AS birth_date FROM typed_profiles AS born
) AS buyer ON buyer.external_id = p.profile_id"""


def _values(dimensions: Sequence[str]) -> str:
    listed = ", ".join(f"value.{name}" for name in dimensions)
    return f"""LEFT JOIN (
    SELECT requested.profile, requested.as_of, {listed}
    FROM stored_values AS value
    JOIN requested ON requested.k = value.k
) AS value ON value.profile = t.profile AND value.as_of = t.transacted_at"""


def _dated(club: ClubContext, dialect: CastDialect) -> str:
    """The transactions with their local date as an integer."""
    date = dialect.engine.macros["local_date"]("transacted_at", f"'{club.timezone}'")
    return f"""(
    SELECT dated.*, {member_facts.day_number("date")} AS day
    FROM (SELECT fact.*, {date} AS date FROM fact_transactions AS fact) AS dated
)"""


def purchase_brands(selection: PurchaseSelection) -> PlanStep:
    """The purchases once for each brand, with the amount paid for it."""
    names = "".join(f", purchase.{name}" for name in sorted(selection.fields - {BRAND.name}))
    return PlanStep(
        "purchase_brands",
        f"""SELECT purchase.at, purchase.sales, part.amount, purchase.member, part.brand{names}
FROM purchases AS purchase
JOIN brand_amounts AS part ON part.external_id = purchase.external_id""",
    )
