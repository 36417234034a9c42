"""The naive way to keep values true, to compare with: a row trigger that recomputes the profile."""

import re

from bench.fill import sql
from bench.place import Club, Store
from regulars.aggregations.store import NAMES, statement

_VARIABLES = {"$1": "bench_club", "$2": "bench_profiles", "$3": "bench_at"}


def recompute_by_trigger(store: Store, club: Club) -> None:
    """Has every transaction of one club recompute its profile in a row trigger."""
    body = re.sub(r"\$\d\b", lambda found: _VARIABLES[found.group()], statement())
    trigger = sql("naive").format(
        statement=body,
        columns=", ".join(NAMES),
        new=", ".join(f"fresh.{name}" for name in NAMES),
        updates=",\n        ".join(f"{name} = excluded.{name}" for name in NAMES),
        club=club.id,
    )
    with store.owner() as connection:
        connection.execute(trigger.encode())
