"""`regulars verify`: checks stored values and counts against the facts."""

from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from regulars.cli.options import CommonOptions, parse_instant, run_with_database
from regulars.cli.progress import format_count, report_progress
from regulars.model import community as communities
from regulars.model import verify_runs
from regulars.model.verify_runs import VerifyRun
from regulars.storage.database import Database
from regulars.verify.verify import verify

MAX_PRINTED = 100
"""Maximum number of differences of one value that are printed; all are counted."""


def verify_(
    *,
    community: Annotated[str | None, Parameter(help="Slug of the community to verify. Default: all.")] = None,
    as_of: Annotated[
        str | None, Parameter(help="Verify the values returned for this instant instead of the stored ones.")
    ] = None,
    common: CommonOptions | None = None,
) -> int:
    """Recomputes every value and count from the facts with DuckDB and prints the differences.

    Exit code 1 if there are differences. The result without --as-of is stored, so that the state of the data can be seen
    later.

    Example: `regulars verify --community cdnow`
    """
    instant = parse_instant("--as-of", as_of)

    async def work(database: Database) -> int:
        total = 0
        async with database.unscoped_connection() as connection:
            if community is None:
                selected = await communities.list_all(connection)
            else:
                selected = [await communities.get_by_slug(connection, community)]
        for each in selected:
            profiles = found = 0
            names: Counter[str] = Counter()
            started_at = database.clock()
            with report_progress(each.slug) as progress:
                async for difference in verify(database, each.id, instant):
                    if isinstance(difference, int):
                        profiles = difference
                        progress.update(None, format_count(profiles, "profile"))
                    else:
                        found += 1
                        names[difference.name] += 1
                        if names[difference.name] <= MAX_PRINTED:
                            print(f"{each.slug}: {difference}", flush=True)
            for name, number in names.items():
                if number > MAX_PRINTED:
                    print(
                        f"{each.slug}: {name}: {MAX_PRINTED} of {format_count(number, 'difference')} shown", flush=True
                    )
            print(f"{each.slug}: {format_count(profiles, 'profile')}, {format_count(found, 'difference')}", flush=True)
            if instant is None:
                await verify_runs.store(
                    database, each.id, VerifyRun(started_at, database.clock(), profiles, found, names)
                )
            total += found
        return total

    return 1 if run_with_database(common, work) else 0
