"""From facts to values as they go out: who is asked for and when, the compiled statement, money and places by name."""

from datetime import UTC, datetime

from regulars.aggregations.aggregation import Aggregation, Type
from regulars.aggregations.compile import compiled
from regulars.aggregations.definitions import REGISTRY
from regulars.bulk.reading import Dialect
from regulars.bulk.shape import Club, Step

_BOUNDS = ("12 months", "24 months")


def asked(as_of: datetime | None, club: Club, dialect: Dialect) -> Step:
    """Whom values are asked for, and as of when: all profiles at one instant, or, where that is None, the pairs."""
    if as_of is None:
        at = dialect.engine.macros["instant_of"]("as_of_local", f"'{club.timezone}'")
        who = f"""SELECT DISTINCT own.profile, own.profile_id, coalesce(pair.as_of, {at}) AS as_of
    FROM typed_as_of AS pair
    JOIN fact_profiles AS own ON own.profile_id = pair.profile"""
        k = dialect.number_of_pair
    else:
        who = f"SELECT profile, profile_id, {timestamp(as_of)} AS as_of FROM fact_profiles"
        k = "profile"
    bounds = ",\n       ".join(
        f"as_of - INTERVAL '{window}' {sign} INTERVAL '4 days' AS {side}_{window.split()[0]}m"
        for window in _BOUNDS
        for side, sign in (("before", "-"), ("after", "+"))
    )
    return Step(
        "asked",
        f"SELECT {k} AS k, who.*,\n       -- Beyond these no calendar arithmetic is needed.\n       {bounds}\n"
        f"FROM (\n    {who}\n) AS who",
        keeps=True,
    )


def timestamp(at: datetime) -> str:
    """An instant as SQL, in UTC."""
    return f"TIMESTAMP '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"


def club_row(club: Club) -> Step:
    """The club as the one row that definitions know."""
    return Step(
        "club", f"SELECT '{club.timezone}' AS zone, '{club.currency}' AS currency, CAST(0 AS BIGINT) AS values_epoch"
    )


def stored(dialect: Dialect) -> Step:
    """The values as the live store keeps them, with when they change next."""
    return Step("stored_values", compiled(REGISTRY, dialect.engine))


def shown(club: Club, dialect: Dialect) -> str:
    """The values as they go out, in their order: decimals, instants in UTC, locations by their external ids."""
    columns = ",\n       ".join(f"{_shown(each, club, dialect)} AS {each.name}" for each in REGISTRY.aggregations)
    return f"""SELECT {columns}
FROM stored_values AS value
CROSS JOIN (
    SELECT {dialect.names_of_locations} AS names
    FROM fact_locations
) AS place
JOIN country_codes ON country_codes.alpha_2 = coalesce(value.likely_country, '')"""


def _shown(of: Aggregation, club: Club, dialect: Dialect) -> str:
    column = f"value.{of.name}"
    match of.type:
        case Type.MONEY:
            return _decimal(column, club.minor_digits)
        case Type.PERCENT:
            return _decimal(column, 2)
        case Type.COUNTRY_ALPHA_3:
            return "country_codes.alpha_3"
        case Type.LOCATION:
            return dialect.name_at("place.names", column)
        case Type.LOCATIONS:
            return dialect.names_at("place.names", column)
        case Type.INSTANT:
            return dialect.shown_instant(column)
        case Type.AS_OF:
            return dialect.shown_instant("value.calculated_at")
        case Type.NOTHING:
            return f"CAST(NULL AS {dialect.string})"
        case _:
            return column


def _decimal(column: str, digits: int) -> str:
    unit = f"CAST({10**-digits:.{digits}f} AS DECIMAL(4, {digits}))"
    return f"CAST(CAST({column} AS DECIMAL(34, 0)) * {unit} AS DECIMAL(38, {digits}))"
