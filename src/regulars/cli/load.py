"""`regulars load`: loads files of profiles, transactions, events and other entities."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from regulars.bootstrap import DatabaseUnavailableError
from regulars.cli.file_options import InputFileOptions, to_usage_error
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.progress import format_count, report_progress
from regulars.core.errors import ValidationError
from regulars.core.formulas import neutralize
from regulars.facts.columns import Columns
from regulars.file_dialects.options import DialectError
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
MAX_PREVIEW_LENGTH = 1_000
"""Most characters of a row that a dry run shows."""

_encoder = msgspec.json.Encoder(decimal_format="string")


def load_files(
    entity: Annotated[str, Parameter(help=f"Entity of the rows: {', '.join(catalog.loadable_names())}.")],
    file: Annotated[
        tuple[Path, ...],
        Parameter(
            help="CSV, NDJSON, Parquet or .xlsx files, optionally compressed with gzip or zstd, or directories of such."
        ),
    ],
    *,
    community: Annotated[str | None, Parameter(help="Slug of the community. Required except for communities.")] = None,
    format: Annotated[  # noqa: A002
        Literal["csv", "ndjson", "parquet", "xlsx"] | None, Parameter(help="File format. Default: by the extension.")
    ] = None,
    dry_run: Annotated[
        bool,
        Parameter(
            help="Store nothing; show how each file is read, its first rows as they would be stored, and each kind of error.",
            negative="",
        ),
    ] = False,
    create_profiles: Annotated[
        bool, Parameter(help="Create profiles that transactions refer to and that do not exist.", negative="")
    ] = False,
    errors_file: Annotated[
        Path | None, Parameter(help="CSV file to write the file, line and reason of each rejected row to.")
    ] = None,
    strict: Annotated[
        bool,
        Parameter(help="Reject transactions whose lines differ in other columns than those of items.", negative=""),
    ] = False,
    precomputed_values: Annotated[
        Path | None,
        Parameter(
            help="Values of the same transactions, by `regulars compute --with-fingerprints`: a file or a directory."
        ),
    ] = None,
    file_options: InputFileOptions | None = None,
    common: CommonOptions | None = None,
) -> int:
    """Loads rows of an entity from files. Invalid rows are skipped and reported. Loading the same file twice is a no-op.

    Example: `regulars load transactions sales.csv.gz --community cdnow --errors-file rejected.csv`
    """
    if entity not in catalog.loadable_names():
        raise UsageError(f"Unknown entity {entity!r}. Allowed: {', '.join(catalog.loadable_names())}.")
    if entity != "communities" and community is None:
        raise UsageError("Missing option: --community SLUG. `regulars community list` shows the communities.")
    if precomputed_values is not None and (entity != "transactions" or dry_run):
        raise UsageError("--precomputed-values is only allowed for transactions, and not with --dry-run.")
    stated = (file_options or InputFileOptions()).parse()
    try:
        columns = catalog.columns_of(entity, stated)
    except DialectError as error:
        raise to_usage_error(error) from None
    form = None if format is None else FileFormat(format)
    sources = [files.inspect_file(path, form, stated) for named in file for path in files.list_files(named)]
    options = LoadOptions(
        batch_rows=load_settings(common).commit_max_rows,
        dry_run=dry_run,
        create_profiles=create_profiles,
        is_strict=strict,
        timezone=stated.timezone,
    )
    with _open_errors_file(errors_file) as write_rejected:
        load = _Load(entity, sources, columns, options, write_rejected)
        work = partial(_run, load=load, community=community, precomputed_values=precomputed_values)
        return 1 if run_with_database(common, work) else 0


@dataclass(frozen=True)
class _Load:
    """Files of one entity, with the options that they share, and what receives the name of a file and a rejected row."""

    entity: str
    sources: Sequence[FileSource]
    columns: Columns
    options: LoadOptions
    write_rejected: Callable[[str, RejectedRow], None]

    async def run(self, job: LoadJob) -> int:
        """Loads the files in order, prints a summary of each, and returns the number of rejected rows."""
        rejected = 0
        for source in self.sources:
            summary = await self._load_file(job, source)
            _print_summary(source, summary, dry_run=self.options.dry_run)
            rejected += summary.rejected
        return rejected

    async def _load_file(self, job: LoadJob, source: FileSource) -> LoadSummary:
        read = partial(source.rows, self.columns)
        with report_progress(str(source.path)) as progress:
            options = replace(
                self.options,
                file_name=source.path.name,
                on_rejected=partial(self.write_rejected, str(source.path)),
                on_progress=lambda summary: progress.update(
                    source.position / max(source.size, 1), format_count(summary.rows, "row")
                ),
            )
            try:
                if options.dry_run or not source.dialect(self.columns).is_default:
                    print(f"{source.path}: read as {source.describe(self.columns)}")
                if self.entity == "communities":
                    return await load_communities(job.database, read, options)
                return await load_file(job, self.entity, read, options, source)
            except ValidationError as error:
                messages = (f"{field} {text}".strip() for field, text in error.errors.items())
                raise ValidationError({str(source.path): "; ".join(messages)}) from None
            except LoadStoppedError as error:
                raise DatabaseUnavailableError(f"{source.path}: {error} Reason: {error.__cause__}.") from error


async def _run(database: Database, load: _Load, community: str | None, precomputed_values: Path | None) -> int:
    """Loads files into a community, imports or computes its values, and returns the number of rejected rows."""
    async with database.unscoped_connection() as connection:
        community_id = 0 if community is None else (await communities.get_by_slug(connection, community)).id
    committer = GroupCommitter(database, load.options.batch_rows)
    with nullcontext() if precomputed_values is None else closing(PrecomputedValues(precomputed_values)) as values:
        async with open_load_job(database, committer, community_id) as job:
            if values is not None:
                await job.defer_refresh()
            rejected = await load.run(job)
            imported = await _finish(job, values)
        if values is not None:
            print(f"{precomputed_values}: values of {format_count(imported, 'profile')} imported")
    return rejected


async def _finish(job: LoadJob, values: PrecomputedValues | None) -> int:
    with report_progress("values") as progress:
        try:
            return await job.finish(
                lambda profiles: progress.update(None, f"{format_count(profiles, 'profile')} computed"), values
            )
        except Exception as error:
            if not is_system_error(error):
                raise
            raise DatabaseUnavailableError(
                f"All rows are stored, but not all values. Values that are missing are computed when they are read; a server "
                f"or another run of this command stores them. Reason: {error}."
            ) from error


@contextmanager
def _open_errors_file(path: Path | None) -> Iterator[Callable[[str, RejectedRow], None]]:
    if path is None:
        yield lambda name, rejection: None
        return
    try:
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Can't write {path}: {error.strerror}.") from None
    with file:
        writer = csv.writer(file)
        writer.writerow(("file", "line", "reason"))
        yield lambda name, rejection: writer.writerow((neutralize(name), rejection.line, neutralize(rejection.reason)))


def _print_summary(source: FileSource, summary: LoadSummary, *, dry_run: bool) -> None:
    outcome = "would be accepted" if dry_run else "accepted"
    print(
        f"{source.path}: {summary.accepted:,} {outcome}, {summary.unchanged:,} unchanged, {summary.rejected:,} rejected"
    )
    for line, row in summary.first_rows:
        text = _encoder.encode(row).decode()
        print(f"  line {line}: {text if len(text) <= MAX_PREVIEW_LENGTH else f'{text[:MAX_PREVIEW_LENGTH]}...'}")
    if dry_run:
        for kind in summary.rejection_kinds.most_frequent():
            count = format_count(kind.count, "row")
            sys.stderr.write(f"{source.path}: {count} rejected, such as line {kind.line}: {kind.example}\n")
    for warning in summary.warning_kinds.most_frequent():
        transactions = format_count(warning.count, "transaction")
        sys.stderr.write(f"{source.path}: {transactions}: {warning.example}, such as line {warning.line}\n")
    if dry_run:
        return
    for rejection in summary.rejections[:MAX_SHOWN_REJECTIONS]:
        sys.stderr.write(f"{source.path}, line {rejection.line}: {rejection.reason}\n")
    if (more := summary.rejected - MAX_SHOWN_REJECTIONS) > 0:
        sys.stderr.write(f"{source.path}: and {more:,} more; --errors-file FILE writes all of them\n")
