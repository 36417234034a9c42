"""`regulars verify`: checks stored values and counts against the facts."""

from datetime import datetime
from typing import Annotated

from cyclopts import Parameter

from regulars.cli.options import CommonOptions, UsageError, run_with_database
from regulars.cli.progress import format_count, report_progress
from regulars.core import timestamps
from regulars.model import community as communities
from regulars.storage.database import Database
from regulars.verify.verify import verify


def verify_(
    *,
    community: Annotated[str | None, Parameter(help="Slug of the community to verify. Default: all.")] = None,
    as_of: Annotated[
        str | None, Parameter(help="Verify the values returned for this instant instead of the stored ones.")
    ] = None,
    common: CommonOptions | None = None,
) -> int:
    """Recomputes every value and count from the facts with DuckDB and prints the differences.

    Exit code 1 if there are differences.

    Example: `regulars verify --community cdnow`
    """
    instant = _parse_instant(as_of)

    async def work(database: Database) -> int:
        total = 0
        async with database.unscoped_connection() as connection:
            if community is None:
                selected = await communities.list_all(connection)
            else:
                selected = [await communities.get_by_slug(connection, community)]
        for each in selected:
            profiles = found = 0
            with report_progress(each.slug) as progress:
                async for difference in verify(database, each.id, instant):
                    if isinstance(difference, int):
                        profiles = difference
                        progress.update(None, format_count(profiles, "profile"))
                    else:
                        found += 1
                        print(f"{each.slug}: {difference}", flush=True)
            print(f"{each.slug}: {format_count(profiles, 'profile')}, {format_count(found, 'difference')}", flush=True)
            total += found
        return total

    return 1 if run_with_database(common, work) else 0


def _parse_instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return timestamps.parse_timestamp(text)
    except ValueError as error:
        raise UsageError(f"--as-of {error}.") from None
