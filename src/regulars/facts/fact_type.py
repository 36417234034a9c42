"""A fact type: one declaration that commits, jobs, verification, loading, erasure, the CLI and metrics follow."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import UnsetType

from regulars.core import timestamps
from regulars.core.errors import ValidationError, field_error
from regulars.core.row_decoding import decode_row
from regulars.facts.columns import Columns
from regulars.model.community import Community
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database, Scope

T = TypeVar("T")

RowOutcome = str | ValidationError
"""The outcome of a row: `accepted`, `unchanged`, or the reason why it was rejected."""

WriteRows = Callable[[UnitOfWork, Sequence[Any]], Awaitable[Sequence[RowOutcome]]]


@dataclass(frozen=True)
class RowSchema:
    """The rows of a fact type in files.

    `validate` turns a row that fits the columns' type into the value that is written; it raises ValidationError by
    path.
    """

    columns: Columns
    validate: Callable[[Any, Community], Any]

    @cached_property
    def _decoder(self) -> "msgspec.json.Decoder[Any]":
        return msgspec.json.Decoder(self.columns.row_type, strict=False)

    def parse(self, content: bytes, community: Community) -> Any:
        """Decodes and validates a row given as a JSON object. Raises ValidationError by path."""
        return self.validate(decode_row(content, self._decoder), community)


@dataclass(frozen=True, slots=True)
class Compaction:
    """Adds deltas, which commits append, to shared counts and rollups.

    `pending_communities` are those in which this process has appended enough to compact; `compact` does so and returns
    the number of deltas; `compact_pending` does so for deltas of any process, if there are any. `apply_backpressure`
    runs after each commit, and compacts when too many deltas wait. `repair` resets watermarks after a restore.
    """

    pending_communities: Callable[[], Sequence[int]]
    compact: Callable[[Database, int], Awaitable[int]]
    compact_pending: Callable[[Database, int], Awaitable[int]]
    apply_backpressure: Callable[[Database, UnitOfWork], Awaitable[None]]
    repair: Callable[[Database], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class FactMetric:
    """A gauge that `/metrics` exports: the sum over all communities of what `measure` returns for each."""

    name: str
    description: str
    measure: Callable[[Scope], Awaitable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactType:
    """One kind of fact: what it looks like, how it is stored, and how everything derived from it stays correct.

    All but the name and the description is optional.

    Loading: a type with `schema` and `write` can be loaded from files and imported; its rows are counted in
    `regulars_import_rows_total` by its name. `write` returns one outcome per row. A type with a `schema` alone has a
    loader of its own. `is_backfilled` says that its rows change what was counted in the past.

    Commits: `record` runs in every commit before its end and updates what is derived from the facts that the unit of
    work has collected. `erase` removes profiles, and `reassign` moves what belongs to merged profiles (by source) to
    their destination; both update everything that is counted.

    Jobs: `rebuild` rebuilds the rollups of a community if its time zone has changed, and returns 1 then, else 0.
    `rollup_tables` are tables whose expired buckets are deleted. `empty_counts` are statements about community $1 that
    delete counts of 0 after an erasure. `drop_expired` deletes other expired rows and returns how many.

    Verification: `verify` returns rows of (key, name, stored, recomputed), one for each stored value that differs from
    what the facts say; with a timestamp, values as of then are being verified.

    Metrics: `metrics` are gauges read from the database, in addition to the counter of imported rows.
    """

    name: str
    description: str
    schema: RowSchema | None = None
    write: WriteRows | None = None
    is_backfilled: bool = False
    record: Callable[[UnitOfWork], Awaitable[None]] | None = None
    erase: Callable[[UnitOfWork, Collection[UUID]], Awaitable[object]] | None = None
    reassign: Callable[[UnitOfWork, Mapping[UUID, UUID]], Awaitable[object]] | None = None
    rebuild: Callable[[Database, int], Awaitable[int]] | None = None
    compaction: Compaction | None = None
    rollup_tables: tuple[str, ...] = ()
    empty_counts: tuple[str, ...] = ()
    drop_expired: Callable[[Database, int], Awaitable[int]] | None = None
    verify: Callable[[Scope, datetime | None], Awaitable[Sequence[Any]]] | None = None
    metrics: tuple[FactMetric, ...] = ()


class FactTypeRegistry:
    """All fact types by name, in the order in which they are loaded, recorded and erased."""

    def __init__(self, fact_types: Sequence[FactType]) -> None:
        self._by_name: dict[str, FactType] = {}
        for each in fact_types:
            self.register(each)

    def register(self, fact_type: FactType) -> None:
        """Adds a fact type after all others. Raises ValueError if its name is taken."""
        if fact_type.name in self._by_name:
            raise ValueError(f"The fact type {fact_type.name} is registered twice.")
        self._by_name[fact_type.name] = fact_type

    @contextmanager
    def registered(self, fact_type: FactType) -> Iterator[None]:
        """Registers a fact type for the duration of a block."""
        self.register(fact_type)
        try:
            yield
        finally:
            del self._by_name[fact_type.name]

    def __iter__(self) -> Iterator[FactType]:
        return iter(tuple(self._by_name.values()))

    def __getitem__(self, name: str) -> FactType:
        return self._by_name[name]

    def loadable(self) -> list[FactType]:
        """The fact types whose rows can be loaded from files."""
        return [each for each in self if each.schema is not None]


def require_external_id(validate: Callable[[Any], Any]) -> Callable[[Any, Community], Any]:
    """A validation of rows that also requires an external id."""

    def validate_row(row: Any, community: Community) -> Any:
        validated = validate(row)
        if validated.external_id is None:
            raise field_error("external_id", "is required: it identifies the row in later imports")
        return validated

    return validate_row


def in_community_timezone(validate: Callable[[Any, str], Any]) -> Callable[[Any, Community], Any]:
    """A validation of rows whose timestamps without an offset are in the community's time zone."""

    def validate_row(row: Any, community: Community) -> Any:
        return validate(row, community.timezone)

    return validate_row


def local_to_utc_text(text: str | UnsetType | None, community: Community) -> str | UnsetType | None:
    """A timestamp of a file in UTC; one without an offset is in the community's time zone.

    Text that is no timestamp is returned as it is, for the validation to reject.
    """
    if not isinstance(text, str):
        return text
    try:
        return timestamps.parse_in_timezone(text, community.timezone).isoformat()
    except ValueError:
        return text
