"""Live values against Feast, which serves values that something else computed, and against a bare read by key."""

import itertools
import json
import random
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bench import load_generator, subprocess_run
from bench.application import BARE
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.load_generator import Load, Request
from bench.requests import profile_id, reads, request, writes
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.serving import RunningServer, free_port, run_server, serve
from bench.size import Size
from bench.subprocess_run import HAS_PEERS_PYTHON, PEERS_PYTHON
from regulars.aggregations.definitions import REGISTRY

CONNECTIONS = 64
ROUNDS = 5
MIN_FEAST_RATIO = 5
MAX_BARE_READ_RATIO = 2

REGULARS, BARE_READ, SQLITE, POSTGRESQL = "regulars", "bare read", "Feast on SQLite", "Feast on PostgreSQL"


@dataclass
class _Contender:
    """One way to read or to write: a server, and an endless iterator of requests."""

    name: str
    server: RunningServer
    requests: Iterator[Request]
    status: int = 200
    connections: int = CONNECTIONS
    loads: list[Load] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """One round."""
        load = load_generator.closed_loop(self.server.port, self.requests, self.connections, seconds)
        self.loads.append(load.require(self.status))

    @property
    def per_second(self) -> list[float]:
        """Responses a second, by round."""
        return [each.per_second for each in self.loads]


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """GET aggregations, the same values from Feast, one row by key; then purchases and pushes."""
    if not HAS_PEERS_PYTHON:
        raise RuntimeError(f"Feast can't be measured: {subprocess_run.PEERS_MISSING}")
    profiles = size.rows(20_000, 200)
    store = environment.database()
    club = store.create_club("feast")
    seed_database(store, club, profiles, 10 * profiles)
    with store.owner_connection() as connection:
        connection.execute(sql("bare").format(club=club.id).encode())
    store.vacuum("bench_values")
    values = environment.folder / "values.parquet"
    _write_values(store, club, values)
    with ExitStack() as running:
        regulars = running.enter_context(serve(environment, store))
        online_stores: dict[str, Mapping[str, object]] = {
            SQLITE: {"type": "sqlite", "path": str(environment.folder / "online.db")},
            POSTGRESQL: _postgresql(environment.database("feast")),
        }
        feasts = {
            name: running.enter_context(_feast(environment, name, values, online_store))
            for name, online_store in online_stores.items()
        }
        for feast in feasts.values():
            _assert_features_equal(feast, values)
        _reads(regulars, feasts, club, profiles, size, findings)
        _writes(regulars, feasts, club, profiles, values, size, findings)


# The feature stores --------------------------------------------------------------------------------------


def _write_values(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    """Every stored value of every profile: numbers and instants as they are, the rest as texts."""
    columns = ", ".join(
        each.name
        if each.type.column_type in ("bigint", "timestamptz")
        else f"CAST(to_jsonb({each.name}) #>> '{{}}' AS text)"
        for each in REGISTRY.stored
    )
    names = ["profile_id", *(each.name for each in REGISTRY.stored), "event_timestamp"]
    with store.owner_connection() as connection:
        rows = connection.execute(
            f"SELECT CAST(profile_id AS text), {columns}, calculated_at FROM profile_aggregations "
            f"WHERE community_id = {club.id} ORDER BY profile_id".encode()
        ).fetchall()
    kinds = {"bigint": pa.int64(), "timestamptz": pa.timestamp("us", "UTC")}
    types = [
        pa.string(),
        *(kinds.get(each.type.column_type, pa.string()) for each in REGISTRY.stored),
        kinds["timestamptz"],
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), path)


def _postgresql(store: BenchDatabase) -> Mapping[str, object]:
    """Feast's configuration of a database, as its owner, with as many connections as the product has."""
    address = urlsplit(store.owner_url)
    return {
        "type": "postgres",
        "host": parse_qs(address.query)["host"][0],
        "port": 5432,
        "database": address.path.strip("/"),
        "user": address.username,
        "password": "unused",
        "sslmode": "disable",
        "conn_type": "pool",
        "min_conn": 1,
        "max_conn": 16,
    }


def _feast(
    environment: BenchEnvironment, name: str, values: Path, online_store: Mapping[str, object]
) -> AbstractContextManager[RunningServer]:
    folder = environment.folder / name.replace(" ", "-")
    subprocess_run.run(
        "feast_store", folder, values, json.dumps(online_store), folder=environment.folder, python=PEERS_PYTHON
    )
    port = free_port()
    command = [
        str(PEERS_PYTHON.with_name("feast")),
        "-c",
        str(folder),
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--workers", "1", "--no-access-log", "--max-requests", "0", "--keep-alive-timeout", "600"]
    variables = {"FEAST_USAGE": "False", "TMPDIR": str(environment.folder), "HOME": str(environment.folder)}
    return run_server(command, port, environment.folder / f"feast-{port}.log", variables, "/health")


def _assert_features_equal(feast: RunningServer, values: Path) -> None:
    """Asserts that the features of a few profiles equal their values."""
    for row in pq.read_table(values).slice(0, 20).to_pylist():
        body = {"feature_service": "all_values", "entities": {"profile_id": [row["profile_id"]]}}
        request = urllib.request.Request(
            f"http://127.0.0.1:{feast.port}/get-online-features",
            msgspec.json.encode(body),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - of this machine
            content = msgspec.json.decode(response.read())
        names = content["metadata"]["feature_names"]
        features = dict(zip(names, (each["values"][0] for each in content["results"]), strict=True))
        for name, value in row.items():
            if name != "event_timestamp" and not isinstance(value, datetime):
                assert features[name] == value, (name, features[name], value)


# The comparison ------------------------------------------------------------------------------------------


def _reads(
    regulars: RunningServer,
    feasts: dict[str, RunningServer],
    club: BenchClub,
    profiles: int,
    size: Size,
    findings: Findings,
) -> None:
    seconds = size.seconds(5)
    findings.describe(
        f"{profiles:,} profiles with {10 * profiles:,} transactions; the {len(REGISTRY.stored)} values that regulars "
        f"stores of each are Feast's features too, in one feature view and one feature service, and equal. Reads are "
        f"of one random profile, by {CONNECTIONS} connections in a closed loop for {seconds:g} s; all take turns. "
        f"Every server has one worker: Feast its own feature server, feast serve, with 16 connections to PostgreSQL "
        f"({subprocess_run.peer_versions('feast', 'psycopg')})."
    )
    findings.describe(
        "Bare read: a route of the same server as regulars that reads one row of a table of values by its key and "
        "returns it as JSON, without token, community, embedded locations, or whether the row is true by now. What "
        "regulars answers is true at that instant; what Feast answers is what was pushed last."
    )
    numbers = range(1, profiles + 1)
    contenders = [
        _Contender(REGULARS, regulars, reads(club, profiles)),
        _Contender(
            BARE_READ, regulars, _cycled(numbers, lambda each: request(club, "GET", f"{BARE}/{profile_id(club, each)}"))
        ),
        *(_Contender(name, server, _feast_reads(club, numbers)) for name, server in feasts.items()),
    ]
    _report(contenders, "reads", seconds, size.rounds(ROUNDS), findings)
    product, bare, *feast_contenders = contenders
    for contender in feast_contenders:
        ratio = findings.record(f"reads: {REGULARS} / {contender.name}", _ratios(product, contender), "")
        findings.target_at_least(
            f"Live reads: at least {MIN_FEAST_RATIO} times the requests/s of {contender.name}", ratio, MIN_FEAST_RATIO
        )
    ratio = findings.record(f"reads: {BARE_READ} / {REGULARS}", _ratios(bare, product), "")
    findings.target_at_most(
        f"Live reads: within {MAX_BARE_READ_RATIO} times of a bare read by key", ratio, MAX_BARE_READ_RATIO
    )


def _writes(
    regulars: RunningServer,
    feasts: dict[str, RunningServer],
    club: BenchClub,
    profiles: int,
    values: Path,
    size: Size,
    findings: Findings,
) -> None:
    seconds = size.seconds(5)
    findings.describe(
        "Writes, by as many connections: regulars takes a transaction with two lines, computes all values of its "
        "profile and stores both; Feast takes the values of one profile, computed beforehand, by /push to the online "
        "store. What computes them for Feast is not counted. On SQLite Feast has one client, for its server fails "
        "where several push concurrently."
    )
    numbers = range(1, profiles + 1)
    endless = itertools.chain.from_iterable(
        writes(club, "/api/v3/transactions", numbers, 256) for _ in itertools.count()
    )
    pushes = _pushes(club, values)
    contenders = [
        _Contender(REGULARS, regulars, endless, 201),
        # Its threads share one connection to SQLite, and fail where two push concurrently.
        _Contender(SQLITE, feasts[SQLITE], itertools.cycle(pushes), connections=1),
        _Contender(POSTGRESQL, feasts[POSTGRESQL], itertools.cycle(pushes)),
    ]
    _report(contenders, "writes", seconds, size.rounds(ROUNDS), findings)
    for contender in contenders[1:]:
        findings.record(f"writes: {REGULARS} / {contender.name}", _ratios(contenders[0], contender), "")


def _report(contenders: list[_Contender], kind: str, seconds: float, rounds: int, findings: Findings) -> None:
    for contender in contenders:
        contender.measure(seconds / 2)
        contender.loads.clear()
    for _ in range(rounds):
        for contender in contenders:
            contender.measure(seconds)
    for contender in contenders:
        findings.record(f"{kind}: {contender.name}", contender.per_second, "requests/s")
        findings.record(f"{kind}: {contender.name}, p99", [each.percentile(99) for each in contender.loads], "ms")


def _ratios(contender: _Contender, baseline: _Contender) -> list[float]:
    return [one / another for one, another in zip(contender.per_second, baseline.per_second, strict=True)]


def _cycled(numbers: range, create: Callable[[int], Request]) -> Iterator[Request]:
    generator = random.Random(1)
    return itertools.cycle([create(generator.choice(numbers)) for _ in range(5_000)])


def _feast_reads(club: BenchClub, numbers: range) -> Iterator[Request]:
    def feature_request(number: int) -> Request:
        body = {"feature_service": "all_values", "entities": {"profile_id": [str(profile_id(club, number))]}}
        return request(club, "POST", "/get-online-features", msgspec.json.encode(body))

    return _cycled(numbers, feature_request)


def _pushes(club: BenchClub, values: Path) -> list[Request]:
    """The values of some profiles as Feast takes them, each of now."""
    rows = pq.read_table(values).slice(0, 500).to_pylist()
    now = datetime.now(UTC).isoformat()
    bodies = [{name: [_pushed(value)] for name, value in row.items()} | {"event_timestamp": [now]} for row in rows]
    return [
        request(club, "POST", "/push", msgspec.json.encode({"push_source_name": "values", "to": "online", "df": each}))
        for each in bodies
    ]


def _pushed(value: object) -> object:
    """A value as /push reads it: instants as seconds."""
    return int(value.timestamp()) if isinstance(value, datetime) else value
