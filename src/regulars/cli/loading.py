"""`regulars load`: facts from files."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from regulars.cli.asked import Where, WrongUseError, settings_of, with_database
from regulars.cli.printing import counted, telling
from regulars.facts import community as communities
from regulars.facts.refusals import Refused
from regulars.ingest import entities, files
from regulars.ingest.arrival import Arrival, arriving
from regulars.ingest.batches import LoadStoppedError, Options, Summary
from regulars.ingest.bulk import load, load_communities
from regulars.ingest.files import Format, Source
from regulars.ingest.given_values import GivenValues
from regulars.ingest.grouping import Committers
from regulars.ingest.rows import Rejection
from regulars.running import UnreachableError
from regulars.storage.database import Database
from regulars.storage.errors import is_system_error

Entity = Literal[
    "communities",
    "locations",
    "products",
    "profiles",
    "memberships",
    "sendings",
    "sending_events",
    "link_visits",
    "offer_collections",
    "offers",
    "offer_events",
    "transactions",
]

SHOWN_REJECTIONS = 10


def add_to(app: App) -> None:
    """Adds the command."""
    app.command(load_files, name="load")


def load_files(
    entity: Annotated[Entity, Parameter(help="What the files hold.")],
    file: Annotated[
        tuple[Path, ...],
        Parameter(help="CSV, NDJSON or Parquet, packed by gzip or zstd or not; a folder stands for all files in it."),
    ],
    *,
    community: Annotated[str | None, Parameter(help="The slug of the community it belongs to.")] = None,
    format: Annotated[  # noqa: A002
        Literal["csv", "ndjson", "parquet"] | None, Parameter(help="Where a file's name does not tell it.")
    ] = None,
    dry_run: Annotated[bool, Parameter(help="Only check.", negative="")] = False,
    create_profiles: Annotated[
        bool, Parameter(help="Make the profiles that transactions name and that are not there.", negative="")
    ] = False,
    rejects: Annotated[Path | None, Parameter(help="Write the rejected rows' places and reasons here, as CSV.")] = None,
    values: Annotated[
        Path | None,
        Parameter(help="Values of the same transactions, by `regulars compute --for-loading`; a file or a folder."),
    ] = None,
    where: Where | None = None,
) -> int:
    """Loads facts from files. Good rows are kept, bad ones told; the same file again changes nothing.

    Example: `regulars load transactions sales.csv.gz --community cdnow --rejects rejected.csv`
    """
    if entity != "communities" and community is None:
        raise WrongUseError("Say whose facts they are: --community SLUG. `regulars community list` names them.")
    if values is not None and (entity != "transactions" or dry_run):
        raise WrongUseError("--values goes with transactions that are loaded: not with other facts, nor --dry-run.")
    form = None if format is None else Format(format)
    sources = [files.source(path, form) for named in file for path in files.below(named)]
    batch_rows = settings_of(where).batch_rows

    async def work(database: Database, write: Callable[[str, Rejection], None]) -> int:
        async with database.unscoped() as connection:
            community_id = 0 if community is None else (await communities.by_slug(connection, community)).id
        with nullcontext() if values is None else closing(GivenValues(values)) as given:
            async with arriving(database, Committers(database, batch_rows), community_id) as arrival:
                if given is not None:
                    await arrival.begin_marking()
                rejected = await load_all(arrival, write)
                taken = await _finish(arrival, given)
            if given is not None:
                print(f"{values}: values of {counted(taken, 'profile')} taken over")
        return rejected

    async def load_all(arrival: Arrival, write: Callable[[str, Rejection], None]) -> int:
        rejected = 0
        for source in sources:
            read = partial(source.rows, entities.columns_of(entity))
            with telling(str(source.path)) as told:
                options = Options(
                    batch_rows=batch_rows,
                    dry_run=dry_run,
                    create_profiles=create_profiles,
                    rejected=partial(write, str(source.path)),
                    progress=lambda summary, source=source, told=told: told.at(  # type: ignore[misc]
                        source.position / max(source.size, 1), counted(summary.rows, "row")
                    ),
                )
                try:
                    if entity == "communities":
                        summary = await load_communities(arrival.database, read, options)
                    else:
                        summary = await load(arrival, entity, read, options, source)
                except Refused as refused:
                    wrong = (f"{field} {text}".strip() for field, text in refused.errors.items())
                    raise Refused({str(source.path): "; ".join(wrong)}) from None
                except LoadStoppedError as stopped:
                    raise UnreachableError(f"{source.path}: {stopped} Reason: {stopped.__cause__}.") from stopped
            _tell(source, summary, dry_run=dry_run)
            rejected += summary.rejected
        return rejected

    with _rejects(rejects) as write:
        return 1 if with_database(where, partial(work, write=write)) else 0


async def _finish(arrival: Arrival, given: GivenValues | None) -> int:
    with telling("values") as told:
        try:
            return await arrival.finish(
                lambda profiles: told.at(None, f"{counted(profiles, 'profile')} computed"), given
            )
        except Exception as error:
            if not is_system_error(error):
                raise
            raise UnreachableError(
                f"All rows are stored, but not all values: they are computed when they are read, and stored by the "
                f"sweep of a server or by the same command. Reason: {error}."
            ) from error


@contextmanager
def _rejects(path: Path | None) -> Iterator[Callable[[str, Rejection], None]]:
    if path is None:
        yield lambda file, rejection: None
        return
    try:
        opened = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise WrongUseError(f"{path} can't be written: {error.strerror}.") from None
    with opened:
        rows = csv.writer(opened)
        rows.writerow(("file", "line", "reason"))
        yield lambda file, rejection: rows.writerow((file, rejection.line, rejection.reason))


def _tell(source: Source, summary: Summary, *, dry_run: bool) -> None:
    done = "would be loaded" if dry_run else "loaded"
    print(f"{source.path}: {summary.loaded:,} {done}, {summary.unchanged:,} unchanged, {summary.rejected:,} rejected")
    for rejection in summary.rejections[:SHOWN_REJECTIONS]:
        sys.stderr.write(f"{source.path}, line {rejection.line}: {rejection.reason}\n")
    if (more := summary.rejected - SHOWN_REJECTIONS) > 0:
        sys.stderr.write(f"{source.path}: and {more:,} more; --rejects FILE writes all of them\n")
