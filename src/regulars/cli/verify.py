"""`regulars verify`: proof that what is kept is what the facts say."""

from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter

from regulars.cli.options import CommonOptions, UsageError, run_with_database
from regulars.cli.progress import format_count, report_progress
from regulars.core import timestamps
from regulars.model import community as communities
from regulars.storage.database import Database
from regulars.verify.verify import verify


def add_to(app: App) -> None:
    """Adds the command."""
    app.command(verify_, name="verify")


def verify_(
    *,
    community: Annotated[str | None, Parameter(help="Only this one, by its slug; else all.")] = None,
    as_of: Annotated[
        str | None, Parameter(help="Compare what is answered for this instant; if not given, what is kept now.")
    ] = None,
    where: CommonOptions | None = None,
) -> int:
    """Recomputes every value from the facts by DuckDB and prints what differs from what is kept.

    Example: `regulars verify --community cdnow`
    """
    at = _instant(as_of)

    async def work(database: Database) -> int:
        differing = 0
        async with database.unscoped_connection() as connection:
            named = None if community is None else await communities.get_by_slug(connection, community)
            chosen = await communities.list_all(connection) if named is None else [named]
        for each in chosen:
            profiles = found = 0
            with report_progress(each.slug) as told:
                async for difference in verify(database, each.id, at):
                    if isinstance(difference, int):
                        profiles = difference
                        told.update(None, format_count(profiles, "profile"))
                    else:
                        found += 1
                        print(f"{each.slug}: {difference}", flush=True)
            print(f"{each.slug}: {format_count(profiles, 'profile')}, {format_count(found, 'difference')}", flush=True)
            differing += found
        return differing

    return 1 if run_with_database(where, work) else 0


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return timestamps.parse_timestamp(text)
    except ValueError as error:
        raise UsageError(f"--as-of {error}.") from None
