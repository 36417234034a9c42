"""The naive way to maintain values, to compare with: a row trigger that recomputes the profile."""

import re

from bench.environment import BenchClub, BenchDatabase
from bench.seed_data import sql
from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.table import VALUE_COLUMNS

_VARIABLES = {"$1": "bench_club", "$2": "bench_profiles", "$3": "bench_at"}


def recompute_by_trigger(store: BenchDatabase, club: BenchClub) -> None:
    """Has every transaction of one club recompute its profile in a row trigger."""
    body = re.sub(r"\$\d\b", lambda match: _VARIABLES[match.group()], values_statement())
    trigger = sql("naive").format(
        statement=body,
        columns=", ".join(VALUE_COLUMNS),
        new=", ".join(f"fresh.{name}" for name in VALUE_COLUMNS),
        updates=",\n        ".join(f"{name} = excluded.{name}" for name in VALUE_COLUMNS),
        club=club.id,
    )
    with store.owner_connection() as connection:
        connection.execute(trigger.encode())
