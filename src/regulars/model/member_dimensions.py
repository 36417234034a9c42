"""Dimensions of members that are declared once for Python, PostgreSQL, DuckDB and Spark: age groups, platforms, reach.

PostgreSQL takes them as functions, which are replaced when the server starts with another declaration. Rollups hold the
names of groups, so a changed declaration also needs the rollups of members rebuilt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from regulars.model.consents import REACH_RULES, ReachRule
from regulars.model.transactions.schema import POS, WEB

AGE_GROUP_YEARS = 5
"""The width of an age group."""
MIN_AGE = 15
"""The age in completed years at which the second group begins; all younger members are in the first."""
MAX_AGE = 80
"""The age in completed years at which the last group begins."""

AGE_GROUP_STARTS: Mapping[str, int | None] = {
    f"-{MIN_AGE - 1}": None,
    **{f"{age}-{age + AGE_GROUP_YEARS - 1}": age for age in range(MIN_AGE, MAX_AGE, AGE_GROUP_YEARS)},
    f"{MAX_AGE}-": MAX_AGE,
}
"""The age in completed years at which each group begins, in ascending order; None for the first."""

AGE_GROUPS: Mapping[str, str] = {
    f"-{MIN_AGE - 1}": f"Up to {MIN_AGE - 1} years.",
    **{
        f"{age}-{age + AGE_GROUP_YEARS - 1}": f"{age} to {age + AGE_GROUP_YEARS - 1} years."
        for age in range(MIN_AGE, MAX_AGE, AGE_GROUP_YEARS)
    },
    f"{MAX_AGE}-": f"{MAX_AGE} years and more.",
}
"""The descriptions of age groups by name, in ascending order."""

OTHER_PLATFORM = "other"
PLATFORMS: Mapping[str, str] = {
    "ios": "The iOS app.",
    "android": "The Android app.",
    "web": "The web.",
    "pos": "A point of sale.",
    "api": "Another system.",
    "import": "An import.",
    OTHER_PLATFORM: "A channel that names none of these.",
}
"""The descriptions of platforms by name. The platform is the first word of the opt-in channel if it is a name here."""

NAMED_PLATFORMS = tuple(name for name in PLATFORMS if name != OTHER_PLATFORM)

NON_MEMBER_TYPES = ("deleted", "system", "temporary")
"""The types of profiles that are never members."""

CHANNEL_CODES: Mapping[int, tuple[str, str]] = {
    POS | WEB: ("CM", "At a point of sale and on the web."),
    POS: ("CF", "At a point of sale only."),
    WEB: ("CO", "On the web only."),
}
"""The code of a set of sales channels and its description, by the bits that transactions are stored with."""

ANY_CHANNEL = "anything"
"""The name under which members are counted who can be reached by at least one channel."""


def channel_code(channels: str) -> str:
    """The SQL of the code of the channels that an expression has as bits, in every engine."""
    cases = " ".join(f"WHEN {bits} THEN '{code}'" for bits, (code, _) in sorted(CHANNEL_CODES.items()))
    return f"CASE {channels}\n               {cases} END"


def counts_as_member(profile_type: str) -> str:
    """The SQL condition that profiles of a type may be members, in every engine."""
    names = ", ".join(f"'{name}'" for name in NON_MEMBER_TYPES)
    return f"{profile_type} NOT IN ({names})"


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """A function of PostgreSQL that follows from a declaration. It is inlined where it is called."""

    name: str
    parameters: str
    returns: str
    body: str

    @property
    def statement(self) -> str:
        """Creates the function, or replaces its body."""
        return (
            f"CREATE OR REPLACE FUNCTION {self.name}({self.parameters}) RETURNS {self.returns}\n"
            f"LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $${self.body}$$"
        )


# Dates are numbers such as 20261124, so a difference of 10000 is a year.
_AGE_GROUP = DeclaredFunction(
    "age_group",
    "birth_date int, day int",
    "text",
    f"""
SELECT CASE
    WHEN birth_date IS NULL THEN NULL
    WHEN (day - birth_date) / 10000 < {MIN_AGE} THEN '-{MIN_AGE - 1}'
    WHEN (day - birth_date) / 10000 >= {MAX_AGE} THEN '{MAX_AGE}-'
    ELSE concat(
        (day - birth_date) / {AGE_GROUP_YEARS * 10000} * {AGE_GROUP_YEARS}, '-',
        (day - birth_date) / {AGE_GROUP_YEARS * 10000} * {AGE_GROUP_YEARS} + {AGE_GROUP_YEARS - 1}
    )
END
""",
)

_AGE_GROUPS = DeclaredFunction(
    "age_groups",
    "",
    "TABLE (name text, min_age int)",
    "\nVALUES "
    + ", ".join(f"('{name}', {'NULL::int' if age is None else age})" for name, age in AGE_GROUP_STARTS.items())
    + "\n",
)

_OPTIN_PLATFORM = DeclaredFunction(
    "optin_platform",
    "channel text",
    "text",
    f"""
SELECT CASE WHEN channel IS NOT NULL THEN coalesce(
    substring(lower(channel) FROM '^[^[:alnum:]]*({"|".join(NAMED_PLATFORMS)})(?![[:alnum:]])'), '{OTHER_PLATFORM}'
) END
""",
)


def _reach_condition(rule: ReachRule) -> str:
    statuses = ", ".join(f"'{status}'" for status in rule.statuses)
    consent = "" if rule.consent is None else f" AND consents -> '{rule.consent}' = 'true'"
    return f"CASE WHEN {rule.channel}_status IN ({statuses}){consent} THEN '{rule.channel}' END"


_REACHABLE_CHANNELS = DeclaredFunction(
    "reachable_channels",
    ", ".join(("consents jsonb", *(f"{rule.channel}_status text" for rule in REACH_RULES))),
    "text[]",
    f"\nSELECT array_remove(ARRAY[{', '.join(map(_reach_condition, REACH_RULES))}], NULL)\n",
)

_CHANNEL_CODE = DeclaredFunction("channel_code", "channels int", "text", f"\nSELECT {channel_code('channels')}\n")

_COUNTS_AS_MEMBER = DeclaredFunction(
    "counts_as_member", "profile_type text", "boolean", f"\nSELECT {counts_as_member('profile_type')}\n"
)

FUNCTIONS = (_AGE_GROUP, _AGE_GROUPS, _OPTIN_PLATFORM, _REACHABLE_CHANNELS, _CHANNEL_CODE, _COUNTS_AS_MEMBER)


def function_statements() -> list[str]:
    """The statements that create the functions, or replace those of another declaration."""
    return [each.statement for each in FUNCTIONS]


def has_declared_functions(connection: psycopg.Connection) -> bool:
    """Whether the database has the functions as they are declared here."""
    rows = connection.execute(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname = ANY (%s)",
        [[each.name for each in FUNCTIONS]],
    )
    return dict(rows) == {each.name: each.body for each in FUNCTIONS}
