"""Memory of the server while millions of rows stream in."""

import threading
import time

from bench import processes
from bench.environment import BenchEnvironment
from bench.import_client import upload_import
from bench.requests import file_lines
from bench.result import Findings
from bench.seed_data import seed_database
from bench.serving import RunningServer, serve
from bench.size import Size

MAX_MIB_PER_WORKER = 300
"""MiB a worker."""


class _Watch:
    """Samples the memory of a server's workers four times a second."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.samples: list[float] = []

    def _sample(self) -> None:
        while not self._done.wait(0.25):
            self.samples.append(max(processes.resident_mib(self._server.workers)))

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """5 million transactions in one body of POST /v1/import/transactions, as one server with two workers takes them."""
    profiles = size.rows(200_000, 1_000)
    rows = size.rows(5_000_000, 5_000)
    findings.describe(
        f"{rows:,} transactions without lines of {profiles:,} profiles in one body of POST /v1/import/transactions, "
        f"made as it is sent; the resident memory of the two workers is looked at four times a second, and the "
        f"kernel's own highest mark at the end."
    )
    store = environment.database()
    club = store.create_club("memory")
    seed_database(store, club, profiles, profiles)
    with serve(environment, store, 2) as server:
        before = max(processes.resident_mib(server.workers))
        began = time.perf_counter()
        with _Watch(server) as watch:
            response = upload_import(server.port, club, file_lines(club, profiles, rows, lines=0))
        seconds = time.perf_counter() - began
        assert response["accepted"] == rows, response
        highest = max(processes.highest_resident_mib(server.workers))
    findings.record("resident memory of a worker before", before, "MiB")
    quarters = [watch.samples[len(watch.samples) * part // 4] for part in range(4)]
    for part, samples in enumerate(quarters):
        findings.record(f"larger worker, {part} quarters of the way", samples, "MiB")
    highest = findings.record("highest of a worker", highest, "MiB")
    findings.record("rows", rows / seconds, "transactions/s")
    findings.target_at_most(
        f"Memory while {rows:,} rows stream in: under {MAX_MIB_PER_WORKER} MB a worker",
        highest,
        MAX_MIB_PER_WORKER,
        "MiB",
    )
