"""The engines that are compared with the oracle, each with tables in and a table out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import cluster
from engines.compute_fixtures import Compute, compute_on_duckdb, compute_on_spark
from regulars.offline.engines import duckdb


@pytest.fixture(scope="session")
def spark(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The session of the whole run: if it is long, on a cluster and with the plan of large inputs."""
    is_long = request.config.getoption("--long")
    with cluster.session(is_cluster=is_long) as session, pytest.MonkeyPatch.context() as patch:
        if is_long:
            patch.setattr("regulars.offline.engines.spark.SMALL_BYTES", 0)
        yield session


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.slow)])
def compute(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Compute:
    """`regulars.compute` on each engine, with the plan of large inputs; always an Arrow table."""
    if request.param == "spark":
        session = request.getfixturevalue("spark")
        monkeypatch.setattr("regulars.offline.engines.spark.SMALL_BYTES", 0)
        return compute_on_spark(session)
    monkeypatch.setattr(duckdb, "SMALL_ROWS", 0)
    return compute_on_duckdb
