"""`regulars load`: facts from files."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from regulars.bootstrap import DatabaseUnavailableError
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.progress import format_count, report_progress
from regulars.core.errors import ValidationError
from regulars.ingest.group_commit import GroupCommitter
from regulars.loading import catalog
from regulars.loading.batches import LoadOptions, LoadStoppedError, LoadSummary
from regulars.loading.load_job import LoadJob, open_load_job
from regulars.loading.loader import load_communities, load_file
from regulars.loading.precomputed_values import PrecomputedValues
from regulars.loading.readers import files
from regulars.loading.readers.files import FileFormat, FileSource
from regulars.loading.readers.rows import RejectedRow
from regulars.model import community as communities
from regulars.storage.database import Database
from regulars.storage.errors import is_system_error

MAX_SHOWN_REJECTIONS = 10


def add_to(app: App) -> None:
    """Adds the command."""
    names = ", ".join(catalog.loadable_names())
    app.command(load_files, name="load", help=f"{load_files.__doc__}\n\n    The files may hold: {names}.")


def load_files(
    entity: Annotated[str, Parameter(help="What the files hold.")],
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
    where: CommonOptions | None = None,
) -> int:
    """Loads facts from files. Good rows are kept, bad ones told; the same file again changes nothing.

    Example: `regulars load transactions sales.csv.gz --community cdnow --rejects rejected.csv`
    """
    if entity not in catalog.loadable_names():
        raise UsageError(f"Unknown kind of facts '{entity}'. Allowed: {', '.join(catalog.loadable_names())}.")
    if entity != "communities" and community is None:
        raise UsageError("Say whose facts they are: --community SLUG. `regulars community list` names them.")
    if values is not None and (entity != "transactions" or dry_run):
        raise UsageError("--values goes with transactions that are loaded: not with other facts, nor --dry-run.")
    form = None if format is None else FileFormat(format)
    sources = [files.inspect_file(path, form) for named in file for path in files.list_files(named)]
    batch_rows = load_settings(where).commit_max_rows

    async def work(database: Database, write: Callable[[str, RejectedRow], None]) -> int:
        async with database.unscoped_connection() as connection:
            community_id = 0 if community is None else (await communities.get_by_slug(connection, community)).id
        with nullcontext() if values is None else closing(PrecomputedValues(values)) as given:
            async with open_load_job(database, GroupCommitter(database, batch_rows), community_id) as arrival:
                if given is not None:
                    await arrival.defer_refresh()
                rejected = await load_all(arrival, write)
                taken = await _finish(arrival, given)
            if given is not None:
                print(f"{values}: values of {format_count(taken, 'profile')} taken over")
        return rejected

    async def load_all(arrival: LoadJob, write: Callable[[str, RejectedRow], None]) -> int:
        rejected = 0
        for source in sources:
            read = partial(source.rows, catalog.columns_of(entity))
            with report_progress(str(source.path)) as told:
                options = LoadOptions(
                    batch_rows=batch_rows,
                    dry_run=dry_run,
                    create_profiles=create_profiles,
                    on_rejected=partial(write, str(source.path)),
                    on_progress=lambda summary, source=source, told=told: told.update(  # type: ignore[misc]
                        source.position / max(source.size, 1), format_count(summary.rows, "row")
                    ),
                )
                try:
                    if entity == "communities":
                        summary = await load_communities(arrival.database, read, options)
                    else:
                        summary = await load_file(arrival, entity, read, options, source)
                except ValidationError as refused:
                    wrong = (f"{field} {text}".strip() for field, text in refused.errors.items())
                    raise ValidationError({str(source.path): "; ".join(wrong)}) from None
                except LoadStoppedError as stopped:
                    raise DatabaseUnavailableError(
                        f"{source.path}: {stopped} Reason: {stopped.__cause__}."
                    ) from stopped
            _tell(source, summary, dry_run=dry_run)
            rejected += summary.rejected
        return rejected

    with _rejects(rejects) as write:
        return 1 if run_with_database(where, partial(work, write=write)) else 0


async def _finish(arrival: LoadJob, given: PrecomputedValues | None) -> int:
    with report_progress("values") as told:
        try:
            return await arrival.finish(
                lambda profiles: told.update(None, f"{format_count(profiles, 'profile')} computed"), given
            )
        except Exception as error:
            if not is_system_error(error):
                raise
            raise DatabaseUnavailableError(
                f"All rows are stored, but not all values: they are computed when they are read, and stored by the "
                f"sweep of a server or by the same command. Reason: {error}."
            ) from error


@contextmanager
def _rejects(path: Path | None) -> Iterator[Callable[[str, RejectedRow], None]]:
    if path is None:
        yield lambda file, rejection: None
        return
    try:
        opened = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from None
    with opened:
        rows = csv.writer(opened)
        rows.writerow(("file", "line", "reason"))
        yield lambda file, rejection: rows.writerow((file, rejection.line, rejection.reason))


def _tell(source: FileSource, summary: LoadSummary, *, dry_run: bool) -> None:
    done = "would be loaded" if dry_run else "loaded"
    print(f"{source.path}: {summary.loaded:,} {done}, {summary.unchanged:,} unchanged, {summary.rejected:,} rejected")
    for rejection in summary.rejections[:MAX_SHOWN_REJECTIONS]:
        sys.stderr.write(f"{source.path}, line {rejection.line}: {rejection.reason}\n")
    if (more := summary.rejected - MAX_SHOWN_REJECTIONS) > 0:
        sys.stderr.write(f"{source.path}: and {more:,} more; --rejects FILE writes all of them\n")
